/**
 * The transport of a sharded space's caller: sends each call on the way that it takes (sharded-vectors.ts, sharded-keys.ts), and
 * makes, tells of and deletes spaces on all their shards.
 */

import { type ArgumentsOf, callerOf, type Method, type ResultOf } from '../../api/calls.ts';
import type { SpaceDescription } from '../../api/database.ts';
import { isShibuDbError, shibuDbError } from '../../api/errors.ts';
import { invalid } from '../../base/arguments.ts';
import type { Transport, TransportOptions } from '../../client/transport.ts';
import type { ObjectTransport } from '../object-transport.ts';
import { addShards } from './add-shards.ts';
import { ShardDirectory } from './shard-directory.ts';
import { type ShardMap, virtualShardsDefault } from './shard-map.ts';
import { ShardedKeys } from './sharded-keys.ts';
import { ShardedScans } from './sharded-scans.ts';
import { ShardedVectors } from './sharded-vectors.ts';

export class ShardedTransport implements Transport {
  readonly #directory: ShardDirectory;
  readonly #releaseAll: () => void;
  readonly #scans: ShardedScans = new ShardedScans();
  readonly #vectors: ShardedVectors;
  readonly #keys: ShardedKeys;

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
    this.#directory = new ShardDirectory(shardOf, initial);
    this.#vectors = new ShardedVectors(this.#directory, this.#scans);
    this.#keys = new ShardedKeys(this.#directory, this.#scans);
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
        return this.#directory.first().then((first) => first.call('listSpaces', {}, options));
      case 'describeSpace':
        return this.#describe(args, options);
      case 'insertVector':
      case 'deleteVector':
      case 'updateMetadata':
        return this.#vectors.byId(method, args, options);
      case 'insertVectors':
        return this.#vectors.insertMany(args, options);
      case 'getVector':
      case 'getMetadata':
        return this.#vectors.get(method, args, options);
      case 'deleteVectors':
        return this.#vectors.deleteMany(args, options);
      case 'scanVectorsOpen':
        return this.#vectors.scan(args, options);
      case 'scanNext':
        return this.#scans.step((args as ArgumentsOf<'scanNext'>).scan);
      case 'scanClose':
        return Promise.resolve(this.#scans.close((args as ArgumentsOf<'scanClose'>).scan));
      case 'put':
      case 'get':
      case 'delete':
      case 'exists':
      case 'increment':
      case 'putIf':
      case 'expire':
      case 'ttl':
        return this.#keys.one(method, args, options);
      case 'putMany':
      case 'getMany':
      case 'deleteMany':
        return this.#keys.many(method, args, options);
      case 'size':
        return this.#keys.size(args, options);
      case 'clear':
        return this.#keys.clear(args, options);
      case 'scanOpen':
        return this.#keys.scan(args, options);
      case 'countVectors':
        return this.#vectors.count(args, options);
      case 'searchTopK':
        return this.#vectors.search('searchTopK', args, (args as ArgumentsOf<'searchTopK'>).k, options);
      case 'searchTopKBatch':
        return this.#vectors.searchMany(args, options);
      case 'rangeSearch':
        return this.#vectors.search(
          'rangeSearch',
          args,
          (args as ArgumentsOf<'rangeSearch'>).limit ?? 10_000,
          options,
        );
      case 'waitForIndex':
        return this.#directory.onAll(this.#directory.spaceOf(args), (shard) =>
          shard.call('waitForIndex', args, options),
        );
      case 'close':
        return Promise.resolve(undefined);
      default:
        return Promise.reject(
          shibuDbError(
            'UNSUPPORTED',
            `${callerOf(method)} is not there for sharded spaces: call it on a shard`,
          ),
        );
    }
  }

  // --- spaces -----------------------------------------------------------------------------------------------------

  async #use({ name }: ArgumentsOf<'useSpace'>): Promise<undefined> {
    await this.#directory.shards(name);
    this.#directory.current = name;
    return undefined;
  }

  async #create(args: ArgumentsOf<'createSpace'>, transport: TransportOptions): Promise<undefined> {
    const [directory] = this.#directory.initial;
    if (directory === undefined) throw invalid('Got no shards, expected the name of at least one');
    // The first one decides whether there is such a space; on the others one may be left of an attempt that failed.
    for (const name of this.#directory.initial) {
      const shard = await this.#directory.shardOf(name);
      await shard.call('createSpace', args, transport).catch((error: unknown) => {
        if (name === directory || !isShibuDbError(error) || error.code !== 'SPACE_EXISTS') throw error;
      });
    }
    const { name: space, engine } = args;
    // As it will be read again: maps are compared.
    const options = JSON.parse(JSON.stringify(args.options)) as ShardMap['options'];
    const shards = this.#directory.initial;
    await this.#directory.publish(space, {
      version: 1,
      engine,
      options,
      virtualShards: virtualShardsDefault,
      shards,
    });
    return undefined;
  }

  async #delete({ name }: ArgumentsOf<'deleteSpace'>, options: TransportOptions): Promise<undefined> {
    const { map } = await this.#directory.shards(name);
    this.#directory.forget(name);
    // The directory last: until then the space is there and can be deleted again.
    for (const shard of [...new Set([...map.shards, ...(map.from ?? [])])].reverse()) {
      await (await this.#directory.shardOf(shard))
        .call('deleteSpace', { name }, options)
        .catch((error: unknown) => {
          if (!isShibuDbError(error) || error.code !== 'SPACE_NOT_FOUND') throw error;
        });
    }
    return undefined;
  }

  async #describe(
    { name }: ArgumentsOf<'describeSpace'>,
    options: TransportOptions,
  ): Promise<SpaceDescription> {
    const all = await this.#directory.onAll(name, (shard) => shard.call('describeSpace', { name }, options));
    const [first] = all as [SpaceDescription];
    const sum = (read: (one: SpaceDescription) => number): number =>
      all.reduce((total, one) => total + read(one), 0);
    return {
      ...first,
      count: sum(({ count }) => count),
      memoryBytes: sum(({ memoryBytes }) => memoryBytes),
      storedBytes: sum(({ storedBytes }) => storedBytes),
      ...(first.index === undefined
        ? {}
        : {
            index: {
              linked: sum(({ index }) => index?.linked ?? 0),
              pending: sum(({ index }) => index?.pending ?? 0),
            },
          }),
    };
  }

  mapOf(space: string): Promise<ShardMap> {
    return this.#directory.mapOf(space);
  }

  addShards(space: string, names: readonly string[], options: TransportOptions): Promise<void> {
    return addShards(this.#directory, space, names, options);
  }
}
