/**
 * What travels between page and worker. Everything passes Comlink's wrap and expose; above it a *message* carries the calls
 * of a tick, and its answer whatever replies are ready by then:
 *
 *   page   -> exchange({ requests, cancels, spare })
 *   worker -> replies, as soon as there is at least one, to any request of any message
 *
 * A request is one call or a run of gets or puts (parcel.ts). The page keeps so much on its way and no more (back
 * pressure): the rest waits there, in order. While calls are open, the page keeps one exchange waiting in the worker, so a slow call never holds up the answers of
 * quick ones, and there is no message but the calls and their answers.
 */

import type { ArgumentsOf, Method } from '../api/calls.ts';
import type { Progress } from '../api/database.ts';
import type { ErrorEnvelope } from '../api/error-envelope.ts';
import type { Secret } from '../storage/encryption/key-record.ts';

export interface Request<M extends Method = Method> {
  readonly id: number;
  readonly method: M;
  readonly args: ArgumentsOf<M>;
  /** The caller wants progress replies. */
  readonly progress: boolean;
}

export interface Message {
  readonly requests: readonly Request[];
  /** Requests whose signal fired. */
  readonly cancels: readonly number[];
  /** Buffers of answers that the page has read: handed back for others. */
  readonly spare?: readonly ArrayBuffer[];
}

/** `index`: answers only that call of a run (parcel.ts). */
export type Reply =
  | { readonly id: number; readonly index?: number; readonly value: unknown }
  | { readonly id: number; readonly index?: number; readonly error: ErrorEnvelope }
  | { readonly id: number; readonly progress: Progress };

/** What the worker offers over Comlink. */
export interface WorkerEndpoint {
  /** Takes the Web Lock of this name for as long as the worker lives: whoever gets it knows that the worker is gone. */
  live(aliveLock: string): Promise<void>;
  /** Opens the database. An error comes back as an envelope. */
  open(name: string, options: WorkerOpenOptions): Promise<ErrorEnvelope | undefined>;
  exchange(message: Message): Promise<Reply[]>;
  deleteDatabase(name: string, timeoutMs: number): Promise<ErrorEnvelope | undefined>;
}

export interface WorkerOpenOptions {
  readonly build?: 'simd128' | 'relaxed';
  readonly storage?: 'indexeddb' | 'memory';
  /** Where the core is, or the compiled core. Default: beside the worker. */
  readonly wasm?: string | WebAssembly.Module;
  readonly openTimeoutMs?: number;
  readonly onCorruption?: 'fail' | 'salvage';
  /** What opens it: what the caller gave, or the key that it unlocked before. */
  readonly encryption?: Secret | undefined;
  readonly memoryBudgetBytes?: number;
  readonly threads?: number;
  /** In place of a database by name: a static snapshot's address, and whether to keep what is fetched of it. */
  readonly source?: { readonly from: string; readonly cache?: boolean };
}
