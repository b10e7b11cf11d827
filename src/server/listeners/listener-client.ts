/** One client of a listener: a session of the source, counted and limited as those of the WebSocket are. */

import type { ArgumentsOf, CallContext, Method, ResultOf, SignedIn } from '../../api/calls.ts';
import { isShibuDbError } from '../../api/errors.ts';
import type { User } from '../../api/users.ts';
import type { ConnectionHost } from '../../host/connection-host.ts';
import { revokingCalls } from '../../host/session-store.ts';
import { type Callee, isShutOut } from '../../host/source.ts';

const noContext: CallContext = {};

export class ListenerClient {
  readonly #callee: Callee;
  readonly #host: ConnectionHost;
  readonly #address: string;
  /** Whoever the limits count the calls for. */
  #name: string;
  #user: string | undefined;

  constructor(callee: Callee, host: ConnectionHost, address: string) {
    this.#callee = callee;
    this.#host = host;
    this.#address = address;
    this.#name = address;
  }

  get address(): string {
    return this.#address;
  }

  /** Who is signed in. */
  get user(): string | undefined {
    return this.#user;
  }

  /**
   * A call of the session; answers without a promise where the session does.
   * @param count as how many calls it counts for the limits
   * @throws what the call throws, RATE_LIMITED
   */
  call<M extends Method>(method: M, args: ArgumentsOf<M>, count = 1): ResultOf<M> | Promise<ResultOf<M>> {
    const startedAt = performance.now();
    try {
      for (let i = 0; i < count; i++) this.#host.admission.call(this.#name);
      const result = this.#callee.call(method, args as never, noContext) as
        | ResultOf<M>
        | Promise<ResultOf<M>>;
      if (!(result instanceof Promise)) {
        this.#finished(method, undefined, startedAt);
        return result;
      }
      return result.then(
        (value) => {
          this.#finished(method, undefined, startedAt);
          return value;
        },
        (error: unknown) => {
          this.#finished(method, codeOf(error), startedAt);
          throw error;
        },
      );
    } catch (error) {
      this.#finished(method, codeOf(error), startedAt);
      throw error;
    }
  }

  /** @throws INVALID_CREDENTIALS, RATE_LIMITED, TOO_MANY_ATTEMPTS */
  async signIn(username: string, password: string): Promise<User> {
    this.#host.admission.login(this.#address);
    return this.#isNow(await this.call('authenticate', { username, password }));
  }

  /** Acts as the user of a token from now on. */
  async signInByToken(token: string): Promise<void> {
    const signedIn = await this.call('resumeSession', { token });
    if (signedIn !== undefined) this.#isNow(signedIn);
  }

  /** Whether whoever was signed in is not let in any more. */
  async isRevoked(): Promise<boolean> {
    return this.#user !== undefined && (await isShutOut(this.#callee));
  }

  async end(): Promise<void> {
    await this.#callee.call('close', {} as never, noContext);
  }

  #isNow({ user }: SignedIn): User {
    this.#user = user.username;
    this.#name = `user ${user.username}`;
    return user;
  }

  #finished(method: Method, code: string | undefined, startedAt: number): void {
    this.#host.metrics.called(method, code, (performance.now() - startedAt) / 1000);
    if (code === undefined && revokingCalls.has(method))
      this.#host.sessions.endRevoked().catch((error: unknown) => this.#host.log(String(error)));
  }
}

function codeOf(error: unknown): string {
  return isShibuDbError(error) ? error.code : 'INTERNAL';
}
