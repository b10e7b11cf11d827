/**
 * `insertVectors` of any size over a wire whose messages have one: several calls, one after another, that report as one. A bulk
 * insert is atomic by chunks anyhow, and tells how much was acknowledged.
 */

import { withAcknowledged } from '../api/acknowledged.ts';
import type { ArgumentsOf } from '../api/calls.ts';
import type { VectorData } from '../api/database.ts';
import { isShibuDbError } from '../api/errors.ts';
import { takeOver } from './take-over.ts';
import type { TransportOptions } from './transport.ts';

type Arguments = ArgumentsOf<'insertVectors'>;
export type InsertCall = (args: Arguments, options: TransportOptions) => Promise<undefined>;

/** Whether it has to go in parts; what is no such call at all goes as it is, and is refused where all are. */
export function needsParts({ ids, vectors, metadata }: Arguments, partBytes: number): boolean {
  if (metadata !== undefined && (!Array.isArray(metadata) || metadata.length !== ids?.length)) return false;
  return (
    ArrayBuffer.isView(vectors) &&
    vectors.byteLength > partBytes &&
    Number.isInteger(vectors.length / ids?.length)
  );
}

/** @param partBytes bytes of a part's vectors: large enough that the pauses between two do not count */
export async function insertInParts(
  call: InsertCall,
  passed: Arguments,
  partBytes: number,
  { signal, onProgress, transfer }: TransportOptions,
): Promise<undefined> {
  const { ids, vectors, metadata, ...rest } = takeOver(passed, transfer);
  const total = ids.length;
  const perRow = vectors.length / total;
  const rows = Math.max(1, Math.floor(partBytes / (vectors.byteLength / total)));
  for (let from = 0; from < total; from += rows) {
    const until = Math.min(total, from + rows);
    const part: Arguments = {
      ...rest,
      ids: ids.slice(from, until) as Arguments['ids'],
      // Copied: a view would take the whole buffer behind it along.
      vectors: vectors.slice(from * perRow, until * perRow) as VectorData,
      ...(metadata === undefined ? {} : { metadata: metadata.slice(from, until) }),
    };
    try {
      if (signal?.aborted) throw signal.reason;
      await call(part, {
        signal,
        onProgress: onProgress && (({ done }) => onProgress({ done: from + done, total })),
      });
    } catch (error) {
      const acknowledged = isShibuDbError(error) ? Number(error.details.acknowledged ?? 0) : 0;
      throw withAcknowledged(error, from + acknowledged, total);
    }
  }
  return undefined;
}
