/**
 * What a session was told so far, kept on the caller's side: enough to bring a new session to the same state, after another
 * owner took over or a connection was made again. Never a password.
 */

import type { ArgumentsOf, Method, SessionState, SignedIn } from '../api/calls.ts';

/** After them a session is another one than before. */
export const callsThatChangeSession: ReadonlySet<Method> = new Set<Method>([
  'useSpace',
  'authenticate',
  'resumeSession',
]);

export class SessionMemory {
  #state: SessionState = {};

  /** Learns from a call that was answered. */
  note<M extends Method>(method: M, args: ArgumentsOf<M>, result: unknown): void {
    if (method === 'useSpace') {
      this.#state = { ...this.#state, space: (args as ArgumentsOf<'useSpace'>).name };
    } else if (method === 'authenticate') {
      this.#state = { ...this.#state, token: (result as SignedIn).token };
    } else if (method === 'resumeSession') {
      const { space } = args as SessionState;
      const token = (result as SignedIn | undefined)?.token;
      this.#state = { ...(token === undefined ? {} : { token }), ...(space === undefined ? {} : { space }) };
    }
  }

  /** The connection itself has signed somebody in. */
  signedIn(token: string): void {
    this.#state = { ...this.#state, token };
  }

  /** The arguments of the `resumeSession` that restores it; `undefined` while there is nothing to restore. */
  get state(): SessionState | undefined {
    return this.#state.token === undefined && this.#state.space === undefined ? undefined : this.#state;
  }
}
