/** The calls on vector spaces: what the caller passed is checked, then read or submitted. */

import type { ArgumentsOf, CallContext, HitArguments, InSpace, PackedHits } from '../api/calls.ts';
import type { Metadata, SearchHit, VectorData, VectorId } from '../api/database.ts';
import { integerIn, invalid, numberIn, shown } from '../base/arguments.ts';
import { nextTask } from '../base/next-task.ts';
import { encodeUtf8 } from '../base/text.ts';
import { vectorItems } from '../space/metrics.ts';
import { encodeDeleteInt, encodeDeleteString, encodeUpdate } from '../space/operation.ts';
import { metadataPart } from '../space/parts.ts';
import { ReadProgress } from '../space/read-progress.ts';
import { batchQueriesMax } from '../space/space.ts';
import { checkId } from '../space/vector-ids.ts';
import { checkQueries, checkVector } from '../space/vector-input.ts';
import { kMax, type RangeStart, type ReadOptions, type SearchEffort } from '../space/vector-space.ts';
import type { FilterProgram } from '../space/where/compile.ts';
import { type CatalogEntry, vectorKind } from '../storage/catalog.ts';
import { insertVectors, prepareInsert } from './bulk-insert.ts';
import { deleteByIds, deleteWhere } from './delete-vectors.ts';
import type { HandlersOf } from './handlers.ts';
import { parseReindex } from './new-vector-space.ts';
import type { ScanCalls } from './scan-calls.ts';
import type { SpaceAccess } from './space-access.ts';
import { openVectorScan } from './vector-scan.ts';

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
    if (lacksPart(metadata)) await metadataPart.load();
    const records = metadata === undefined ? undefined : [metadata];
    const insert = prepareInsert(entry, [id], checkVector(vector, vectorKind(entry)), records);
    await this.#spaces.engine.submit(entry, insert.operation(0, 1), insert.need(0, 1));
  }

  async insertVectors(
    { space, ids, vectors, metadata }: ArgumentsOf<'insertVectors'>,
    context: CallContext,
  ): Promise<undefined> {
    const entry = this.#spaces.entry(space, 'vector', 'insertVectors');
    if (lacksPart(metadata)) await metadataPart.load();
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
    if (lacksPart(which)) await metadataPart.load();
    const filter = metadataPart.loaded.compileWhere(which.where, entry.metadataFields ?? []);
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
    if (!metadataPart.isLoaded) await metadataPart.load();
    const { ByteWriter, recordBytesMax, writeRecord } = metadataPart.loaded;
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

  countVectors(args: ArgumentsOf<'countVectors'>): MaybeLater<number> {
    const { space, where } = args;
    const entry = this.#spaces.entry(space, 'vector', 'countVectors');
    if (lacksPart(where)) return metadataPart.load().then(() => this.countVectors(settled(args, entry)));
    const filter = filterOf(where, entry);
    return this.#spaces.read(entry, ({ vectors }) =>
      filter === undefined ? vectors.count() : vectors.countWhere(filter),
    );
  }

  searchTopK(args: ArgumentsOf<'searchTopK'>): MaybeLater<SearchHit<VectorData>[]> {
    const { space, query, k, efSearch, nprobe, rerank, oversample, ...hits } = args;
    const entry = this.#spaces.entry(space, 'vector', 'searchTopK');
    if (lacksPart(hits.where)) return metadataPart.load().then(() => this.searchTopK(settled(args, entry)));
    const vector = checkVector(query, vectorKind(entry), 'query');
    integerIn(k, 1, kMax, 'k');
    const effort = checkEffort({ efSearch, nprobe, rerank, oversample });
    const options = readOptions(hits, entry);
    const progress = new ReadProgress();
    return this.#spaces.read(entry, ({ vectors }) =>
      vectors.searchTopK(vector, k, effort, options, progress),
    );
  }

  async searchTopKBatch(
    { space, queries, k, efSearch, nprobe, rerank, oversample, ...hits }: ArgumentsOf<'searchTopKBatch'>,
    { signal, onProgress, allow }: CallContext,
  ): Promise<PackedHits> {
    const entry = this.#spaces.entry(space, 'vector', 'searchTopKBatch');
    if (lacksPart(hits.where)) await metadataPart.load();
    const packed = checkQueries(queries, vectorKind(entry));
    integerIn(k, 1, kMax, 'k');
    const items = vectorItems(vectorKind(entry).dimension, vectorKind(entry).metric);
    const total = packed.length / items;
    if (total * k > kMax)
      throw invalid(`Got ${total} queries for ${k} hits each, expected at most ${kMax} hits in all`);
    const effort = checkEffort({ efSearch, nprobe, rerank, oversample });
    const options = readOptions(hits, entry);
    const parts: PackedHits[] = [];
    const startedMs = this.#spaces.engine.wallClock();
    for (let from = 0; from < total; from += batchQueriesMax) {
      if (from > 0) {
        // Others get a turn, and what they changed of rights and spaces counts.
        await nextTask();
        if (signal?.aborted) throw signal.reason;
        allow?.();
      }
      if (from === batchQueriesMax) {
        // By now it is known what a query takes.
        const rest = await this.#spaces.engine.searchByThreads(await this.#spaces.engine.resident(entry), {
          queries: packed.subarray(from * items),
          k,
          effort,
          options,
          msPerQuery: (this.#spaces.engine.wallClock() - startedMs) / from,
          signal,
          onProgress: (done) => onProgress?.({ done: from + done, total }),
        });
        allow?.();
        if (rest !== undefined) {
          onProgress?.({ done: total, total });
          return joinHits([...parts, ...rest]);
        }
      }
      const to = Math.min(total, from + batchQueriesMax);
      const some = packed.subarray(from * items, to * items);
      const progress = new ReadProgress();
      parts.push(
        await this.#spaces.read(entry, ({ vectors }) =>
          vectors.searchBatch(some, k, effort, options, progress),
        ),
      );
      onProgress?.({ done: to, total });
    }
    return joinHits(parts);
  }

  rangeSearch(args: ArgumentsOf<'rangeSearch'>): MaybeLater<SearchHit<VectorData>[]> {
    const { space, query, radius, limit, after, ...hits } = args;
    const entry = this.#spaces.entry(space, 'vector', 'rangeSearch');
    if (lacksPart(hits.where)) return metadataPart.load().then(() => this.rangeSearch(settled(args, entry)));
    const vector = checkVector(query, vectorKind(entry), 'query');
    if (typeof radius !== 'number' || Number.isNaN(radius))
      throw invalid(`Got ${shown(radius)} for radius, expected a number`);
    const most = integerIn(limit ?? 10_000, 1, kMax, 'limit');
    const options = readOptions(hits, entry);
    const start = after === undefined ? undefined : checkStart(after, entry);
    const progress = new ReadProgress();
    return this.#spaces.read(entry, ({ vectors }) =>
      vectors.rangeSearch(vector, radius, most, options, start, progress),
    );
  }

  async reindex(
    { space, indexType, efConstruction }: ArgumentsOf<'reindex'>,
    { signal, onProgress }: CallContext,
  ): Promise<undefined> {
    const entry = this.#spaces.entry(space, 'vector', 'reindex');
    const change = parseReindex(entry, { indexType, efConstruction });
    signal?.throwIfAborted();
    const { engine } = this.#spaces;
    await engine.reindex(entry, change);
    const resident = await engine.resident(entry);
    await engine.waitForIndex(resident, (done, total) => onProgress?.({ done, total }), signal);
  }

  async waitForIndex({ space }: InSpace, { signal, onProgress }: CallContext): Promise<undefined> {
    const entry = this.#spaces.entry(space, 'vector', 'waitForIndex');
    const resident = await this.#spaces.engine.resident(entry);
    await this.#spaces.engine.waitForIndex(resident, (done, total) => onProgress?.({ done, total }), signal);
  }

  async scanVectorsOpen({ space, ...options }: ArgumentsOf<'scanVectorsOpen'>): Promise<number> {
    const entry = this.#spaces.entry(space, 'vector', 'scanVectors');
    if (lacksPart(options.where)) await metadataPart.load();
    const source = openVectorScan(
      options,
      entry,
      filterOf(options.where, entry),
      this.#spaces.engine.snapshotBytesMax,
    );
    const resident = await this.#spaces.engine.resident(entry);
    return this.#scans.keep(source(resident), resident);
  }
}

/** Whether this is given and takes the part for metadata: a space without fields, which refuses it, may have been all there was. */
function lacksPart(given: unknown): boolean {
  return given !== undefined && !metadataPart.isLoaded;
}

/** The same call when it goes on later, and another space may be the session's current one. */
function settled<Args extends InSpace>(args: Args, { name }: CatalogEntry): Args {
  return { ...args, space: name };
}

/** The program of a `where`, if there is one. @throws INVALID_ARGUMENT */
export function filterOf(where: unknown, { metadataFields = [] }: CatalogEntry): FilterProgram | undefined {
  return where === undefined ? undefined : metadataPart.loaded.compileWhere(where, metadataFields);
}

function checkStart(after: unknown, entry: CatalogEntry): RangeStart {
  if (typeof after !== 'object' || after === null)
    throw invalid(`Got ${shown(after)} for after, expected a hit`);
  const { id, distance } = after as { id?: unknown; distance?: unknown };
  if (typeof distance !== 'number' || Number.isNaN(distance))
    throw invalid(`Got ${shown(distance)} for after.distance, expected a number`);
  return { id: checkId(id as VectorId, entry.ids ?? 'int'), distance };
}

function joinHits(parts: readonly PackedHits[]): PackedHits {
  const [first] = parts;
  if (first === undefined) return { counts: new Uint32Array(0), ids: [], distances: new Float32Array(0) };
  return {
    counts: Uint32Array.from(parts.flatMap(({ counts }) => Array.from(counts))),
    ids: parts.flatMap(({ ids }) => ids),
    distances: Float32Array.from(parts.flatMap(({ distances }) => Array.from(distances))),
    ...(first.metadata === undefined ? {} : { metadata: parts.flatMap(({ metadata }) => metadata ?? []) }),
    ...(first.vectors === undefined ? {} : { vectors: parts.flatMap(({ vectors }) => vectors ?? []) }),
  };
}

function checkEffort({ efSearch, nprobe, rerank, oversample }: SearchEffort): SearchEffort {
  if (efSearch !== undefined) integerIn(efSearch, 1, kMax, 'efSearch');
  if (nprobe !== undefined) integerIn(nprobe, 1, kMax, 'nprobe');
  if (rerank !== undefined && typeof rerank !== 'boolean')
    throw invalid(`Got ${shown(rerank)} for rerank, expected true or false`);
  if (oversample !== undefined) numberIn(oversample, 1, oversampleMax, 'oversample');
  return { efSearch, nprobe, rerank, oversample };
}

function readOptions(
  { where, includeVectors, includeMetadata }: HitArguments,
  entry: CatalogEntry,
): ReadOptions {
  return {
    includeVectors: includeVectors === true,
    includeMetadata: includeMetadata === true,
    filter: filterOf(where, entry),
  };
}
