/**
 * A ShibuDB server, over pooled TCP connections. It answers single calls on keys and vectors, and no more: what it acknowledges
 * it may lose when it is killed, so only durability `none` is true of it; its vectors come back with six decimals, so they are not
 * given back at all.
 */

import type {
  SearchHit,
  SpaceDescription,
  SpaceInfo,
  UpstreamInfo,
  VectorData,
  VectorId,
} from '../../api/database.ts';
import { isShibuDbError, type ShibuDbError, shibuDbError } from '../../api/errors.ts';
import { integerIn, invalid, shown, wellFormedText } from '../../base/arguments.ts';
import { packHits } from '../../client/packed-hits.ts';
import type { NewSpace } from '../../engine/space-catalog.ts';
import { checkKey } from '../../space/key-value-space.ts';
import { checkInt, checkInts, toPublicId } from '../../space/vector-ids.ts';
import { checkPacked, checkQueries, checkVector } from '../../space/vector-input.ts';
import { kMax } from '../../space/vector-space.ts';
import { entriesOf } from './entries.ts';
import { AnswerLost, LineClient } from './line-client.ts';
import {
  lost,
  refuseMetadata,
  spaceNotFound,
  type Upstream,
  type UpstreamCalls,
  unsupported,
} from './upstream.ts';

const name = 'shibudb';
const defaultPort = 4444;
const connections = 8;

interface Answer {
  readonly status: string;
  readonly message?: string;
  readonly value?: string;
}

const metrics: ReadonlySet<string> = new Set([
  'L2',
  'InnerProduct',
  'L1',
  'Linf',
  'Lp',
  'Canberra',
  'BrayCurtis',
  'JensenShannon',
]);

export class ShibuDbUpstream implements Upstream {
  readonly info: UpstreamInfo = {
    name,
    durability: 'none: acknowledged writes may be lost when it is killed',
    atomicity: 'one key, one vector',
    order: 'no scans',
    ids: 'int',
    metrics: [...metrics].join(', '),
    retries: 'reads; a write that was sent and not answered fails with OUTCOME_UNKNOWN',
  };
  readonly calls: UpstreamCalls;
  readonly #client: LineClient;
  readonly #spaces: Map<string, SpaceInfo> = new Map();

  private constructor(client: LineClient) {
    this.#client = client;
    this.calls = this.#makeCalls();
  }

  static async open(url: URL): Promise<Upstream> {
    const login = JSON.stringify({
      username: decodeURIComponent(url.username),
      password: decodeURIComponent(url.password),
    });
    const client = new LineClient({
      host: url.hostname.replace(/^\[|\]$/g, ''),
      port: url.port === '' ? defaultPort : Number(url.port),
      size: connections,
      begin: async (ask) => {
        const { status, message } = JSON.parse(await ask(login)) as Answer;
        if (status !== 'OK')
          throw shibuDbError(
            'INVALID_CREDENTIALS',
            `The upstream shibudb does not let the server in: ${message}`,
          );
      },
    });
    const upstream = new ShibuDbUpstream(client);
    try {
      await upstream.#ask({ type: 'LIST_SPACES' }, false);
    } catch (error) {
      client.close();
      throw error;
    }
    return upstream;
  }

  // --- spaces -----------------------------------------------------------------------------------------------------

  async listSpaces(): Promise<SpaceInfo[]> {
    const { message = '{}' } = await this.#ask({ type: 'LIST_SPACES' }, false);
    const { spaces = [] } = JSON.parse(message) as { spaces?: string[] };
    return Promise.all(spaces.map((space) => this.#infoOf(space)));
  }

  async createSpace({ name: space, engine, durability, ...rest }: NewSpace): Promise<void> {
    const given = rest as Partial<SpaceInfo>;
    if (durability !== 'none')
      throw unsupported(name, 'createSpace', `durability ${JSON.stringify(durability)}; it keeps none`);
    if (engine === 'key-value') {
      await this.#ask({ type: 'CREATE_SPACE', space, engine_type: engine }, true);
      return;
    }
    refuseMetadata(name, 'createSpace', { metadataFields: given.metadataFields });
    if (given.ids === 'string') throw unsupported(name, 'createSpace', "ids 'string'; its ids are integers");
    if (!metrics.has(given.metric ?? '') || given.p !== undefined)
      throw unsupported(name, 'createSpace', `metric ${given.metric}; it has ${[...metrics].join(', ')}`);
    const { dimension, indexType: index_type, metric } = given;
    await this.#ask(
      { type: 'CREATE_SPACE', space, engine_type: engine, dimension, index_type, metric },
      true,
    );
    this.#spaces.set(space, { name: space, engine, durability, ...given } as SpaceInfo);
  }

  async deleteSpace(space: string): Promise<void> {
    this.#spaces.delete(space);
    await this.#ask({ type: 'DELETE_SPACE', data: space }, true);
  }

  async describeSpace(space: string): Promise<SpaceDescription> {
    await this.#ask({ type: 'USE_SPACE', space }, false);
    const info = await this.#infoOf(space);
    // It does not count.
    return { ...info, count: Number.NaN, memoryBytes: 0, storedBytes: 0, upstream: this.info };
  }

  /** It tells of its spaces by their names alone; the rest is learned from how it refuses a search in the wrong dimension. */
  async #infoOf(space: string): Promise<SpaceInfo> {
    const known = this.#spaces.get(space);
    if (known !== undefined) return known;
    let info: SpaceInfo = { name: space, engine: 'key-value', durability: 'none' };
    try {
      await this.#ask({ type: 'SEARCH_TOPK', space, value: '0', dimension: 1 }, false);
      info = { ...info, engine: 'vector', dimension: 1, ids: 'int' };
    } catch (error) {
      if (!isShibuDbError(error)) throw error;
      if (error.code === 'SPACE_NOT_FOUND' || error.code === 'BRIDGE_UNAVAILABLE') throw error;
      const dimension = /expected (\d+), got/.exec(error.message)?.[1];
      if (dimension !== undefined)
        info = { ...info, engine: 'vector', dimension: Number(dimension), ids: 'int' };
    }
    this.#spaces.set(space, info);
    return info;
  }

  async #dimensionOf(space: string, call: string): Promise<{ dimension: number; metric: 'L2' }> {
    const { engine, dimension } = await this.#infoOf(space);
    if (engine === 'vector' && dimension !== undefined) return { dimension, metric: 'L2' };
    throw shibuDbError('WRONG_ENGINE', `${call} needs a vector space, but "${space}" is a key-value space`);
  }

  // --- calls ------------------------------------------------------------------------------------------------------

  #makeCalls(): UpstreamCalls {
    const get = async (space: string, key: string): Promise<string | undefined> => {
      try {
        return (await this.#ask({ type: 'GET', space, key: checkKey(key) }, false)).value;
      } catch (error) {
        if (isShibuDbError(error) && /: key (not found|is deleted)$/.test(error.message)) return undefined;
        throw error;
      }
    };
    const put = async (space: string, key: string, value: unknown): Promise<undefined> => {
      if (value instanceof Uint8Array)
        throw unsupported(name, 'put', 'values that are bytes; its values are text');
      if (typeof value !== 'string') throw invalid(`Got ${shown(value)} for value, expected a string`);
      await this.#ask(
        { type: 'PUT', space, key: checkKey(key), value: wellFormedText(value, 'value') },
        true,
      );
    };
    const search = async (query: object): Promise<SearchHit<VectorData>[]> =>
      hitsIn((await this.#ask(query, false)).message ?? '[]');
    return {
      get: ({ key }, space) => get(space, key),
      exists: async ({ key }, space) => (await get(space, key)) !== undefined,
      put: async ({ key, value, ttlMs }, space) => {
        if (ttlMs !== undefined) throw unsupported(name, 'put', 'ttlMs; its keys do not expire');
        return put(space, key, value);
      },
      putEach: async (columns, space) => {
        await Promise.all(entriesOf(columns).map(({ key, value }) => put(space, key, value)));
        return undefined;
      },
      delete: async ({ key }, space) => {
        try {
          await this.#ask({ type: 'DELETE', space, key: checkKey(key) }, true);
          return true;
        } catch (error) {
          if (isShibuDbError(error) && /: key not found$/.test(error.message)) return false;
          throw error;
        }
      },
      insertVector: async ({ id, vector, metadata }, space) => {
        refuseMetadata(name, 'insertVector', { metadata });
        const checked = checkVector(vector, await this.#dimensionOf(space, 'insertVector'));
        await this.#insert(space, checkInt(id), checked);
        return undefined;
      },
      insertVectors: async ({ ids, vectors, metadata }, space, { signal, onProgress, allow }) => {
        refuseMetadata(name, 'insertVectors', { metadata });
        const kind = await this.#dimensionOf(space, 'insertVectors');
        const all = checkInts(ids);
        const packed = checkPacked(vectors, all.length, kind);
        for (let row = 0; row < all.length; row++) {
          signal?.throwIfAborted();
          allow?.();
          const at = row * kind.dimension;
          await this.#insert(space, all[row] ?? 0n, packed.subarray(at, at + kind.dimension));
          if ((row + 1) % 100 === 0 || row + 1 === all.length)
            onProgress?.({ done: row + 1, total: all.length });
        }
        return undefined;
      },
      searchTopK: async ({ query, k, includeVectors, where, includeMetadata }, space) => {
        refuseMetadata(name, 'searchTopK', { where, includeMetadata });
        if (includeVectors)
          throw unsupported(name, 'searchTopK', 'includeVectors; it gives six decimals of them');
        const vector = checkVector(query, await this.#dimensionOf(space, 'searchTopK'), 'query');
        return search({
          type: 'SEARCH_TOPK',
          space,
          value: textOf(vector),
          dimension: integerIn(k, 1, kMax, 'k'),
        });
      },
      searchTopKBatch: async ({ queries, k, includeVectors, where, includeMetadata }, space, context) => {
        refuseMetadata(name, 'searchTopKBatch', { where, includeMetadata });
        if (includeVectors)
          throw unsupported(name, 'searchTopKBatch', 'includeVectors; it gives six decimals of them');
        const kind = await this.#dimensionOf(space, 'searchTopKBatch');
        const packed = checkQueries(queries, kind);
        integerIn(k, 1, kMax, 'k');
        const total = packed.length / kind.dimension;
        let done = 0;
        // Its connections share them.
        const searchOne = async (_: unknown, row: number): Promise<SearchHit<VectorData>[]> => {
          const value = textOf(packed.subarray(row * kind.dimension, (row + 1) * kind.dimension));
          const hits = await search({ type: 'SEARCH_TOPK', space, value, dimension: k });
          context.onProgress?.({ done: ++done, total });
          return hits;
        };
        return packHits(await Promise.all(Array.from({ length: total }, searchOne)), {});
      },
      rangeSearch: async ({ query, radius, limit, after, includeVectors, where, includeMetadata }, space) => {
        refuseMetadata(name, 'rangeSearch', { where, includeMetadata });
        if (includeVectors)
          throw unsupported(name, 'rangeSearch', 'includeVectors; it gives six decimals of them');
        const { metric } = await this.#infoOf(space);
        if (metric === undefined)
          throw unsupported(
            name,
            'rangeSearch',
            'a space that was not made here: it does not tell its metric, nor which hit is best',
          );
        // It takes a radius of 0 or less for 1.
        if (!(radius > 0))
          throw unsupported(name, 'rangeSearch', `radius ${shown(radius)}, which must be above 0`);
        const vector = checkVector(query, await this.#dimensionOf(space, 'rangeSearch'), 'query');
        const hits = await search({ type: 'RANGE_SEARCH', space, value: textOf(vector), radius });
        // Of InnerProduct it gives the worst first.
        if (metric === 'InnerProduct') hits.sort((a, b) => b.distance - a.distance || (a.id < b.id ? -1 : 1));
        // It gives all of them at once: a page is cut out of them.
        const from = after === undefined ? 0 : hits.findIndex((hit) => isBehind(hit, after, metric));
        if (from < 0) return [];
        return hits.slice(from, from + integerIn(limit ?? 10_000, 1, kMax, 'limit'));
      },
    };
  }

  async #insert(space: string, id: bigint, vector: VectorData): Promise<void> {
    await this.#ask({ type: 'INSERT_VECTOR', space, key: String(id), value: textOf(vector) }, true);
  }

  async #ask(query: object, changes: boolean): Promise<Answer> {
    let line: string;
    try {
      line = await this.#client.ask(JSON.stringify(query));
    } catch (error) {
      if (isShibuDbError(error)) throw error;
      throw lost(name, changes && error instanceof AnswerLost, error);
    }
    const answer = answerIn(line);
    if (answer.status === 'OK') return answer;
    throw told(answer.message ?? '', (query as { space?: string; data?: string }).space ?? '');
  }

  async close(): Promise<void> {
    this.#client.close();
  }
}

/** The real one does not escape what it quotes: names of spaces with quotes in them, and errors. */
function answerIn(line: string): Answer {
  try {
    return JSON.parse(line) as Answer;
  } catch {
    const message = /"message":"(.*)"[,}]/.exec(line)?.[1];
    if (message !== undefined && /"status":"ERROR"/.test(line)) return { status: 'ERROR', message };
    throw lost(name, false, new Error('it answered something that is no JSON'));
  }
}

function told(message: string, space: string): ShibuDbError {
  if (/space (not found|does not exist)/.test(message)) return spaceNotFound(name, space);
  if (message === 'space already exists')
    return shibuDbError('SPACE_EXISTS', `There is a space "${space}" already`);
  if (/not a (key-value|vector) space/.test(message))
    return shibuDbError('WRONG_ENGINE', `The upstream shibudb: ${message}`);
  if (/denied|admin/.test(message))
    return shibuDbError('PERMISSION_DENIED', `The upstream shibudb: ${message}`);
  return shibuDbError('INVALID_ARGUMENT', `The upstream shibudb refused it: ${message}`);
}

/** Whether a hit comes later than another one, of which only its place is known. */
function isBehind(
  { id, distance }: SearchHit<VectorData>,
  after: { readonly id: VectorId; readonly distance: number },
  metric: SpaceInfo['metric'],
): boolean {
  if (distance === after.distance) return id > after.id;
  return metric === 'InnerProduct' ? distance < after.distance : distance > after.distance;
}

function textOf(vector: ArrayLike<number>): string {
  return Array.from(vector).join(',');
}

/** Ids may be beyond what JSON.parse keeps. Searches of its own order ties by insertion: here they are by id. */
function hitsIn(text: string): SearchHit<VectorData>[] {
  const hits = [...text.matchAll(/\{"id": (-?\d+), "distance": (-?[\d.]+|-?nan|-?inf)\}/g)].map(
    ([, id = '0', distance]) => ({
      id: toPublicId(BigInt(id)),
      distance: Number(distance),
    }),
  );
  for (let i = 1; i < hits.length; i++)
    for (
      let j = i;
      j > 0 && hits[j]?.distance === hits[j - 1]?.distance && (hits[j]?.id ?? 0) < (hits[j - 1]?.id ?? 0);
      j--
    )
      [hits[j - 1], hits[j]] = [hits[j], hits[j - 1]] as [(typeof hits)[0], (typeof hits)[0]];
  return hits;
}
