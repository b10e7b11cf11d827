/**
 * `insertVectors` of any size over a wire whose frames have one: several calls, one after another, that report as one. A bulk
 * insert is atomic by chunks anyhow, and tells how much was acknowledged.
 */

import type { ArgumentsOf } from '../../api/calls.ts';
import type { VectorData } from '../../api/database.ts';
import { isShibuDbError, shibuDbError } from '../../api/errors.ts';
import type { TransportOptions } from '../../client/transport.ts';

type Arguments = ArgumentsOf<'insertVectors'>;
export type InsertCall = (args: Arguments, options: TransportOptions) => Promise<undefined>;

/** Large enough that the pauses between two do not count. */
const partBytes = 16 * 1024 * 1024;

/** Whether it has to go in parts; what is no such call at all goes as it is, and is refused where all are. */
export function needsParts({ ids, vectors, metadata }: Arguments): boolean {
  if (metadata !== undefined && (!Array.isArray(metadata) || metadata.length !== ids?.length)) return false;
  return (
    ArrayBuffer.isView(vectors) &&
    vectors.byteLength > partBytes &&
    Number.isInteger(vectors.length / ids?.length)
  );
}

export async function insertInParts(
  call: InsertCall,
  args: Arguments,
  options: TransportOptions,
): Promise<undefined> {
  const { ids, vectors, metadata } = args;
  const total = ids.length;
  const perRow = vectors.length / total;
  const rows = Math.max(1, Math.floor(partBytes / (vectors.byteLength / total)));
  const { onProgress, signal } = options;
  for (let from = 0; from < total; from += rows) {
    const until = Math.min(total, from + rows);
    const part: Arguments = {
      ...args,
      ids: ids.slice(from, until) as Arguments['ids'],
      vectors: vectors.subarray(from * perRow, until * perRow) as VectorData,
      ...(metadata === undefined ? {} : { metadata: metadata.slice(from, until) }),
    };
    try {
      await call(part, {
        signal,
        onProgress: onProgress && (({ done }) => onProgress({ done: from + done, total })),
      });
    } catch (error) {
      if (!isShibuDbError(error)) throw error;
      const acknowledged = from + Number(error.details.acknowledged ?? 0);
      throw shibuDbError(error.code, error.message, {
        details: { ...error.details, acknowledged },
        cause: error,
      });
    }
  }
  return undefined;
}
