/** A call on its way. Whoever gets it back unanswered may submit it to another connection. */

import type { ArgumentsOf, Method } from '../api/calls.ts';
import type { Progress } from '../api/database.ts';
import type { TransportOptions } from '../client/transport.ts';

export class OpenCall {
  readonly method: Method;
  /** Replaced where the caller's buffers had to be copied. */
  args: ArgumentsOf<Method>;
  readonly options: TransportOptions;
  readonly resolve: (value: never) => void;
  readonly reject: (error: Error) => void;
  /** Whether it was posted: what runs it may have begun. */
  sent = false;
  /** How far it has come, when the caller asked. */
  progress: Progress | undefined;

  constructor(
    method: Method,
    args: ArgumentsOf<Method>,
    options: TransportOptions,
    resolve: (value: never) => void,
    reject: (error: Error) => void,
  ) {
    this.method = method;
    this.args = args;
    this.options = options;
    this.resolve = resolve;
    this.reject = reject;
  }
}
