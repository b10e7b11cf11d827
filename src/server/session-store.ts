/** The sessions of a server by their id: found again by who has the token, ended when nobody comes back. */

import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import { type AnswerSink, BridgeSession, type CallObserver } from './bridge-session.ts';
import type { Source } from './source.ts';

interface Kept {
  readonly session: BridgeSession;
  /** Of the token: what lies in memory opens nothing. */
  readonly tokenHash: Buffer;
  expiry: NodeJS.Timeout | undefined;
}

const hashOf = (token: string): Buffer => createHash('sha256').update(token).digest();

export class SessionStore {
  readonly #source: Source;
  readonly #resumeMs: number;
  readonly #sessions: Map<string, Kept> = new Map();

  /** @param resumeMs how long a session waits for its client to come back */
  constructor(source: Source, resumeMs: number) {
    this.#source = source;
    this.#resumeMs = resumeMs;
  }

  get count(): number {
    return this.#sessions.size;
  }

  create(observer: CallObserver): { session: BridgeSession; token: string } {
    const id = randomBytes(12).toString('base64url');
    const token = randomBytes(32).toString('base64url');
    const session = new BridgeSession(id, this.#source.openSession(), observer);
    this.#sessions.set(id, { session, tokenHash: hashOf(token), expiry: undefined });
    return { session, token };
  }

  /** The session, if it is still there and the token is its. */
  find(id: string, token: string): BridgeSession | undefined {
    const kept = this.#sessions.get(id);
    if (kept === undefined || !timingSafeEqual(hashOf(token), kept.tokenHash)) return undefined;
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
      kept.expiry = setTimeout(() => this.end(session), this.#resumeMs).unref();
    }
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
