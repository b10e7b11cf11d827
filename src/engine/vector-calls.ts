/** The calls on vector spaces: what the caller passed is checked, then read or submitted. */

import type { ArgumentsOf, CallContext, InSpace } from '../api/calls.ts';
import type { SearchHit, VectorData } from '../api/database.ts';
import { integerIn, invalid, numberIn, shown } from '../base/arguments.ts';
import { encodeUtf8 } from '../base/text.ts';
import { encodeDeleteInt, encodeDeleteString } from '../space/operation.ts';
import { checkId } from '../space/vector-ids.ts';
import { checkVector } from '../space/vector-input.ts';
import { kMax } from '../space/vector-space.ts';
import { vectorKind } from '../storage/catalog.ts';
import { insertVectors, prepareInsert } from './bulk-insert.ts';
import type { HandlersOf } from './handlers.ts';
import type { ScanCalls } from './scan-calls.ts';
import { openVectorScan } from './scans.ts';
import type { SpaceAccess } from './space-access.ts';

/** Candidates a hit: beyond it a scan of the originals is both exact and quicker. */
const oversampleMax = 1000;

export class VectorCalls implements HandlersOf<'vectors'> {
  readonly #spaces: SpaceAccess;
  readonly #scans: ScanCalls;

  constructor(spaces: SpaceAccess, scans: ScanCalls) {
    this.#spaces = spaces;
    this.#scans = scans;
  }

  async insertVector({ space, id, vector }: ArgumentsOf<'insertVector'>): Promise<undefined> {
    const entry = this.#spaces.entry(space, 'vector', 'insertVector');
    const insert = prepareInsert(entry, [id], checkVector(vector, vectorKind(entry)));
    await this.#spaces.engine.submit(entry, insert.operation(0, 1), {
      count: 1,
      bytes: insert.idBytes(0, 1),
    });
  }

  async insertVectors(
    { space, ids, vectors }: ArgumentsOf<'insertVectors'>,
    context: CallContext,
  ): Promise<undefined> {
    const entry = this.#spaces.entry(space, 'vector', 'insertVectors');
    const insert = prepareInsert(entry, ids, vectors);
    await insertVectors(this.#spaces.engine, entry, insert, context);
  }

  getVector({
    space,
    id,
  }: ArgumentsOf<'getVector'>): VectorData | undefined | Promise<VectorData | undefined> {
    const entry = this.#spaces.entry(space, 'vector', 'getVector');
    const checked = checkId(id, entry.ids ?? 'int');
    return this.#spaces.read(entry, (resident) => resident.vectors.get(checked));
  }

  async deleteVector({ space, id }: ArgumentsOf<'deleteVector'>): Promise<boolean> {
    const entry = this.#spaces.entry(space, 'vector', 'deleteVector');
    const checked = checkId(id, entry.ids ?? 'int');
    const operation =
      typeof checked === 'bigint' ? encodeDeleteInt(checked) : encodeDeleteString(encodeUtf8(checked));
    return (await this.#spaces.engine.submit(entry, operation, { count: 1, bytes: operation.length })) > 0;
  }

  countVectors({ space }: InSpace): number | Promise<number> {
    return this.#spaces.read(this.#spaces.entry(space, 'vector', 'countVectors'), (resident) =>
      resident.vectors.count(),
    );
  }

  searchTopK({
    space,
    query,
    k,
    efSearch,
    rerank,
    oversample,
    includeVectors,
  }: ArgumentsOf<'searchTopK'>): SearchHit<VectorData>[] | Promise<SearchHit<VectorData>[]> {
    const entry = this.#spaces.entry(space, 'vector', 'searchTopK');
    const vector = checkVector(query, vectorKind(entry), 'query');
    integerIn(k, 1, kMax, 'k');
    if (efSearch !== undefined) integerIn(efSearch, 1, kMax, 'efSearch');
    if (rerank !== undefined && typeof rerank !== 'boolean')
      throw invalid(`Got ${shown(rerank)} for rerank, expected true or false`);
    if (oversample !== undefined) numberIn(oversample, 1, oversampleMax, 'oversample');
    return this.#spaces.read(entry, (resident) =>
      resident.vectors.searchTopK(vector, k, { efSearch, rerank, oversample }, includeVectors === true),
    );
  }

  rangeSearch({
    space,
    query,
    radius,
    limit,
    includeVectors,
  }: ArgumentsOf<'rangeSearch'>): SearchHit<VectorData>[] | Promise<SearchHit<VectorData>[]> {
    const entry = this.#spaces.entry(space, 'vector', 'rangeSearch');
    const vector = checkVector(query, vectorKind(entry), 'query');
    if (typeof radius !== 'number' || Number.isNaN(radius))
      throw invalid(`Got ${shown(radius)} for radius, expected a number`);
    const most = integerIn(limit ?? 10_000, 1, kMax, 'limit');
    return this.#spaces.read(entry, (resident) =>
      resident.vectors.rangeSearch(vector, radius, most, includeVectors === true),
    );
  }

  async waitForIndex({ space }: InSpace, { signal, onProgress }: CallContext): Promise<undefined> {
    const entry = this.#spaces.entry(space, 'vector', 'waitForIndex');
    const resident = await this.#spaces.engine.resident(entry);
    await this.#spaces.engine.waitForIndex(resident, (done, total) => onProgress?.({ done, total }), signal);
  }

  async scanVectorsOpen({
    space,
    ...options
  }: InSpace & { limit?: number; cursor?: string }): Promise<number> {
    const entry = this.#spaces.entry(space, 'vector', 'scanVectors');
    const source = openVectorScan(options, entry, this.#spaces.engine.snapshotBytesMax);
    const resident = await this.#spaces.engine.resident(entry);
    return this.#scans.keep(source(resident.vectors), resident);
  }
}
