/** A bulk insert in pieces that fit into one RPC message each: still atomic per chunk, as `insertVectors` promises. */

import { withAcknowledged } from '../api/acknowledged.ts';
import type { ArgumentsOf } from '../api/calls.ts';
import { isShibuDbError } from '../api/errors.ts';
import type { TransportOptions } from '../client/transport.ts';

type Bulk = ArgumentsOf<'insertVectors'>;

/** Messages may have 32 MiB; a quarter leaves room for ids and metadata, and for others in the isolate. */
const pieceBytesMax = 8 * 1024 * 1024;

/** Whether it has to be cut. What makes no sense is refused by the session, not here. */
export function isLargeBulk({ ids, vectors }: Bulk): boolean {
  if (!ArrayBuffer.isView(vectors) || !(Array.isArray(ids) || ArrayBuffer.isView(ids))) return false;
  return vectors.byteLength > pieceBytesMax && ids.length > 1 && vectors.length % ids.length === 0;
}

/** @throws what `send` throws, with `details.acknowledged` counted over all pieces */
export async function insertInPieces(
  args: Bulk,
  options: TransportOptions,
  send: (piece: Bulk, options: TransportOptions) => Promise<undefined>,
): Promise<undefined> {
  const { ids, vectors, ...rest } = args;
  const width = vectors.length / ids.length;
  const rows = Math.max(1, Math.floor(pieceBytesMax / (width * vectors.BYTES_PER_ELEMENT)));
  for (let from = 0; from < ids.length; from += rows) {
    const to = Math.min(ids.length, from + rows);
    const piece = {
      ...partOfEach(rest, ids.length, from, to),
      ids: ids.slice(from, to),
      // Copied: a view would travel with the whole buffer behind it.
      vectors: vectors.slice(from * width, to * width),
    } as Bulk;
    try {
      options.signal?.throwIfAborted();
      await send(piece, {
        ...options,
        onProgress: ({ done }) => options.onProgress?.({ done: from + done, total: ids.length }),
      });
    } catch (error) {
      const acknowledged = isShibuDbError(error) ? Number(error.details.acknowledged ?? 0) : 0;
      throw withAcknowledged(error, from + acknowledged, ids.length);
    }
  }
  return undefined;
}

/** Whatever else there is one of for each vector. */
function partOfEach(rest: object, count: number, from: number, to: number): object {
  return Object.fromEntries(
    Object.entries(rest).map(([name, value]) => [
      name,
      Array.isArray(value) && value.length === count ? value.slice(from, to) : value,
    ]),
  );
}
