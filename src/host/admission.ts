/** Who may come in: how many connections there are and may be, in all and from one address; how often each may log in and call. */

import { shibuDbError } from '../api/errors.ts';
import { integerIn } from '../base/arguments.ts';
import { RateLimiter } from './rate-limiter.ts';

export interface AdmissionOptions {
  /** Connections of all listeners together. Default 1000. Can be changed while the server runs (`PUT /limit`). */
  readonly connectionsMax?: number;
  /** Connections from one address. Default: as many as in all. */
  readonly connectionsPerAddress?: number;
  /** Attempts to log in from one address, a minute. Default 60. */
  readonly loginsPerMinute?: number;
  /** Calls a second of one user (or, before a login, one address), over all their connections. Default: no limit. */
  readonly callsPerSecond?: number;
}

const most = 1_000_000;

export class Admission {
  readonly #perAddressMax: number;
  readonly #logins: RateLimiter;
  readonly #calls: RateLimiter;
  readonly #byAddress: Map<string, number> = new Map();
  #connectionsMax: number;
  #connections = 0;
  /** Connections that were turned away. */
  refused = 0;

  constructor(options: AdmissionOptions) {
    this.#connectionsMax = integerIn(options.connectionsMax ?? 1000, 1, most, 'connectionsMax');
    this.#perAddressMax = integerIn(options.connectionsPerAddress ?? most, 1, most, 'connectionsPerAddress');
    const loginsPerMinute = options.loginsPerMinute ?? 60;
    this.#logins = new RateLimiter(loginsPerMinute / 60, loginsPerMinute);
    this.#calls = new RateLimiter(options.callsPerSecond ?? Number.POSITIVE_INFINITY);
  }

  get connections(): number {
    return this.#connections;
  }

  get connectionsMax(): number {
    return this.#connectionsMax;
  }

  /** Open connections stay, however many there are. @throws INVALID_ARGUMENT */
  set connectionsMax(value: unknown) {
    this.#connectionsMax = integerIn(value, 1, most, 'the limit of connections');
  }

  /** Lets a connection in, until the function that this answers with is called; nothing: there is no room. */
  enter(address: string): (() => void) | undefined {
    const here = this.#byAddress.get(address) ?? 0;
    if (this.#connections >= this.#connectionsMax || here >= this.#perAddressMax) {
      this.refused++;
      return undefined;
    }
    this.#connections++;
    this.#byAddress.set(address, here + 1);
    let inside = true;
    return () => {
      if (!inside) return;
      inside = false;
      this.#connections--;
      const left = (this.#byAddress.get(address) ?? 1) - 1;
      if (left === 0) this.#byAddress.delete(address);
      else this.#byAddress.set(address, left);
    };
  }

  /** Counts an attempt to log in. @throws RATE_LIMITED */
  login(address: string): void {
    if (!this.#logins.take(address))
      throw shibuDbError(
        'RATE_LIMITED',
        'There were too many attempts to log in from this address; wait a minute',
      );
  }

  /** Counts a call. @throws RATE_LIMITED */
  call(name: string): void {
    if (!this.#calls.take(name))
      throw shibuDbError('RATE_LIMITED', 'There are more calls a second than this server allows one user');
  }
}
