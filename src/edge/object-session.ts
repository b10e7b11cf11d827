/**
 * A session that other Workers call by RPC: what `connectObject` holds the other end of. Errors travel as data, since RPC
 * keeps neither their class nor their code.
 */

import { RpcTarget } from 'cloudflare:workers';
import type { CallContext, Method } from '../api/calls.ts';
import type { Progress } from '../api/database.ts';
import { type ErrorEnvelope, toEnvelope } from '../api/error-envelope.ts';
import { shibuDbError } from '../api/errors.ts';
import type { Session } from '../engine/session.ts';
import { callThroughGate, type ShardMethod } from './sharding/shard-calls.ts';
import type { ShardHost } from './sharding/shard-host.ts';

export type Outcome = { readonly value: unknown } | { readonly error: ErrorEnvelope };

export interface SessionOptions {
  readonly shards: ShardHost;
  /** Refuses a call before it is made. */
  readonly admit: () => void;
  /** Runs after every call. */
  readonly after: () => Promise<void>;
}

export class ObjectSession extends RpcTarget {
  readonly #session: Session;
  readonly #options: SessionOptions;
  readonly #running: Map<number, AbortController> = new Map();

  constructor(session: Session, options: SessionOptions) {
    super();
    this.#session = session;
    this.#options = options;
  }

  /** @param id the caller's number of the call, for `cancel` */
  async call(
    id: number,
    method: Method | ShardMethod,
    args: object,
    onProgress?: (progress: Progress) => unknown,
  ): Promise<Outcome> {
    const controller = new AbortController();
    this.#running.set(id, controller);
    // The caller's function is called by RPC too: the last progress must be there before the outcome is.
    let told: unknown;
    const context: CallContext = {
      signal: controller.signal,
      onProgress:
        onProgress &&
        ((progress) => {
          told = Promise.resolve(onProgress(progress)).catch(() => {});
        }),
    };
    try {
      this.#options.admit();
      const value = await callThroughGate(this.#options.shards, this.#session, method, args, context);
      await told;
      return { value };
    } catch (error) {
      return { error: { ...toEnvelope(error), stack: undefined } };
    } finally {
      this.#running.delete(id);
      await this.#options.after();
    }
  }

  cancel(id: number): void {
    this.#running.get(id)?.abort(shibuDbError('ABORTED', 'The call was aborted'));
  }

  /** The caller has gone. */
  [Symbol.dispose](): void {
    for (const controller of this.#running.values()) controller.abort();
    Promise.resolve(this.#session.call('close', {}, {})).catch(() => {});
  }
}
