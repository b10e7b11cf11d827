/** The sessions of a server by their id: found again by who has the token, ended when nobody comes back. */

import { sha256 } from '@noble/hashes/sha2.js';
import type { Method } from '../api/calls.ts';
import { encodeBase64Url, equalInConstantTime, randomBytes } from '../base/secrets.ts';
import { encodeUtf8 } from '../base/text.ts';
import { unref } from '../base/unref.ts';
import { type AnswerSink, BridgeSession, type CallObserver, type SessionAtRest } from './bridge-session.ts';
import type { Source } from './source.ts';

/** A client of another protocol, whose session is not kept here. */
export interface WatchedClient {
  /** Whether whoever was signed in is not let in any more. */
  isRevoked(): Promise<boolean>;
  end(): void;
}

interface Kept {
  readonly session: BridgeSession;
  /** Of the token: what lies in memory opens nothing. */
  readonly tokenHash: Uint8Array;
  expiry: ReturnType<typeof setTimeout> | undefined;
}

/** Calls after which somebody may not be let in any more. */
export const revokingCalls: ReadonlySet<Method> = new Set<Method>(['deleteUser', 'updateUserPassword']);

const hashOf = (token: string): Uint8Array => sha256(encodeUtf8(token));

export class SessionStore {
  readonly #source: Source;
  readonly #resumeMs: number;
  readonly #sessions: Map<string, Kept> = new Map();
  readonly #clients: Set<WatchedClient> = new Set();

  /** @param resumeMs how long a session waits for its client to come back */
  constructor(source: Source, resumeMs: number) {
    this.#source = source;
    this.#resumeMs = resumeMs;
  }

  get count(): number {
    return this.#sessions.size;
  }

  create(observer: CallObserver): { session: BridgeSession; token: string } {
    const id = encodeBase64Url(randomBytes(12));
    const token = encodeBase64Url(randomBytes(32));
    const session = new BridgeSession(id, this.#source.openSession(), observer);
    this.#sessions.set(id, { session, tokenHash: hashOf(token), expiry: undefined });
    return { session, token };
  }

  /** Goes on with a session of another memory, whose token has this hash. @throws NOT_AUTHENTICATED */
  async restore(rest: SessionAtRest, tokenHash: Uint8Array, observer: CallObserver): Promise<BridgeSession> {
    const there = this.#sessions.get(rest.id);
    if (there !== undefined) return there.session;
    const session = new BridgeSession(rest.id, this.#source.openSession(), observer);
    await session.resume(rest);
    this.#sessions.set(rest.id, { session, tokenHash, expiry: undefined });
    return session;
  }

  /** Of the session's token, for `restore`. */
  tokenHashOf(session: BridgeSession): Uint8Array | undefined {
    return this.#sessions.get(session.id)?.tokenHash;
  }

  /** The session, if it is still there and the token is its. */
  find(id: string, token: string): BridgeSession | undefined {
    const kept = this.#sessions.get(id);
    if (kept === undefined || !equalInConstantTime(hashOf(token), kept.tokenHash)) return undefined;
    if (kept.session.isEnded) return undefined;
    clearTimeout(kept.expiry);
    kept.expiry = undefined;
    return kept.session;
  }

  /** A connection of the session has gone. */
  leave(session: BridgeSession, sink: AnswerSink): void {
    session.detach(sink);
    const kept = this.#sessions.get(session.id);
    if (kept === undefined || session.isAttached()) return;
    if (session.isEnded) this.#sessions.delete(session.id);
    else {
      clearTimeout(kept.expiry);
      kept.expiry = unref(setTimeout(() => this.end(session), this.#resumeMs));
    }
  }

  /** Answers with what takes the client off the list. */
  watch(client: WatchedClient): () => void {
    this.#clients.add(client);
    return () => this.#clients.delete(client);
  }

  /**
   * Users have changed: whoever is not let in any more is ended, and what they hold is freed. Their calls would be refused anyway.
   * Who changes the own password stays signed in.
   */
  async endRevoked(): Promise<void> {
    for (const { session } of [...this.#sessions.values()])
      if (await session.isRevoked()) {
        session.revoke();
        await this.end(session);
      }
    for (const client of [...this.#clients]) if (await client.isRevoked()) client.end();
  }

  /** Ends a session now. */
  async end(session: BridgeSession): Promise<void> {
    this.#sessions.delete(session.id);
    await session.end();
  }

  async endAll(): Promise<void> {
    const all = [...this.#sessions.values()];
    for (const { expiry } of all) clearTimeout(expiry);
    await Promise.allSettled(all.map(({ session }) => this.end(session)));
  }
}
