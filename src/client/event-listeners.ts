/**
 * The listeners of a `Database`, and the loop that asks its engine for events: begun with the first listener, or by a log,
 * and ended by closing.
 */

import type { ArgumentsOf } from '../api/calls.ts';
import { isShibuDbError } from '../api/errors.ts';
import type { DatabaseEvent, DatabaseEvents, DatabaseEventType, LogRecord } from '../api/events.ts';
import { oneOf } from '../base/arguments.ts';

export interface ListenerOptions {
  readonly once?: boolean;
  readonly signal?: AbortSignal;
}
/** An event as it comes from the engine. */
export interface ReceivedEvent {
  readonly type: string;
  readonly detail: unknown;
}

const types: readonly DatabaseEventType[] = [
  'ownerchange',
  'connection',
  'checkpoint',
  'quota',
  'corruption',
  'expired',
];
/** After a failure: the connection is being made again, or somebody has to sign in. */
const retryMs = 1000;

export class EventListeners {
  readonly #target: EventTarget = new EventTarget();
  readonly #ask: (args: ArgumentsOf<'nextEvents'>) => Promise<readonly ReceivedEvent[]>;
  #log: { level: LogRecord['level']; write: (record: LogRecord) => void } | undefined;
  /** Tells this one from others that share its session. */
  readonly #id: number = Math.random();
  #asking = false;
  #closed = false;

  constructor(ask: (args: ArgumentsOf<'nextEvents'>) => Promise<readonly ReceivedEvent[]>) {
    this.#ask = ask;
  }

  /** @throws INVALID_ARGUMENT for a type there is not */
  add<Type extends DatabaseEventType>(
    type: Type,
    listener: (event: DatabaseEvent<Type>) => void,
    options: ListenerOptions = {},
  ): void {
    oneOf(type, types, 'the type of the event');
    if (this.#closed) return;
    this.#target.addEventListener(type, listener as unknown as EventListener, options);
    this.#begin();
  }

  remove<Type extends DatabaseEventType>(type: Type, listener: (event: DatabaseEvent<Type>) => void): void {
    this.#target.removeEventListener(type, listener as unknown as EventListener);
  }

  /** Passes on what the engine logs, too. */
  log(level: LogRecord['level'], write: (record: LogRecord) => void): void {
    this.#log = { level, write };
    this.#begin();
  }

  dispatch<Type extends DatabaseEventType>(type: Type, detail: DatabaseEvents[Type]): void {
    if (!this.#closed) this.#target.dispatchEvent(new CustomEvent(type, { detail }));
  }

  close(): void {
    this.#closed = true;
  }

  #begin(): void {
    if (this.#asking) return;
    this.#asking = true;
    this.#askOn();
  }

  async #askOn(): Promise<void> {
    while (!this.#closed) {
      try {
        const log = this.#log?.level;
        const args = { listener: this.#id, ...(log === undefined ? {} : { log }) };
        for (const { type, detail } of await this.#ask(args)) {
          if (type === 'log') this.#log?.write(detail as LogRecord);
          else this.dispatch(type as DatabaseEventType, detail as never);
        }
      } catch (error) {
        if (isShibuDbError(error) && error.code === 'CLOSED') return;
        await new Promise((resolve) => setTimeout(resolve, retryMs));
      }
    }
  }
}
