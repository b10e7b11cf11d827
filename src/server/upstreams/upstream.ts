/**
 * A database of another kind behind the server: which spaces it has, and the calls it can answer. A call that it does not have,
 * and an argument whose promise it cannot keep, is refused with UNSUPPORTED, which names the upstream and the call.
 */

import type {
  ArgumentsOf,
  CallContext,
  InSpace,
  Method,
  ResultOf,
  ScanArguments,
  VectorScanArguments,
} from '../../api/calls.ts';
import type {
  Entry,
  SpaceDescription,
  SpaceInfo,
  UpstreamInfo,
  VectorData,
  VectorEntry,
} from '../../api/database.ts';
import { type ShibuDbError, shibuDbError } from '../../api/errors.ts';
import type { NewSpace } from '../../engine/space-catalog.ts';

/** The calls on a space that are answered in one go. */
export type DataMethod = Exclude<
  { [M in Method]: ArgumentsOf<M> extends InSpace ? M : never }[Method],
  'scanOpen' | 'scanVectorsOpen'
>;

export type UpstreamCalls = {
  readonly [M in DataMethod]?: (
    args: ArgumentsOf<M>,
    space: string,
    context: CallContext,
  ) => Promise<ResultOf<M>>;
};

export interface Upstream {
  readonly info: UpstreamInfo;
  readonly calls: UpstreamCalls;
  listSpaces(): Promise<SpaceInfo[]>;
  /** @throws SPACE_EXISTS, UNSUPPORTED for what it cannot keep */
  createSpace(space: NewSpace): Promise<void>;
  deleteSpace(name: string): Promise<void>;
  describeSpace(name: string): Promise<SpaceDescription>;
  /** Pages of entries in the order of their keys. */
  scan?(space: string, args: ScanArguments): AsyncGenerator<Entry[], void>;
  scanVectors?(space: string, args: VectorScanArguments): AsyncGenerator<VectorEntry<VectorData>[], void>;
  close(): Promise<void>;
}

export function unsupported(upstream: string, call: string, why: string): ShibuDbError {
  return shibuDbError('UNSUPPORTED', `${call} is not supported by the upstream ${upstream}: ${why}`, {
    details: { upstream, call },
  });
}

export function spaceNotFound(upstream: string, name: string): ShibuDbError {
  return shibuDbError('SPACE_NOT_FOUND', `There is no space "${name}" in the upstream ${upstream}`);
}

/** An upstream that cannot be reached. Whether a write has taken effect is not known once it was sent. */
export function lost(upstream: string, changes: boolean, cause: unknown): ShibuDbError {
  const reason = cause instanceof Error ? cause.message : String(cause);
  return changes
    ? shibuDbError('OUTCOME_UNKNOWN', `The upstream ${upstream} was lost during a write: ${reason}`, {
        cause,
      })
    : shibuDbError('BRIDGE_UNAVAILABLE', `The upstream ${upstream} cannot be reached: ${reason}`, { cause });
}

/** @throws UNSUPPORTED where a call has to do with metadata: the upstream keeps none */
export function refuseMetadata(
  upstream: string,
  call: string,
  args: { metadata?: unknown; where?: unknown; includeMetadata?: unknown; metadataFields?: unknown },
): void {
  for (const name of ['metadata', 'where', 'includeMetadata', 'metadataFields'] as const)
    if (args[name] !== undefined && args[name] !== false)
      throw unsupported(upstream, call, `${name}; it keeps no metadata`);
}
