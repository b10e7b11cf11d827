/**
 * Hands a session's caller what happens, as answers to a call that stays open until something does: so events travel like
 * everything else, over whatever carries calls, and a caller that nobody listens at costs nothing.
 */

import type { ArgumentsOf } from '../api/calls.ts';
import type { LogLevel } from '../api/events.ts';
import type { EngineEvent, EventHub } from './event-hub.ts';
import type { HandlersOf } from './handlers.ts';

/** Events kept for a caller that does not ask; the oldest go first. */
const waitingMax = 1000;
const levels: readonly LogLevel[] = ['debug', 'info', 'warn', 'error'];

export class EventCalls implements HandlersOf<'events'> {
  readonly #hub: EventHub;
  readonly #maySee: (space: string | undefined) => boolean;
  #stop: (() => void) | undefined;
  #logFrom: number = levels.length;
  #waiting: EngineEvent[] = [];
  #answer: ((events: EngineEvent[]) => void) | undefined;

  /** `maySee`: whether whoever is signed in now may learn of what happens in a space, or in the database as a whole. */
  constructor(hub: EventHub, maySee: (space: string | undefined) => boolean) {
    this.#hub = hub;
    this.#maySee = maySee;
  }

  /** What happened since the last call, or, at the first, from now on. Answers as soon as there is something. */
  nextEvents({ log }: ArgumentsOf<'nextEvents'>): EngineEvent[] | Promise<EngineEvent[]> {
    this.#logFrom = log === undefined ? levels.length : levels.indexOf(log);
    this.#stop ??= this.#hub.listen((event) => this.#note(event));
    // Whoever asks again does not wait for the former answer any more.
    this.#answer?.([]);
    this.#answer = undefined;
    if (this.#waiting.length > 0) return this.#take();
    return new Promise((resolve) => {
      this.#answer = resolve;
    });
  }

  close(): void {
    this.#stop?.();
    this.#answer?.([]);
    this.#answer = undefined;
  }

  #note(event: EngineEvent): void {
    if (event.type === 'log' && levels.indexOf(event.detail.level) < this.#logFrom) return;
    if (!this.#maySee('space' in event.detail ? event.detail.space : undefined)) return;
    this.#waiting.push(event);
    if (this.#waiting.length > waitingMax) this.#waiting.shift();
    const answer = this.#answer;
    if (answer === undefined) return;
    this.#answer = undefined;
    // What else happens in this turn goes along.
    queueMicrotask(() => answer(this.#take()));
  }

  #take(): EngineEvent[] {
    const events = this.#waiting;
    this.#waiting = [];
    return events;
  }
}
