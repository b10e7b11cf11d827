/**
 * Where the engine says what happens, for whoever listens: events, and records for a log. Costs nothing while nobody does.
 * What is said names spaces, counts and codes, never keys, data, or the text of an error.
 */

import { isShibuDbError } from '../api/errors.ts';
import type { DatabaseEvents, DatabaseEventType, LogLevel, LogRecord } from '../api/events.ts';
import type { StorageBackend, StorageEstimate } from '../storage/backend.ts';
import type { ResidentSpace } from './resident-space.ts';

/** An event as data, on its way to the listeners; `log` is for the option of that name. */
export type EngineEvent = EventOf<DatabaseEventType> | { readonly type: 'log'; readonly detail: LogRecord };
type EventOf<Types extends DatabaseEventType> = {
  [Type in Types]: { readonly type: Type; readonly detail: DatabaseEvents[Type] };
}[Types];

type Facts = Omit<LogRecord, 'level' | 'timeMs' | 'event'>;

export class EventHub {
  readonly #listeners: Set<(event: EngineEvent) => void> = new Set();
  readonly #wallClock: () => number;

  constructor(wallClock: () => number) {
    this.#wallClock = wallClock;
  }

  /** From now on until the returned function is called. */
  listen(listener: (event: EngineEvent) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  spaceOpened({ entry, space, storedBytes }: ResidentSpace, durationMs: number): void {
    this.log('debug', 'space opened', {
      space: entry.name,
      count: space.count(),
      pending: space.pending(),
      storedBytes,
      durationMs,
    });
  }

  checkpointed({ entry: { name: space }, storedBytes }: ResidentSpace, durationMs: number): void {
    this.#emit({ type: 'checkpoint', detail: { space, storedBytes, durationMs } });
    this.log('info', 'checkpoint', { space, storedBytes, durationMs });
  }

  expired(space: string, count: number): void {
    this.#emit({ type: 'expired', detail: { space, count } });
    this.log('debug', 'expired', { space, count });
  }

  damaged(error: unknown, space?: string): void {
    if (!isShibuDbError(error) || error.code !== 'CORRUPTION') return;
    const where = space === undefined ? {} : { space };
    this.#emit({ type: 'corruption', detail: { ...where, message: error.message } });
    this.log('error', 'corruption', { ...where, code: error.code });
  }

  /** A call of the storage failed; `estimate` is asked when there was no room. */
  storageFailed(error: unknown, estimate: () => Promise<StorageEstimate>): void {
    const code = isShibuDbError(error) ? error.code : 'INTERNAL';
    // Closing down is no failure, and damage is told by whoever knows whose it is.
    if (code === 'CLOSED' || code === 'CORRUPTION') return;
    this.log('error', 'storage failed', { code });
    if (code !== 'QUOTA_EXCEEDED' || this.#listeners.size === 0) return;
    estimate().then(
      ({ usageBytes, quotaBytes }) => {
        const usage = usageBytes === undefined ? {} : { usageBytes };
        const quota = quotaBytes === undefined ? {} : { quotaBytes };
        this.#emit({ type: 'quota', detail: { ...usage, ...quota } });
      },
      () => this.#emit({ type: 'quota', detail: {} }),
    );
  }

  log(level: LogLevel, event: string, facts: Facts = {}): void {
    if (this.#listeners.size === 0) return;
    this.#emit({ type: 'log', detail: { level, timeMs: this.#wallClock(), event, ...facts } });
  }

  #emit(event: EngineEvent): void {
    for (const listener of this.#listeners) listener(event);
  }
}

/** The backend itself as far as anybody can tell; `onFailure` learns of each of its calls that rejects. */
export function watchBackend(backend: StorageBackend, onFailure: (error: unknown) => void): StorageBackend {
  const watched: Map<unknown, (...args: unknown[]) => unknown> = new Map();
  return new Proxy(backend, {
    get(target, name) {
      const member: unknown = Reflect.get(target, name, target);
      if (typeof member !== 'function') return member;
      let call = watched.get(member);
      if (call === undefined) {
        call = (...args) => {
          const result: unknown = Reflect.apply(member, target, args);
          if (result instanceof Promise) result.catch(onFailure);
          return result;
        };
        watched.set(member, call);
      }
      return call;
    },
  });
}
