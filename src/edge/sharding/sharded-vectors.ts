/**
 * Calls on the vectors of a sharded space: writes go to the shard that an id belongs to, searches to all shards, and their hits
 * are merged. While data moves, former owners are asked before new ones: what moves meanwhile is then found at both, and the
 * new owner's answer holds.
 */

import { withAcknowledged } from '../../api/acknowledged.ts';
import type { ArgumentsOf, PackedHits, ResultOf } from '../../api/calls.ts';
import type { SearchHit, VectorData, VectorEntry, VectorId, Where } from '../../api/database.ts';
import { isShibuDbError, PartialResultError } from '../../api/errors.ts';
import { invalid, shown } from '../../base/arguments.ts';
import { packHits, unpackHits } from '../../client/packed-hits.ts';
import type { TransportOptions } from '../../client/transport.ts';
import type { ObjectTransport } from '../object-transport.ts';
import { mergeHits } from './merge.ts';
import { type ByMap, isStale, type ShardDirectory, type SpaceArgument } from './shard-directory.ts';
import { openOnShards, type ShardedScans } from './sharded-scans.ts';

/** Rows of a bulk insert that are under way at once, over all shards. */
const bulkRows = 4096;
/** Deletions of a call that are under way at once. */
const deletesAtOnce = 256;

type Hits = SearchHit<VectorData>[];

export class ShardedVectors {
  readonly #directory: ShardDirectory;
  readonly #scans: ShardedScans;

  constructor(directory: ShardDirectory, scans: ShardedScans) {
    this.#directory = directory;
    this.#scans = scans;
  }

  byId(
    method: 'insertVector' | 'deleteVector' | 'updateMetadata',
    args: { id: VectorId } & SpaceArgument,
    options: TransportOptions,
  ): Promise<unknown> {
    const space = this.#directory.spaceOf(args);
    return this.#directory.byMap(space, async (shards, byMap) => {
      const owner = await this.#directory.shardOf(shards.ownerOf(args.id));
      const former = shards.formerOwnerOf(args.id);
      // Whether there was one to delete is known where it still is.
      const wasThere =
        method === 'deleteVector' && former !== undefined && (await this.#has(former, space, args.id));
      const answer = await owner.call(method, { ...args, space, ...byMap } as never, options);
      return method === 'deleteVector' ? answer === true || wasThere : answer;
    });
  }

  async #has(shard: string, space: string, id: VectorId): Promise<boolean> {
    return (await (await this.#directory.shardOf(shard)).call('getVector', { space, id }, {})) !== undefined;
  }

  async insertMany(args: ArgumentsOf<'insertVectors'>, options: TransportOptions): Promise<undefined> {
    const { ids, vectors, metadata, ...rest } = args;
    if (metadata !== undefined && metadata.length !== ids.length)
      throw invalid(`Got ${metadata.length} records of metadata for ${ids.length} vectors`);
    const space = this.#directory.spaceOf(args);
    const { dimension = 1 } = await this.#directory.infoOf(space);
    const count = ids.length;
    if (
      !ArrayBuffer.isView(vectors) ||
      count === 0 ||
      vectors.length !== count * rowLength(vectors, dimension)
    )
      throw invalid(
        `Got ${count} ids and vectors of ${shown(vectors?.length)} parts, expected ${dimension} each`,
      );
    const width = vectors.length / count;
    let acknowledged = 0;
    try {
      for (let from = 0; from < count; from += bulkRows) {
        options.signal?.throwIfAborted();
        const rows = Array.from({ length: Math.min(bulkRows, count - from) }, (_, i) => from + i);
        await this.#directory.byMap(space, async (shards, byMap) => {
          const parts = Map.groupBy(rows, (row) => shards.ownerOf(ids[row] as VectorId));
          await Promise.all(
            [...parts].map(async ([owner, theirs]) => {
              const part = vectors.slice(0, theirs.length * width);
              for (const [i, row] of theirs.entries())
                part.set(vectors.subarray(row * width, (row + 1) * width), i * width);
              const their = {
                ...rest,
                ...byMap,
                space,
                ids: theirs.map((row) => ids[row] as VectorId),
                vectors: part,
                ...(metadata === undefined ? {} : { metadata: theirs.map((row) => metadata[row]) }),
              };
              await (await this.#directory.shardOf(owner)).call('insertVectors', their, {
                signal: options.signal,
              });
            }),
          );
        });
        acknowledged = from + rows.length;
        options.onProgress?.({ done: acknowledged, total: count });
      }
      return undefined;
    } catch (error) {
      throw withAcknowledged(error, acknowledged, count);
    }
  }

  get<M extends 'getVector' | 'getMetadata'>(
    method: M,
    args: ArgumentsOf<M>,
    options: TransportOptions,
  ): Promise<ResultOf<M>> {
    const space = this.#directory.spaceOf(args);
    return this.#directory.byMap(space, async (shards, byMap) => {
      const ask = async (name: string): Promise<ResultOf<M>> =>
        (await this.#directory.shardOf(name)).call(method, { ...args, space, ...byMap } as never, options);
      const former = shards.formerOwnerOf(args.id);
      const before = former === undefined ? undefined : await ask(former);
      return (await ask(shards.ownerOf(args.id))) ?? (before as ResultOf<M>);
    });
  }

  /** Each by its id: what a filter finds may be on its way from one shard to another. */
  async deleteMany(
    { which, ...rest }: ArgumentsOf<'deleteVectors'>,
    options: TransportOptions,
  ): Promise<number> {
    const space = this.#directory.spaceOf(rest);
    const isFilter = typeof which === 'object' && which !== null && 'where' in which;
    const ids = isFilter ? await this.#idsWhere(space, which.where, options) : [...which];
    let deleted = 0;
    for (let from = 0; from < ids.length; from += deletesAtOnce) {
      options.signal?.throwIfAborted();
      const batch = ids.slice(from, from + deletesAtOnce);
      const were = await Promise.all(batch.map((id) => this.byId('deleteVector', { space, id }, options)));
      deleted += were.filter((was) => was === true).length;
    }
    return deleted;
  }

  async #idsWhere(space: string, where: Where, options: TransportOptions): Promise<VectorId[]> {
    const scan = await this.scan({ space, where }, options);
    const ids: VectorId[] = [];
    for (;;) {
      const { items, done } = await this.#scans.step(scan);
      for (const { id } of items as VectorEntry<VectorData>[]) ids.push(id);
      if (done) return ids;
    }
  }

  scan(args: ArgumentsOf<'scanVectorsOpen'>, options: TransportOptions): Promise<number> {
    const space = this.#directory.spaceOf(args);
    return this.#directory.byMap(space, async (shards, byMap) => {
      const open = { ...args, space, ...byMap };
      const parts = await openOnShards(shards, this.#directory.shardOf, (shard) =>
        shard.call('scanVectorsOpen', open, options),
      );
      return this.#scans.keep(parts, { limit: args.limit });
    });
  }

  async count(args: SpaceArgument, options: TransportOptions): Promise<number> {
    const space = this.#directory.spaceOf(args);
    const counts = await this.#directory.onAll(space, (shard, byMap) =>
      shard.call('countVectors', { ...args, space, ...byMap }, options),
    );
    return counts.reduce((total, count) => total + count, 0);
  }

  async search<M extends 'searchTopK' | 'rangeSearch'>(
    method: M,
    args: ArgumentsOf<M> & { allowPartial?: boolean },
    most: number,
    options: TransportOptions,
  ): Promise<Hits> {
    const { allowPartial = false, ...rest } = args;
    const found = await this.#fromAll(args, most, async (shard, carried) => [
      (await shard.call(method, { ...rest, ...carried } as never, options)) as Hits,
    ]);
    const [hits = []] = found.merged;
    if (found.failure === undefined || allowPartial) return hits;
    throw new PartialResultError(found.failure.message, hits, found.failure.cause);
  }

  /** One call to each shard. @throws PARTIAL_RESULT with the hits of each query */
  async searchMany(args: ArgumentsOf<'searchTopKBatch'>, options: TransportOptions): Promise<PackedHits> {
    const found = await this.#fromAll(args, args.k, async (shard, carried) =>
      unpackHits(await shard.call('searchTopKBatch', { ...args, ...carried }, options)),
    );
    if (found.failure === undefined) return packHits(found.merged, args);
    throw new PartialResultError(found.failure.message, found.merged, found.failure.cause);
  }

  /** Asks all shards for the hits of one query or more, and merges each query's. */
  async #fromAll(
    args: SpaceArgument,
    most: number,
    ask: (shard: ObjectTransport, carried: ByMap & { space: string }) => Promise<Hits[]>,
  ): Promise<{ merged: Hits[]; failure?: { message: string; cause: unknown } }> {
    const space = this.#directory.spaceOf(args);
    const { metric = 'L2' } = await this.#directory.infoOf(space);
    return this.#directory.byMap(space, async (shards, byMap) => {
      const failures: { shard: string; error: unknown }[] = [];
      const askThese = (names: readonly string[]): Promise<Hits[][]> =>
        Promise.all(
          names.map(async (name) => {
            try {
              return await ask(await this.#directory.shardOf(name), { space, ...byMap });
            } catch (error) {
              if (isStale(error) || isCallersFault(error)) throw error;
              failures.push({ shard: name, error });
              return [];
            }
          }),
        );
      const { sources, targets } = shards.inReadingOrder;
      const before = await askThese(sources);
      const answers = [...before, ...(await askThese(targets))];
      const queries = Math.max(...answers.map((lists) => lists.length));
      const merged = Array.from({ length: queries }, (_, query) =>
        mergeHits(
          answers.map((lists) => lists[query] ?? []),
          most,
          metric,
        ),
      );
      const [failed] = failures;
      if (failed === undefined) return { merged };
      const names = failures.map(({ shard }) => `"${shard}"`).join(', ');
      const message = `Got no answer from ${names} of ${answers.length} shards; the hits of the others are in \`hits\``;
      return { merged, failure: { message, cause: failed.error } };
    });
  }
}

/** Packed bits take an eighth. What does not fit at all is refused by the shards. */
function rowLength(vectors: VectorData, dimension: number): number {
  return vectors instanceof Uint8Array ? Math.ceil(dimension / 8) : dimension;
}

/** All shards would say the same. */
function isCallersFault(error: unknown): boolean {
  return (
    isShibuDbError(error) &&
    [
      'INVALID_ARGUMENT',
      'WRONG_ENGINE',
      'SPACE_NOT_FOUND',
      'UNSUPPORTED',
      'ABORTED',
      'TIMEOUT',
      'NOT_AUTHENTICATED',
      'PERMISSION_DENIED',
      'INVALID_CREDENTIALS',
    ].includes(error.code)
  );
}
