/**
 * `insertVectors` of any size over a wire whose messages have one: several calls that report as one. A bulk
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

export interface PartOptions {
  /** Bytes of a part's vectors. */
  readonly partBytes: number;
  /** Calls under way at once, so that the way there and back costs nothing. */
  readonly inFlight: number;
}

interface Part {
  readonly from: number;
  readonly done: Promise<unknown>;
}

export async function insertInParts(
  call: InsertCall,
  passed: Arguments,
  { partBytes, inFlight }: PartOptions,
  { signal, onProgress, transfer }: TransportOptions,
): Promise<undefined> {
  const { ids, vectors, metadata, ...rest } = takeOver(passed, transfer);
  const total = ids.length;
  const perRow = vectors.length / total;
  const rows = Math.max(1, Math.floor(partBytes / (vectors.byteLength / total)));
  const begin = (from: number): Part => {
    const until = Math.min(total, from + rows);
    const part: Arguments = {
      ...rest,
      ids: ids.slice(from, until) as Arguments['ids'],
      // Copied: a view would take the whole buffer behind it along.
      vectors: vectors.slice(from * perRow, until * perRow) as VectorData,
      ...(metadata === undefined ? {} : { metadata: metadata.slice(from, until) }),
    };
    const done = call(part, {
      signal,
      // Of the first that is under way: those behind it do not count before it is done.
      onProgress:
        onProgress &&
        ((progress) => {
          if (underWay[0]?.from === from) onProgress({ done: from + progress.done, total });
        }),
    });
    // Observed in their order; until then a failure must not count as unhandled.
    done.catch(() => {});
    return { from, done };
  };
  const underWay: Part[] = [];
  // Metadata may make several chunks of a part, and then they could overtake those of the next one: a later row must win.
  const most = metadata === undefined ? inFlight : 1;
  let acknowledged = 0;
  try {
    for (let from = 0; from < total || underWay.length > 0; ) {
      if (from < total && underWay.length < most) {
        if (signal?.aborted) throw signal.reason;
        underWay.push(begin(from));
        from += rows;
        continue;
      }
      const first = underWay[0] as Part;
      await first.done;
      acknowledged = Math.min(total, first.from + rows);
      underWay.shift();
      onProgress?.({ done: acknowledged, total });
    }
  } catch (error) {
    // Those behind a part that failed fail or succeed by themselves: only the prefix is told.
    for (const { from, done } of underWay) {
      const failure = await done.then(() => undefined, asFailure);
      acknowledged = failure === undefined ? Math.min(total, from + rows) : from + failure.acknowledged;
      if (failure === undefined) continue;
      await Promise.allSettled(underWay.map((part) => part.done));
      throw withAcknowledged(failure.error, acknowledged, total);
    }
    throw withAcknowledged(error, acknowledged, total);
  }
  return undefined;
}

function asFailure(error: unknown): { error: unknown; acknowledged: number } {
  return { error, acknowledged: isShibuDbError(error) ? Number(error.details.acknowledged ?? 0) : 0 };
}
