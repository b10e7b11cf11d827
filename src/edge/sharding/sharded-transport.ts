/**
 * The transport of a sharded space's caller: writes go to the shard that an id belongs to, searches to all shards, and their
 * hits are merged. Every call says by which version of the map it was made; a shard that knows another refuses it, nothing
 * having been done, and the call is made again by the newer map.
 *
 * While data moves, former owners are asked before new ones: what moves meanwhile is then found at both, and the new owner's
 * answer holds.
 */

import { withAcknowledged } from '../../api/acknowledged.ts';
import type { ArgumentsOf, Method, ResultOf } from '../../api/calls.ts';
import type {
  SearchHit,
  SpaceDescription,
  SpaceInfo,
  VectorData,
  VectorId,
  Where,
} from '../../api/database.ts';
import { isShibuDbError, PartialResultError, shibuDbError } from '../../api/errors.ts';
import { invalid, shown } from '../../base/arguments.ts';
import type { Transport, TransportOptions } from '../../client/transport.ts';
import type { ObjectTransport } from '../object-transport.ts';
import { mergeHits } from './merge.ts';
import { type ShardMap, Shards, virtualShardsDefault } from './shard-map.ts';
import { ShardedScans, type ShardScan } from './sharded-scans.ts';

/** Rows of a bulk insert that are under way at once, over all shards. */
const bulkRows = 4096;
/** Deletions of a call that are under way at once. */
const deletesAtOnce = 256;
/** How often a call follows a map that changes. */
const attemptsMax = 20;

type Hits = SearchHit<VectorData>[];

export class ShardedTransport implements Transport {
  readonly #shardOf: (name: string) => Promise<ObjectTransport>;
  readonly #initial: readonly string[];
  readonly #releaseAll: () => void;
  readonly #maps: Map<string, Promise<Shards>> = new Map();
  readonly #infos: Map<string, SpaceInfo> = new Map();
  readonly #scans: ShardedScans = new ShardedScans();
  #current: string | undefined;

  /**
   * @param shardOf a shard by name, signed in; the same one each time
   * @param initial the shards of new spaces; the first one is asked for maps
   * @param releaseAll lets all shards go
   */
  constructor(
    shardOf: (name: string) => Promise<ObjectTransport>,
    initial: readonly string[],
    releaseAll: () => void,
  ) {
    this.#releaseAll = releaseAll;
    this.#shardOf = shardOf;
    this.#initial = initial;
  }

  async call<M extends Method>(
    method: M,
    args: ArgumentsOf<M>,
    options: TransportOptions,
  ): Promise<ResultOf<M>> {
    return (await this.#run(method, args as never, options)) as ResultOf<M>;
  }

  release(): void {
    this.#releaseAll();
  }

  #run(method: Method, args: never, options: TransportOptions): unknown {
    switch (method) {
      case 'useSpace':
        return this.#use(args);
      case 'createSpace':
        return this.#create(args, options);
      case 'deleteSpace':
        return this.#delete(args, options);
      case 'listSpaces':
        return this.#first().then((first) => first.call('listSpaces', {}, options));
      case 'describeSpace':
        return this.#describe(args, options);
      case 'insertVector':
      case 'deleteVector':
      case 'updateMetadata':
        return this.#byId(method, args, options);
      case 'insertVectors':
        return this.#insertMany(args, options);
      case 'getVector':
      case 'getMetadata':
        return this.#get(method, args, options);
      case 'deleteVectors':
        return this.#deleteMany(args, options);
      case 'scanVectorsOpen':
        return this.#scan(args, options);
      case 'scanNext':
        return this.#scans.step((args as ArgumentsOf<'scanNext'>).scan);
      case 'scanClose':
        return Promise.resolve(this.#scans.close((args as ArgumentsOf<'scanClose'>).scan));
      case 'countVectors':
        return this.#count(args, options);
      case 'searchTopK':
        return this.#search('searchTopK', args, (args as ArgumentsOf<'searchTopK'>).k, options);
      case 'rangeSearch':
        return this.#search(
          'rangeSearch',
          args,
          (args as ArgumentsOf<'rangeSearch'>).limit ?? 10_000,
          options,
        );
      case 'waitForIndex':
        return this.#onAll(this.#spaceOf(args), (shard) => shard.call('waitForIndex', args, options));
      case 'close':
        return Promise.resolve(undefined);
      default:
        return Promise.reject(
          shibuDbError('UNSUPPORTED', `${method} is not there for sharded spaces: call it on a shard`),
        );
    }
  }

  // --- spaces -----------------------------------------------------------------------------------------------------

  async #use({ name }: ArgumentsOf<'useSpace'>): Promise<undefined> {
    await this.#shards(name);
    this.#current = name;
    return undefined;
  }

  async #create(args: ArgumentsOf<'createSpace'>, options: TransportOptions): Promise<undefined> {
    if (args.engine !== 'vector')
      throw shibuDbError(
        'UNSUPPORTED',
        `Got engine ${shown(args.engine)}, expected "vector" for a sharded space`,
      );
    const [directory] = this.#initial;
    if (directory === undefined) throw invalid('Got no shards, expected the name of at least one');
    // The first one decides whether there is such a space; on the others one may be left of an attempt that failed.
    for (const name of this.#initial) {
      const shard = await this.#shardOf(name);
      await shard.call('createSpace', args, options).catch((error: unknown) => {
        if (name === directory || !isShibuDbError(error) || error.code !== 'SPACE_EXISTS') throw error;
      });
    }
    const map: ShardMap = { version: 1, virtualShards: virtualShardsDefault, shards: this.#initial };
    await this.#publish(args.name, map);
    return undefined;
  }

  async #delete({ name }: ArgumentsOf<'deleteSpace'>, options: TransportOptions): Promise<undefined> {
    const { map } = await this.#shards(name);
    this.#maps.delete(name);
    this.#infos.delete(name);
    // The directory last: until then the space is there and can be deleted again.
    for (const shard of [...new Set([...map.shards, ...(map.from ?? [])])].reverse()) {
      await (await this.#shardOf(shard)).call('deleteSpace', { name }, options).catch((error: unknown) => {
        if (!isShibuDbError(error) || error.code !== 'SPACE_NOT_FOUND') throw error;
      });
    }
    return undefined;
  }

  async #describe(
    { name }: ArgumentsOf<'describeSpace'>,
    options: TransportOptions,
  ): Promise<SpaceDescription> {
    const all = await this.#onAll(name, (shard) => shard.call('describeSpace', { name }, options));
    const [first] = all as [SpaceDescription];
    const sum = (read: (one: SpaceDescription) => number): number =>
      all.reduce((total, one) => total + read(one), 0);
    return {
      ...first,
      count: sum(({ count }) => count),
      memoryBytes: sum(({ memoryBytes }) => memoryBytes),
      storedBytes: sum(({ storedBytes }) => storedBytes),
      index: {
        linked: sum(({ index }) => index?.linked ?? 0),
        pending: sum(({ index }) => index?.pending ?? 0),
      },
    };
  }

  // --- vectors ----------------------------------------------------------------------------------------------------

  #byId(
    method: 'insertVector' | 'deleteVector' | 'updateMetadata',
    args: { id: VectorId } & SpaceArgument,
    options: TransportOptions,
  ): Promise<unknown> {
    const space = this.#spaceOf(args);
    return this.#byMap(space, async (shards, byMap) => {
      const owner = await this.#shardOf(shards.ownerOf(args.id));
      const former = shards.formerOwnerOf(args.id);
      // Whether there was one to delete is known where it still is.
      const wasThere =
        method === 'deleteVector' && former !== undefined && (await this.#has(former, space, args.id));
      const answer = await owner.call(method, { ...args, space, ...byMap } as never, options);
      return method === 'deleteVector' ? answer === true || wasThere : answer;
    });
  }

  async #has(shard: string, space: string, id: VectorId): Promise<boolean> {
    return (await (await this.#shardOf(shard)).call('getVector', { space, id }, {})) !== undefined;
  }

  async #insertMany(args: ArgumentsOf<'insertVectors'>, options: TransportOptions): Promise<undefined> {
    const { ids, vectors, metadata, ...rest } = args;
    if (metadata !== undefined && metadata.length !== ids.length)
      throw invalid(`Got ${metadata.length} records of metadata for ${ids.length} vectors`);
    const space = this.#spaceOf(args);
    const { dimension = 1 } = await this.#infoOf(space);
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
        await this.#byMap(space, async (shards, byMap) => {
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
              await (await this.#shardOf(owner)).call('insertVectors', their, { signal: options.signal });
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

  #get<M extends 'getVector' | 'getMetadata'>(
    method: M,
    args: ArgumentsOf<M>,
    options: TransportOptions,
  ): Promise<ResultOf<M>> {
    const space = this.#spaceOf(args);
    return this.#byMap(space, async (shards, byMap) => {
      const ask = async (name: string): Promise<ResultOf<M>> =>
        (await this.#shardOf(name)).call(method, { ...args, space, ...byMap } as never, options);
      const former = shards.formerOwnerOf(args.id);
      const before = former === undefined ? undefined : await ask(former);
      return (await ask(shards.ownerOf(args.id))) ?? (before as ResultOf<M>);
    });
  }

  /** Each by its id: what a filter finds may be on its way from one shard to another. */
  async #deleteMany(
    { which, ...rest }: ArgumentsOf<'deleteVectors'>,
    options: TransportOptions,
  ): Promise<number> {
    const space = this.#spaceOf(rest);
    const isFilter = typeof which === 'object' && which !== null && 'where' in which;
    const ids = isFilter ? await this.#idsWhere(space, which.where, options) : [...which];
    let deleted = 0;
    for (let from = 0; from < ids.length; from += deletesAtOnce) {
      options.signal?.throwIfAborted();
      const batch = ids.slice(from, from + deletesAtOnce);
      const were = await Promise.all(batch.map((id) => this.#byId('deleteVector', { space, id }, options)));
      deleted += were.filter((was) => was === true).length;
    }
    return deleted;
  }

  async #idsWhere(space: string, where: Where, options: TransportOptions): Promise<VectorId[]> {
    const scan = await this.#scan({ space, where }, options);
    const ids: VectorId[] = [];
    for (;;) {
      const { items, done } = await this.#scans.step(scan);
      for (const { id } of items) ids.push(id);
      if (done) return ids;
    }
  }

  #scan(args: ArgumentsOf<'scanVectorsOpen'>, options: TransportOptions): Promise<number> {
    const space = this.#spaceOf(args);
    return this.#byMap(space, async (shards, byMap) => {
      const { sources, targets } = shards.inReadingOrder;
      const open = async (name: string): Promise<ShardScan> => {
        const shard = await this.#shardOf(name);
        const scan = await shard.call('scanVectorsOpen', { ...args, space, ...byMap } as never, options);
        return {
          next: () => shard.call('scanNext', { scan }, {}) as ReturnType<ShardScan['next']>,
          close: () => void shard.call('scanClose', { scan }, {}).catch(() => {}),
        };
      };
      const parts: ShardScan[] = [];
      try {
        for (const names of [sources, targets]) {
          const opened = await Promise.allSettled(names.map(open));
          for (const one of opened) if (one.status === 'fulfilled') parts.push(one.value);
          const failed = opened.find((one) => one.status === 'rejected');
          if (failed !== undefined) throw failed.reason;
        }
      } catch (error) {
        for (const part of parts) part.close();
        throw error;
      }
      return this.#scans.keep(parts, args.limit ?? Number.POSITIVE_INFINITY);
    });
  }

  async #count(args: SpaceArgument, options: TransportOptions): Promise<number> {
    const space = this.#spaceOf(args);
    const counts = await this.#onAll(space, (shard, byMap) =>
      shard.call('countVectors', { ...args, space, ...byMap }, options),
    );
    return counts.reduce((total, count) => total + count, 0);
  }

  async #search<M extends 'searchTopK' | 'rangeSearch'>(
    method: M,
    args: ArgumentsOf<M> & { allowPartial?: boolean },
    most: number,
    options: TransportOptions,
  ): Promise<Hits> {
    const { allowPartial = false, ...rest } = args;
    const space = this.#spaceOf(args);
    const { metric = 'L2' } = await this.#infoOf(space);
    return this.#byMap(space, async (shards, byMap) => {
      const failures: { shard: string; error: unknown }[] = [];
      const ask = (names: readonly string[]): Promise<Hits[]> =>
        Promise.all(
          names.map(async (name) => {
            try {
              const shard = await this.#shardOf(name);
              return (await shard.call(method, { ...rest, space, ...byMap } as never, options)) as Hits;
            } catch (error) {
              if (isStale(error) || isCallersFault(error)) throw error;
              failures.push({ shard: name, error });
              return [];
            }
          }),
        );
      const { sources, targets } = shards.inReadingOrder;
      const before = await ask(sources);
      const lists = [...before, ...(await ask(targets))];
      const hits = mergeHits(lists, most, metric);
      const [failed] = failures;
      if (failed === undefined || allowPartial) return hits;
      throw new PartialResultError(
        `Got no answer from ${failures.map(({ shard }) => `"${shard}"`).join(', ')} of ${lists.length} shards; the hits of the others are in \`hits\``,
        hits,
        failed.error,
      );
    });
  }

  // --- maps -------------------------------------------------------------------------------------------------------

  #spaceOf({ space = this.#current }: SpaceArgument): string {
    if (space === undefined)
      throw shibuDbError('NO_SPACE_SELECTED', 'No space was named: pass { space } or call useSpace first');
    return space;
  }

  #first(): Promise<ObjectTransport> {
    return this.#shardOf(this.#initial[0] as string);
  }

  async #infoOf(space: string): Promise<SpaceInfo> {
    let info = this.#infos.get(space);
    if (info === undefined) {
      const spaces = await (await this.#first()).call('listSpaces', {}, {});
      info = spaces.find(({ name }) => name === space);
      if (info === undefined) throw shibuDbError('SPACE_NOT_FOUND', `There is no space "${space}"`);
      this.#infos.set(space, info);
    }
    return info;
  }

  /** @throws SPACE_NOT_FOUND */
  #shards(space: string): Promise<Shards> {
    let shards = this.#maps.get(space);
    if (shards === undefined) {
      shards = this.#load(space);
      shards.catch(() => this.#maps.delete(space));
      this.#maps.set(space, shards);
    }
    return shards;
  }

  async #load(space: string): Promise<Shards> {
    await this.#infoOf(space);
    const map = await (await this.#first()).shardCall('shardMap', { space });
    if (map === undefined)
      throw shibuDbError('UNSUPPORTED', `The space "${space}" is not sharded: reach it by connectObject`);
    return new Shards(map);
  }

  /** The current map. */
  async mapOf(space: string): Promise<ShardMap> {
    this.#maps.delete(space);
    return (await this.#shards(space)).map;
  }

  /** Tells a map to all who must know it, the directory first: from then on it is what counts. */
  async #publish(space: string, map: ShardMap): Promise<void> {
    const names = [...new Set([...map.shards, ...(map.from ?? [])])];
    for (const self of names) {
      const kept = await (await this.#shardOf(self)).shardCall('shardAdopt', { space, self, map });
      if (kept.version > map.version || JSON.stringify(kept) !== JSON.stringify(map))
        throw shibuDbError('NOT_OWNER', `Somebody else changed the shards of "${space}" meanwhile`);
    }
    this.#maps.set(space, Promise.resolve(new Shards(map)));
  }

  /** Runs `work` by the map there is, again by a newer one if it was not. */
  async #byMap<Result>(
    space: string,
    work: (shards: Shards, byMap: ByMap) => Promise<Result>,
  ): Promise<Result> {
    for (let attempt = 1; ; attempt++) {
      const shards = await this.#shards(space);
      try {
        return await work(shards, { shardVersion: shards.map.version });
      } catch (error) {
        if (!isStale(error) || attempt >= attemptsMax) throw error;
        this.#maps.delete(space);
        // A shard may know less than the directory: whoever published the map has not told it yet, or has died.
        const { map } = await this.#shards(space);
        if (map.version === shards.map.version) await this.#publish(space, map);
      }
    }
  }

  #onAll<Result>(
    space: string,
    work: (shard: ObjectTransport, byMap: ByMap) => Promise<Result>,
  ): Promise<Result[]> {
    return this.#byMap(space, async (shards, byMap) => {
      const { sources, targets } = shards.inReadingOrder;
      return Promise.all(
        [...sources, ...targets].map(async (name) => work(await this.#shardOf(name), byMap)),
      );
    });
  }

  // --- growing ----------------------------------------------------------------------------------------------------

  /**
   * Adds shards to a space and moves what becomes theirs, while others read and write. Stopped in the middle it goes on by
   * another call, with the same names or none.
   */
  async addShards(space: string, names: readonly string[], options: TransportOptions): Promise<void> {
    let map = await this.mapOf(space);
    const added = names.filter((name) => !map.shards.includes(name));
    if (map.from !== undefined && added.length > 0)
      throw shibuDbError(
        'NOT_OWNER',
        `The shards of "${space}" are being changed already: finish that first`,
      );
    if (added.length > 0) {
      const { name, engine, ...info } = await this.#infoOf(space);
      for (const shard of added) {
        const target = await this.#shardOf(shard);
        await target
          .call('createSpace', { name, engine, options: info as never }, options)
          .catch((error: unknown) => {
            if (!isShibuDbError(error) || error.code !== 'SPACE_EXISTS') throw error;
          });
      }
      map = { ...map, version: map.version + 1, shards: [...map.shards, ...added], from: map.shards };
    }
    if (map.from === undefined) return;
    await this.#publish(space, map);
    const targets = map.shards.filter((shard) => !map.from?.includes(shard));
    let moved = 0;
    for (const target of targets) {
      const shard = await this.#shardOf(target);
      for (;;) {
        if (options.signal?.aborted)
          throw shibuDbError('ABORTED', `addShards was aborted after ${moved} vectors; another call goes on`);
        const batch = await shard.shardCall('shardPull', { space });
        if (batch === 0) break;
        moved += batch;
        options.onProgress?.({ done: moved, total: moved });
      }
    }
    const { from: _, ...settled } = map;
    await this.#publish(space, { ...settled, version: map.version + 1 });
  }
}

interface SpaceArgument {
  readonly space?: string | undefined;
}

interface ByMap {
  readonly shardVersion: number;
}

/** Packed bits take an eighth. What does not fit at all is refused by the shards. */
function rowLength(vectors: VectorData, dimension: number): number {
  return vectors instanceof Uint8Array ? Math.ceil(dimension / 8) : dimension;
}

function isStale(error: unknown): boolean {
  return isShibuDbError(error) && error.code === 'NOT_OWNER';
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
