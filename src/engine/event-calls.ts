/**
 * Hands a session's caller what happens, as answers to a call that stays open until something does: so events travel like
 * everything else, over whatever carries calls, and a caller that nobody listens at costs nothing.
 */

import type { ArgumentsOf } from '../api/calls.ts';
import type { LogLevel } from '../api/events.ts';
import { invalid } from '../base/arguments.ts';
import type { EngineEvent, EventHub } from './event-hub.ts';
import type { HandlersOf } from './handlers.ts';

/** Events kept for a listener that does not ask; the oldest go first. */
const waitingMax = 1000;
const listenersMax = 100;
const levels: readonly LogLevel[] = ['debug', 'info', 'warn', 'error'];

/** One object on the caller's side: several share a session where a pool lends it out. */
interface Listener {
  readonly stop: () => void;
  logFrom: number;
  waiting: EngineEvent[];
  answer: ((events: EngineEvent[]) => void) | undefined;
}

export class EventCalls implements HandlersOf<'events'> {
  readonly #hub: EventHub;
  readonly #maySee: (space: string | undefined) => boolean;
  readonly #listeners: Map<number, Listener> = new Map();

  /** `maySee`: whether whoever is signed in now may learn of what happens in a space, or in the database as a whole. */
  constructor(hub: EventHub, maySee: (space: string | undefined) => boolean) {
    this.#hub = hub;
    this.#maySee = maySee;
  }

  /** What happened since the last call, or, at the first, from now on. Answers as soon as there is something. */
  nextEvents({ listener: id, log }: ArgumentsOf<'nextEvents'>): EngineEvent[] | Promise<EngineEvent[]> {
    const listener = this.#listeners.get(id) ?? this.#begin(id);
    listener.logFrom = log === undefined ? levels.length : levels.indexOf(log);
    // Whoever asks again does not wait for the former answer any more.
    listener.answer?.([]);
    listener.answer = undefined;
    const waiting = this.#take(listener);
    if (waiting.length > 0) return waiting;
    return new Promise((resolve) => {
      listener.answer = resolve;
    });
  }

  /** Ends all: whoever still wants to know asks again. */
  close(): void {
    for (const { stop, answer } of this.#listeners.values()) {
      stop();
      answer?.([]);
    }
    this.#listeners.clear();
  }

  #begin(id: number): Listener {
    if (this.#listeners.size >= listenersMax) throw invalid(`${listenersMax} listeners are there already`);
    const stop = this.#hub.listen((event) => this.#note(listener, event));
    const listener: Listener = { stop, logFrom: levels.length, waiting: [], answer: undefined };
    this.#listeners.set(id, listener);
    return listener;
  }

  #note(listener: Listener, event: EngineEvent): void {
    if (event.type === 'log' && levels.indexOf(event.detail.level) < listener.logFrom) return;
    if (!this.#isFor(event)) return;
    listener.waiting.push(event);
    if (listener.waiting.length > waitingMax) listener.waiting.shift();
    const { answer } = listener;
    if (answer === undefined) return;
    listener.answer = undefined;
    // What else happens in this turn goes along.
    queueMicrotask(() => answer(this.#take(listener)));
  }

  /** Not what happened for somebody else who was signed in before: rights are looked at when events leave, too. */
  #take(listener: Listener): EngineEvent[] {
    const events = listener.waiting.filter((event) => this.#isFor(event));
    listener.waiting = [];
    return events;
  }

  #isFor({ detail }: EngineEvent): boolean {
    return this.#maySee('space' in detail ? detail.space : undefined);
  }
}
