/** The routes of the REST front, one call of `Database` each. The options of a call are fields of the body or query. */

import type {
  Database,
  EngineKind,
  IdKind,
  RangeSearchOptions,
  Scan,
  SearchOptions,
  VectorId,
  VectorInput,
  VectorSpaceOptions,
} from '../../api/database.ts';
import { shibuDbError } from '../../api/errors.ts';
import { shown } from '../../base/arguments.ts';
import { hitsResponse, idOf, jsonBody, jsonResponse, valueBody, valueResponse } from './body.ts';

export interface Asked {
  readonly request: Request;
  readonly path: readonly string[];
  readonly query: URLSearchParams;
  readonly db: Database;
}

export interface Route {
  readonly method: string;
  readonly pattern: readonly string[];
  answer(asked: Asked): Promise<Response>;
}

/** Entries of one page of keys or vectors, unless `limit` says otherwise. */
const pageDefault = 100;
const pageMax = 10_000;

const noContent = (): Response => new Response(null, { status: 204 });

function on(method: string, pattern: string, answer: Route['answer']): Route {
  return { method, pattern: pattern.split('/').slice(1), answer };
}

export const routes: readonly Route[] = [
  on('GET', '/stats', async ({ db }) => jsonResponse(await db.stats())),

  on('GET', '/spaces', async ({ db }) => jsonResponse({ spaces: await db.listSpaces() })),
  on('GET', '/spaces/:space', async ({ db, path }) => jsonResponse(await db.describeSpace(spaceIn(path)))),
  on('PUT', '/spaces/:space', async ({ db, path, request }) => {
    const { engine, ...options } = await jsonBody(request);
    await db.createSpace(
      spaceIn(path),
      engine as EngineKind & 'vector',
      options as never as VectorSpaceOptions,
    );
    return jsonResponse({ created: spaceIn(path) }, 201);
  }),
  on('DELETE', '/spaces/:space', async ({ db, path }) => {
    await db.deleteSpace(spaceIn(path));
    return noContent();
  }),

  on('GET', '/spaces/:space/keys', async ({ db, path, query }) => {
    const { limit, cursor } = pageOf(query);
    const options = {
      ...textsIn(query, ['prefix', 'start', 'end']),
      reverse: query.get('reverse') === 'true',
    };
    return pageResponse(db.space(spaceIn(path)).scan({ ...options, limit, ...cursor }), limit, 'entries');
  }),
  on('GET', '/spaces/:space/keys/:key', async ({ db, path }) =>
    valueResponse(await db.space(spaceIn(path)).get(partOf(path, 3))),
  ),
  on('PUT', '/spaces/:space/keys/:key', async ({ db, path, query, request }) => {
    const value = await valueBody(request);
    const ttl = query.get('ttlMs');
    await db.space(spaceIn(path)).put(partOf(path, 3), value, ttl === null ? {} : { ttlMs: Number(ttl) });
    return noContent();
  }),
  on('DELETE', '/spaces/:space/keys/:key', async ({ db, path }) =>
    jsonResponse({ deleted: await db.space(spaceIn(path)).delete(partOf(path, 3)) }),
  ),
  on('POST', '/spaces/:space/keys/:key/increment', async ({ db, path, request }) => {
    const { by = 1 } = await jsonBody(request);
    return jsonResponse({ value: await db.space(spaceIn(path)).increment(partOf(path, 3), by as number) });
  }),

  on('GET', '/spaces/:space/vectors', async ({ db, path, query }) => {
    const { limit, cursor } = pageOf(query);
    return pageResponse(db.space(spaceIn(path)).scanVectors({ limit, ...cursor }), limit, 'vectors');
  }),
  on('POST', '/spaces/:space/vectors', async ({ db, path, request }) => {
    const { ids, vectors, ...rest } = await jsonBody(request);
    if (!Array.isArray(ids) || !Array.isArray(vectors) || ids.length !== vectors.length)
      throw shibuDbError(
        'INVALID_ARGUMENT',
        `Got ${shown(ids)} and ${shown(vectors)}, expected ids and vectors, two arrays of one length`,
      );
    await db.space(spaceIn(path)).insertVectors(ids as VectorId[], packed(vectors), withoutSpace(rest));
    return jsonResponse({ stored: ids.length }, 201);
  }),
  on('GET', '/spaces/:space/vectors/:id', async ({ db, path }) => {
    const vector = await db.space(spaceIn(path)).getVector(await idIn(db, path));
    if (vector === undefined) return jsonResponse({ error: 'There is no such vector' }, 404);
    return jsonResponse({ vector });
  }),
  on('DELETE', '/spaces/:space/vectors/:id', async ({ db, path }) =>
    jsonResponse({ deleted: await db.space(spaceIn(path)).deleteVector(await idIn(db, path)) }),
  ),

  on('POST', '/spaces/:space/search', async ({ db, path, request }) => {
    const { vector, k = 10, ...options } = await jsonBody(request);
    const space = db.space(spaceIn(path));
    return hitsResponse(
      await space.searchTopK(vector as VectorInput, k as number, withoutSpace(options) as SearchOptions),
    );
  }),
  on('POST', '/spaces/:space/range', async ({ db, path, request }) => {
    const { vector, radius, ...options } = await jsonBody(request);
    const space = db.space(spaceIn(path));
    return hitsResponse(
      await space.rangeSearch(
        vector as VectorInput,
        radius as number,
        withoutSpace(options) as RangeSearchOptions,
      ),
    );
  }),
];

function partOf(path: readonly string[], index: number): string {
  return path[index] as string;
}

function spaceIn(path: readonly string[]): string {
  return partOf(path, 1);
}

/** The space is in the path: a field of that name would lead past it. */
function withoutSpace({ space: _, ...options }: Record<string, unknown>): object {
  return options;
}

async function idIn(db: Database, path: readonly string[]): Promise<VectorId> {
  const spaces = await db.listSpaces();
  const kind: IdKind | undefined = spaces.find(({ name }) => name === spaceIn(path))?.ids;
  return idOf(partOf(path, 3), kind);
}

/** Rows of one length, one after another. What is not a number becomes NaN, which the space refuses. */
function packed(rows: readonly unknown[]): Float32Array {
  const dimension = Array.isArray(rows[0]) ? rows[0].length : 0;
  const all = new Float32Array(rows.length * dimension);
  rows.forEach((row, i) => {
    if (!Array.isArray(row) || row.length !== dimension)
      throw shibuDbError(
        'INVALID_ARGUMENT',
        `Got ${shown(row)} for vector ${i}, expected an array of ${dimension} numbers as the first`,
      );
    all.set(
      row.map((part) => (typeof part === 'number' ? part : Number.NaN)),
      i * dimension,
    );
  });
  return all;
}

function pageOf(query: URLSearchParams): { limit: number; cursor: { cursor?: string } } {
  const limit = query.has('limit') ? Number(query.get('limit')) : pageDefault;
  if (!Number.isInteger(limit) || limit < 1 || limit > pageMax)
    throw shibuDbError(
      'INVALID_ARGUMENT',
      `Got ${shown(query.get('limit'))} for limit, expected 1 to ${pageMax}`,
    );
  return { limit, cursor: textsIn(query, ['cursor']) };
}

function textsIn<Name extends string>(
  query: URLSearchParams,
  names: readonly Name[],
): Partial<Record<Name, string>> {
  const given = names.filter((name) => query.has(name)).map((name) => [name, query.get(name)]);
  return Object.fromEntries(given);
}

/** One page, and where the next one begins; no cursor: there is no more. */
async function pageResponse<Item>(scan: Scan<Item>, limit: number, name: string): Promise<Response> {
  const items: Item[] = [];
  for await (const item of scan) items.push(item);
  return jsonResponse({ [name]: items, ...(items.length < limit ? {} : { cursor: scan.cursor }) });
}
