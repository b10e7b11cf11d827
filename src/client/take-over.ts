/**
 * Arguments that outlive the call which brought them: what the caller passed is the caller's again as soon as the call
 * returns, so whatever is read later is copied, or taken over when it is handed over.
 */

import { invalid } from '../base/arguments.ts';
import { ownCopy } from '../base/own-copy.ts';

/** @throws INVALID_ARGUMENT when a buffer cannot be handed over */
export function takeOver<Args extends object>(args: Args, transfer: readonly ArrayBuffer[] = []): Args {
  return transfer.length > 0 ? handOver(args, transfer) : ownCopy(args);
}

function handOver<Args extends object>(args: Args, transfer: readonly ArrayBuffer[]): Args {
  try {
    return structuredClone(args, { transfer: [...transfer] });
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw invalid(`The arguments cannot be handed over: ${reason}`);
  }
}
