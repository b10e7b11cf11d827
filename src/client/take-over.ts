/**
 * Arguments that outlive the call which brought them: what the caller passed is the caller's again as soon as the call
 * returns, so whatever is read later is copied, or taken over when it is handed over.
 */

import { invalid } from '../base/arguments.ts';

/** @throws INVALID_ARGUMENT when a buffer cannot be handed over */
export function takeOver<Args extends object>(args: Args, transfer: readonly ArrayBuffer[] = []): Args {
  if (transfer.length > 0) return handOver(args, transfer);
  const entries = Object.entries(args).map(([name, value]) => {
    if (Array.isArray(value)) return [name, [...value]];
    return [name, isTypedArray(value) ? value.slice() : value];
  });
  return Object.fromEntries(entries) as Args;
}

function handOver<Args extends object>(args: Args, transfer: readonly ArrayBuffer[]): Args {
  try {
    return structuredClone(args, { transfer: [...transfer] });
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw invalid(`The arguments cannot be handed over: ${reason}`);
  }
}

function isTypedArray(value: unknown): value is Float32Array | BigInt64Array {
  return ArrayBuffer.isView(value) && !(value instanceof DataView);
}
