/** The calls on vector spaces: what the caller passed is checked, then read or submitted. */

import type { ArgumentsOf, CallContext, HitArguments, InSpace } from '../api/calls.ts';
import type { Metadata, SearchHit, VectorData } from '../api/database.ts';
import { integerIn, invalid, numberIn, shown } from '../base/arguments.ts';
import { encodeUtf8 } from '../base/text.ts';
import { ByteWriter } from '../space/metadata/byte-writer.ts';
import { recordBytesMax, writeRecord } from '../space/metadata/record.ts';
import { encodeDeleteInt, encodeDeleteString, encodeUpdate } from '../space/operation.ts';
import { checkId } from '../space/vector-ids.ts';
import { checkVector } from '../space/vector-input.ts';
import { kMax, type ReadOptions, type SearchEffort } from '../space/vector-space.ts';
import { compileOptional, compileWhere } from '../space/where/compile.ts';
import { type CatalogEntry, vectorKind } from '../storage/catalog.ts';
import { insertVectors, prepareInsert } from './bulk-insert.ts';
import { deleteByIds, deleteWhere } from './delete-vectors.ts';
import type { HandlersOf } from './handlers.ts';
import type { ScanCalls } from './scan-calls.ts';
import { openVectorScan } from './scans.ts';
import type { SpaceAccess } from './space-access.ts';

/** Candidates a hit: beyond it a scan of the originals is both exact and quicker. */
const oversampleMax = 1000;

/** An answer that is there at once where the space is in memory. */
type MaybeLater<Answer> = Answer | Promise<Answer>;

export class VectorCalls implements HandlersOf<'vectors'> {
  readonly #spaces: SpaceAccess;
  readonly #scans: ScanCalls;

  constructor(spaces: SpaceAccess, scans: ScanCalls) {
    this.#spaces = spaces;
    this.#scans = scans;
  }

  async insertVector({ space, id, vector, metadata }: ArgumentsOf<'insertVector'>): Promise<undefined> {
    const entry = this.#spaces.entry(space, 'vector', 'insertVector');
    const records = metadata === undefined ? undefined : [metadata];
    const insert = prepareInsert(entry, [id], checkVector(vector, vectorKind(entry)), records);
    await this.#spaces.engine.submit(entry, insert.operation(0, 1), insert.need(0, 1));
  }

  async insertVectors(
    { space, ids, vectors, metadata }: ArgumentsOf<'insertVectors'>,
    context: CallContext,
  ): Promise<undefined> {
    const entry = this.#spaces.entry(space, 'vector', 'insertVectors');
    const insert = prepareInsert(entry, ids, vectors, metadata);
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
    const need = { count: 0, bytes: 0, removals: 1 };
    return (await this.#spaces.engine.submit(entry, operation, need)) > 0;
  }

  async deleteVectors(
    { space, which }: ArgumentsOf<'deleteVectors'>,
    { signal, allow }: CallContext,
  ): Promise<number> {
    const entry = this.#spaces.entry(space, 'vector', 'deleteVectors');
    const { engine } = this.#spaces;
    if (typeof which !== 'object' || which === null || !('where' in which))
      return deleteByIds(engine, entry, which);
    const filter = compileWhere(which.where, entry.metadataFields ?? []);
    return deleteWhere(engine, entry, filter, () => {
      if (signal?.aborted) throw signal.reason;
      allow?.();
    });
  }

  getMetadata({ space, id }: ArgumentsOf<'getMetadata'>): MaybeLater<Metadata | undefined> {
    const entry = this.#spaces.entry(space, 'vector', 'getMetadata');
    const checked = checkId(id, entry.ids ?? 'int');
    return this.#spaces.read(entry, (resident) => resident.vectors.metadata(checked));
  }

  async updateMetadata({ space, id, metadata, replace }: ArgumentsOf<'updateMetadata'>): Promise<boolean> {
    const entry = this.#spaces.entry(space, 'vector', 'updateMetadata');
    if (replace !== undefined && typeof replace !== 'boolean')
      throw invalid(`Got ${shown(replace)} for replace, expected a boolean`);
    const checked = checkId(id, entry.ids ?? 'int');
    const writer = new ByteWriter();
    const values = writeRecord(writer, metadata, entry.metadataFields ?? [], 'metadata', true);
    const patch = writer.written;
    const key = typeof checked === 'bigint' ? checked : encodeUtf8(checked);
    const operation = encodeUpdate(key, patch, replace === true);
    const need = { count: 0, bytes: 0, metadata: { updates: 1, values, bytes: patch.length } };
    if ((await this.#spaces.engine.submit(entry, operation, need)) > 0) return true;
    const { vectors } = await this.#spaces.engine.resident(entry);
    const bytes = vectors.metadataBytes(checked) ?? 0;
    // Nothing was changed: there is no such vector, or its metadata would have been too long.
    if (replace || bytes + patch.length <= recordBytesMax) return false;
    throw invalid(
      `Got ${patch.length} bytes for metadata, which with the ${bytes} there are is more than ${recordBytesMax}`,
    );
  }

  countVectors({ space, where }: ArgumentsOf<'countVectors'>): MaybeLater<number> {
    const entry = this.#spaces.entry(space, 'vector', 'countVectors');
    const filter = compileOptional(where, entry.metadataFields);
    return this.#spaces.read(entry, ({ vectors }) =>
      filter === undefined ? vectors.count() : vectors.countWhere(filter),
    );
  }

  searchTopK({
    space,
    query,
    k,
    efSearch,
    rerank,
    oversample,
    ...hits
  }: ArgumentsOf<'searchTopK'>): MaybeLater<SearchHit<VectorData>[]> {
    const entry = this.#spaces.entry(space, 'vector', 'searchTopK');
    const vector = checkVector(query, vectorKind(entry), 'query');
    integerIn(k, 1, kMax, 'k');
    const effort = checkEffort({ efSearch, rerank, oversample });
    const options = readOptions(hits, entry);
    return this.#spaces.read(entry, ({ vectors }) => vectors.searchTopK(vector, k, effort, options));
  }

  rangeSearch({
    space,
    query,
    radius,
    limit,
    ...hits
  }: ArgumentsOf<'rangeSearch'>): MaybeLater<SearchHit<VectorData>[]> {
    const entry = this.#spaces.entry(space, 'vector', 'rangeSearch');
    const vector = checkVector(query, vectorKind(entry), 'query');
    if (typeof radius !== 'number' || Number.isNaN(radius))
      throw invalid(`Got ${shown(radius)} for radius, expected a number`);
    const most = integerIn(limit ?? 10_000, 1, kMax, 'limit');
    const options = readOptions(hits, entry);
    return this.#spaces.read(entry, ({ vectors }) => vectors.rangeSearch(vector, radius, most, options));
  }

  async waitForIndex({ space }: InSpace, { signal, onProgress }: CallContext): Promise<undefined> {
    const entry = this.#spaces.entry(space, 'vector', 'waitForIndex');
    const resident = await this.#spaces.engine.resident(entry);
    await this.#spaces.engine.waitForIndex(resident, (done, total) => onProgress?.({ done, total }), signal);
  }

  async scanVectorsOpen({ space, ...options }: ArgumentsOf<'scanVectorsOpen'>): Promise<number> {
    const entry = this.#spaces.entry(space, 'vector', 'scanVectors');
    const source = openVectorScan(options, entry, this.#spaces.engine.snapshotBytesMax);
    const resident = await this.#spaces.engine.resident(entry);
    return this.#scans.keep(source(resident.vectors), resident);
  }
}

function checkEffort({ efSearch, rerank, oversample }: SearchEffort): SearchEffort {
  if (efSearch !== undefined) integerIn(efSearch, 1, kMax, 'efSearch');
  if (rerank !== undefined && typeof rerank !== 'boolean')
    throw invalid(`Got ${shown(rerank)} for rerank, expected true or false`);
  if (oversample !== undefined) numberIn(oversample, 1, oversampleMax, 'oversample');
  return { efSearch, rerank, oversample };
}

function readOptions(
  { where, includeVectors, includeMetadata }: HitArguments,
  entry: CatalogEntry,
): ReadOptions {
  return {
    includeVectors: includeVectors === true,
    includeMetadata: includeMetadata === true,
    filter: compileOptional(where, entry.metadataFields),
  };
}
