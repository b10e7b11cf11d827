/** A vector space: ids, originals, search. Over wasm/vector; distances become those of the contract here. */

import type { PackedHits } from '../api/calls.ts';
import type {
  IdKind,
  IndexType,
  Metadata,
  MetadataField,
  Metric,
  SearchHit,
  VectorData,
  VectorEntry,
  VectorId,
} from '../api/database.ts';
import { assert } from '../base/assert.ts';
import { encodeUtf8, readUtf8, writeUtf8 } from '../base/text.ts';
import { AbsentBlocks, type CoreInstance, checkStatus } from '../kernel/instance.ts';
import { Status } from '../kernel/status.ts';
import { vectorConfigBytes, writeVectorConfig } from '../kernel/vector-config.ts';
import {
  codeKinds,
  defaultCandidates,
  defaultProbes,
  indexKinds,
  type ParsedIndexType,
  parseIndexType,
} from './index-types.ts';
import { isOfBits, metricCodes, vectorBytes, vectorItems } from './metrics.ts';
import { bytesOf, dataView, type OperationView } from './operation.ts';
import { metadataPart } from './parts.ts';
import { progressWords, ReadProgress } from './read-progress.ts';
import { batchQueriesMax, type Need, originalsSegment, type Space } from './space.ts';
import { toPublicId } from './vector-ids.ts';
import { applyVectorOperation, checkTargets } from './vector-operations.ts';
import { VectorSegment } from './vector-segments.ts';
import type { FilterProgram } from './where/compile.ts';

/** wasm/exports_vector.cc: kSearchEach */
const searchEach = -102;
/** Most hits of one search: bounds the memory a query may ask for. */
export const kMax = 1_048_576;

export interface VectorShape {
  readonly dimension: number;
  readonly metric: Metric;
  /** p of metric Lp. */
  readonly p?: number;
  readonly indexType: IndexType;
  readonly ids: IdKind;
  readonly efConstruction: number;
  readonly seed: number;
  /** Default: none is indexed. */
  readonly metadataFields?: readonly MetadataField[];
}

/** What hits and scans give besides ids, and of which vectors. */
export interface ReadOptions {
  readonly includeVectors?: boolean;
  readonly includeMetadata?: boolean;
  readonly filter?: FilterProgram | undefined;
}

/** The least f32 that is not below `value`: for f32 distances, being below it is being below `value`. */
function leastF32From(value: number): number {
  const float = Math.fround(value);
  if (!(float < value)) return float;
  const bits = new Int32Array(1);
  const floats = new Float32Array(bits.buffer);
  floats[0] = float;
  // Neighbouring floats have neighbouring bits; a negative one comes nearer to zero.
  bits[0] = float === 0 ? 1 : (bits[0] as number) + (float > 0 ? 1 : -1);
  return floats[0] as number;
}

/** How hard a search tries. */
export interface SearchEffort {
  /** HNSW: candidates looked at. Default: 64, or as many as k or re-ranking ask for. */
  readonly efSearch?: number | undefined;
  /** IVF: lists looked through. Default: 2.5 times the square root of their number. */
  readonly nprobe?: number | undefined;
  /** Codes: measure candidates again with the originals. Default true. */
  readonly rerank?: boolean | undefined;
  /** … so many for each hit asked for. Default: by the kind of code. */
  readonly oversample?: number | undefined;
}

/** The hit that a page of a range search begins behind. */
export interface RangeStart {
  readonly id: bigint | string;
  readonly distance: number;
}

/** Hits as the core gives them, distances on the public scale. */
export interface Found {
  readonly ids: VectorId[];
  readonly distances: Float32Array;
  readonly slots: Uint32Array;
}

const nothing: Found = { ids: [], distances: new Float32Array(0), slots: new Uint32Array(0) };

function part({ ids, distances, slots }: Found, from: number, to: number): Found {
  return {
    ids: ids.slice(from, to),
    distances: distances.subarray(from, to),
    slots: slots.subarray(from, to),
  };
}

const noBytes: Uint8Array = new Uint8Array(0);

/** A search in the core, over addresses. Returns how many hits, or a status. */
type Run = (
  query: number,
  filter: number,
  filterLength: number,
  slots: number,
  distances: number,
  extra: number,
  words: number,
) => number;

/** Vectors of one scan step where originals are absent: they may all lie in blocks of their own. */
const scanAbsentMax = 64;

/** The empty program allows every vector. */
const everything: FilterProgram = new Uint8Array(0);

export class VectorSpace implements Space {
  readonly instance: CoreInstance;
  #shape: VectorShape;
  #index: ParsedIndexType;

  constructor(instance: CoreInstance, shape: VectorShape) {
    this.instance = instance;
    this.#shape = shape;
    this.#index = parseIndexType(shape.indexType, shape.metric, shape.dimension);
  }

  get shape(): VectorShape {
    return this.#shape;
  }

  create(): void {
    checkStatus(this.instance.exports.vec_create(this.#config()), 'create a vector space');
  }

  /**
   * Makes the index what the shape says, where the image has another one. True when it did, or was told to make it `anew`:
   * all vectors are pending then, and the next checkpoint has to store derived blocks.
   *
   * @throws OUT_OF_MEMORY: the space then needs an index that fits before anything else
   */
  reindex(change: Partial<Pick<VectorShape, 'indexType' | 'efConstruction'>> = {}, anew = false): boolean {
    this.#shape = { ...this.#shape, ...change };
    this.#index = parseIndexType(this.#shape.indexType, this.#shape.metric, this.#shape.dimension);
    const status = this.instance.exports.vec_reindex(this.#config(), anew ? 1 : 0);
    return checkStatus(status, 'change the index of a vector space') === 1;
  }

  /** The address of what the core makes a space by. */
  #config(): number {
    const { dimension, metric, p, ids, efConstruction, seed } = this.shape;
    const { index, m, codes, lists, subspaces } = this.#index;
    const config = this.instance.scratch(vectorConfigBytes);
    writeVectorConfig(dataView(this.instance.bytes()), config, {
      dimension,
      metric: metricCodes[metric],
      power: p ?? 0,
      idKind: ids === 'int' ? 0 : 1,
      index: indexKinds[index],
      m,
      efConstruction,
      codes: codeKinds[codes],
      listCount: lists,
      subspaces,
      seed,
    });
    return config;
  }

  open(deep = false): void {
    checkStatus(this.instance.exports.vec_open(deep ? 1 : 0), 'open a vector space');
  }

  slack(): number {
    const slots = this.instance.exports.vec_slots() >>> 0;
    return slots === 0 ? 0 : 1 - this.count() / slots;
  }

  count(): number {
    return this.instance.exports.vec_count() >>> 0;
  }

  pending(): number {
    return this.instance.exports.vec_pending() >>> 0;
  }

  /** Of an index that has to be trained: on how many vectors it was, what it takes, and how much of it is done. */
  training(): { trainedOn: number; needs: number; done: number } | undefined {
    const { exports } = this.instance;
    const needs = exports.vec_training_needs() >>> 0;
    if (needs === 0) return undefined;
    return { trainedOn: exports.vec_trained_on() >>> 0, needs, done: 1 - exports.vec_training_left() };
  }

  maintain(most: number): number {
    return checkStatus(this.instance.exports.vec_link(most), 'link vectors');
  }

  /**
   * Takes over a graph that was linked elsewhere, from blocks as `blockOf` gives them. What it does not know is pending.
   *
   * @throws OUT_OF_MEMORY: the graph is as it was
   */
  adoptGraph(
    blockOf: (segment: number, index: number) => Uint8Array,
    blocksOf: (segment: number) => number,
  ): void {
    const { exports } = this.instance;
    const { GraphMeta, GraphNodes, GraphBase, GraphUpper } = VectorSegment;
    this.instance.askBudget();
    checkStatus(
      exports.vec_links_room(blocksOf(GraphNodes), blocksOf(GraphBase), blocksOf(GraphUpper)),
      'make room for a graph',
    );
    for (const segment of [GraphMeta, GraphNodes, GraphBase, GraphUpper])
      for (let index = 0; index < blocksOf(segment); index++) {
        const address = exports.block_at(segment, index) >>> 0;
        this.instance.bytes().set(blockOf(segment, index), address);
      }
    // One that could not be opened is made anew: it is derived data.
    if (exports.vec_links_adopt() !== Status.Ok) this.reindex({}, true);
  }

  plan({ count, bytes, removals = 0, metadata }: Need): number {
    const { exports } = this.instance;
    const { updates = 0, values = 0, bytes: metadataBytes = 0 } = metadata ?? {};
    const writes = count + updates === 0 ? 0 : exports.vec_plan(count, bytes, updates, values, metadataBytes);
    return (writes >>> 0) + (removals === 0 ? 0 : exports.vec_plan_removals(removals) >>> 0);
  }

  /** Whether originals are missing from memory. */
  get #someAbsent(): boolean {
    return this.instance.exports.blocks_absent(originalsSegment) !== 0;
  }

  ready(operation: OperationView): void {
    if (this.#someAbsent) checkTargets(this.instance, operation);
  }

  apply(operation: OperationView): boolean {
    return applyVectorOperation(this.instance, this.#vectorBytes, operation);
  }

  get(id: bigint | string): VectorData | undefined {
    const { exports } = this.instance;
    const bytes = this.#vectorBytes;
    const room = typeof id === 'string' ? id.length * 3 : 0;
    const out = this.instance.scratch(bytes + room);
    let status: number;
    if (typeof id === 'string') {
      const idAt = out + bytes;
      status = exports.vec_get_string(idAt, writeUtf8(id, this.instance.bytes(), idAt), out);
    } else {
      status = exports.vec_get(id, out);
    }
    if (checkStatus(status, 'get a vector') === Status.NotFound) return undefined;
    return this.#copyVector(out);
  }

  /** How many vectors a filter allows. */
  countWhere(filter: FilterProgram): number {
    const address = this.instance.scratch(filter.length);
    this.instance.bytes().set(filter, address);
    return checkStatus(this.instance.exports.vec_count_where(address, filter.length), 'count vectors');
  }

  /** An id's metadata, `{}` when it has none; `undefined` when there is no such id. */
  metadata(id: bigint | string): Metadata | undefined {
    const slot = this.#slotOf(id);
    return slot === undefined ? undefined : (this.#metadataAt(slot) ?? {});
  }

  /** Bytes of an id's metadata as it is stored; `undefined` when there is no such id. */
  metadataBytes(id: bigint | string): number | undefined {
    const slot = this.#slotOf(id);
    return slot === undefined ? undefined : this.#recordAt(slot).length;
  }

  searchTopK(
    query: VectorData,
    k: number,
    effort: SearchEffort,
    options: ReadOptions = {},
    progress: ReadProgress = new ReadProgress(),
  ): SearchHit<VectorData>[] {
    const most = Math.min(k, this.count());
    if (most === 0) return [];
    progress.begin(this.instance);
    progress.found[0] ??= this.#search(query, most, effort, options, progress);
    return this.#hits(progress.found[0], options, progress);
  }

  #search(
    query: VectorData,
    most: number,
    effort: SearchEffort,
    options: ReadOptions,
    progress: ReadProgress,
  ): Found {
    const { ef, probes, candidates } = this.#effort(most, effort);
    const { exports } = this.instance;
    return this.#findOn(progress, query, most, options, (at, filterAt, length, slots, distances, _, words) =>
      exports.vec_search(at, most, ef, probes, candidates, filterAt, length, slots, distances, words),
    );
  }

  /** An efSearch that was asked for bounds the candidates: it is what the search may cost. */
  #effort(
    k: number,
    { efSearch, nprobe, rerank = true, oversample }: SearchEffort,
  ): { ef: number; probes: number; candidates: number } {
    const { codes } = this.#index;
    const again = codes !== 'none' && rerank;
    const wanted =
      oversample === undefined
        ? defaultCandidates(this.#index, k, this.shape.dimension)
        : Math.ceil(k * oversample);
    const most = Math.min(again ? wanted : 0, this.count());
    const candidates = efSearch === undefined ? most : Math.min(most, Math.max(efSearch, k));
    return { ef: Math.max(efSearch ?? 64, k), probes: nprobe ?? defaultProbes(this.#index), candidates };
  }

  /** Queries row after row, `batchQueriesMax` at most: in one pass over the originals where that is how they are searched. */
  searchBatch(
    queries: VectorData,
    k: number,
    effort: SearchEffort,
    options: ReadOptions,
    progress: ReadProgress = new ReadProgress(),
  ): PackedHits {
    const items = vectorItems(this.shape.dimension, this.shape.metric);
    const count = queries.length / items;
    assert(count <= batchQueriesMax, 'a batch has few queries');
    const most = Math.min(k, this.count());
    if (most === 0)
      return this.#packed(
        Array.from({ length: count }, () => nothing),
        options,
        progress,
      );
    progress.begin(this.instance);
    const { ef, probes, candidates } = this.#effort(most, effort);
    const { exports } = this.instance;
    let each = 0;
    const together = this.#find(
      queries,
      count * most,
      options,
      (at, filterAt, filterLength, slots, distances) => {
        each = exports.vec_search_batch(
          at,
          count,
          most,
          ef,
          probes,
          candidates,
          filterAt,
          filterLength,
          slots,
          distances,
        );
        if (each === searchEach) return 0;
        return each < 0 ? each : each * count;
      },
    );
    if (each !== searchEach) {
      const found = Array.from({ length: count }, (_, i) => part(together, i * each, (i + 1) * each));
      return this.#packed(found, options, progress);
    }
    const { found } = progress;
    while (found.length < count) {
      const query = queries.subarray(found.length * items, (found.length + 1) * items);
      found.push(this.#search(query, most, effort, options, progress));
    }
    return this.#packed(found, options, progress);
  }

  /** With `after` only what comes behind that hit. */
  rangeSearch(
    query: VectorData,
    radius: number,
    limit: number,
    options: ReadOptions,
    after?: RangeStart,
    progress: ReadProgress = new ReadProgress(),
  ): SearchHit<VectorData>[] {
    const most = Math.min(limit, this.count());
    if (most === 0) return [];
    progress.begin(this.instance);
    // The core measures distances, smaller is nearer: a product above the radius is a distance below its negative.
    const distance = leastF32From(this.shape.metric === 'InnerProduct' ? -radius : radius);
    const startBytes = after === undefined ? noBytes : this.#startBytes(after);
    progress.found[0] ??= this.#findOn(
      progress,
      query,
      most,
      options,
      (at, filterAt, filterLength, slots, distances, startAt, words) => {
        const start = after === undefined ? 0 : startAt;
        const { exports } = this.instance;
        return exports.vec_range(at, distance, most, start, filterAt, filterLength, slots, distances, words);
      },
      startBytes,
    );
    return this.#hits(progress.found[0], options, progress);
  }

  /** f32 distance, u32 length and bytes of an id as a tree key (wasm/vector/format.h). */
  #startBytes({ id, distance }: RangeStart): Uint8Array {
    const key = typeof id === 'string' ? encodeUtf8(id) : new Uint8Array(8);
    const bytes = new Uint8Array(8 + key.length);
    const view = dataView(bytes);
    view.setFloat32(0, this.shape.metric === 'InnerProduct' ? -distance : distance, true);
    view.setUint32(4, key.length, true);
    if (typeof id === 'bigint') view.setBigUint64(8, BigInt.asUintN(64, id) ^ (1n << 63n), false);
    else bytes.set(key, 8);
    return bytes;
  }

  /** A search that goes on from where it came to, and keeps how far it comes when originals are missing. */
  #findOn(
    progress: ReadProgress,
    query: VectorData,
    most: number,
    options: ReadOptions,
    run: Run,
    extra?: Uint8Array,
  ): Found {
    const { core, slots, distances } = progress;
    const found = this.#find(
      query,
      most,
      options,
      (queryAt, filterAt, filterLength, slotsAt, distancesAt, extraAt, wordsAt) => {
        this.instance.u32(wordsAt, progressWords).set(core);
        this.instance.u32(slotsAt, slots.length).set(slots);
        this.instance.f32(distancesAt, distances.length).set(distances);
        const count = run(queryAt, filterAt, filterLength, slotsAt, distancesAt, extraAt, wordsAt);
        if (count !== Status.Absent) return count;
        progress.core = this.instance.u32(wordsAt, progressWords).slice();
        const [phase = 0, , kept = 0] = progress.core;
        progress.slots = this.instance.u32(slotsAt, kept).slice();
        progress.distances = this.instance.f32(distancesAt, kept).slice();
        throw new AbsentBlocks(phase !== 0);
      },
      extra,
    );
    progress.next();
    return found;
  }

  /** `most`: room for so many hits in all. `extra`: bytes that the call reads as well. */
  #find(
    query: VectorData,
    most: number,
    { filter = everything }: ReadOptions,
    run: Run,
    extra: Uint8Array = noBytes,
  ): Found {
    const queryBytes = (query.byteLength + 15) & ~15;
    const extraBytes = (extra.length + 7) & ~7;
    // The core's progress, query, slots, distances, 8-aligned ids, what is extra, and the filter: everything a call needs is
    // asked for at once.
    const wordsAt = this.instance.scratch(
      progressWords * 4 + queryBytes + most * 16 + 8 + extraBytes + filter.length,
    );
    const queryAt = wordsAt + progressWords * 4;
    const slotsAt = queryAt + queryBytes;
    const distancesAt = slotsAt + most * 4;
    const extraAt = slotsAt + most * 16 + 8;
    const filterAt = extraAt + extraBytes;
    const bytes = this.instance.bytes();
    bytes.set(bytesOf(query), queryAt);
    bytes.set(extra, extraAt);
    bytes.set(filter, filterAt);
    const status = run(queryAt, filterAt, filter.length, slotsAt, distancesAt, extraAt, wordsAt);
    const count = checkStatus(status, 'search');
    const ids = this.#idsOf(slotsAt, count, (distancesAt + most * 4 + 7) & ~7);
    const sign = this.shape.metric === 'InnerProduct' ? -1 : 1;
    // `+ 0` turns -0 into 0.
    const distances = this.instance.f32(distancesAt, count).map((distance) => sign * distance + 0);
    return { ids, distances, slots: this.instance.u32(slotsAt, count).slice() };
  }

  #hits(
    { ids, distances, slots }: Found,
    { includeVectors, includeMetadata }: ReadOptions,
    progress: ReadProgress,
  ): SearchHit<VectorData>[] {
    const vectors = includeVectors ? this.#vectorsAt(slots, progress) : [];
    const hits: SearchHit<VectorData>[] = [];
    for (let i = 0; i < ids.length; i++) {
      const hit: SearchHit<VectorData> = { id: ids[i] as VectorId, distance: distances[i] as number };
      if (includeMetadata) hit.metadata = this.#metadataAt(slots[i] as number) ?? {};
      if (includeVectors) hit.vector = vectors[i] as VectorData;
      hits.push(hit);
    }
    return hits;
  }

  #packed(
    found: readonly Found[],
    { includeVectors, includeMetadata }: ReadOptions,
    progress: ReadProgress,
  ): PackedHits {
    const slots = found.flatMap((each) => Array.from(each.slots));
    const distances = new Float32Array(slots.length);
    let at = 0;
    for (const each of found) {
      distances.set(each.distances, at);
      at += each.distances.length;
    }
    return {
      counts: Uint32Array.from(found, ({ ids }) => ids.length),
      ids: found.flatMap(({ ids }) => ids),
      distances,
      ...(includeMetadata ? { metadata: slots.map((slot) => this.#metadataAt(slot) ?? {}) } : {}),
      ...(includeVectors ? { vectors: this.#vectorsAt(slots, progress) } : {}),
    };
  }

  /** The next vectors in the order of ids behind `after`, with their metadata where they have any; none: done. */
  scan(
    after: bigint | string | undefined,
    limit: number,
    filter: FilterProgram = everything,
  ): VectorEntry<VectorData>[] {
    const most = this.#someAbsent ? Math.min(limit, scanAbsentMax) : limit;
    const { slots, ids } = this.#scanSlots(after, most, filter);
    const vectors = this.#vectorsAt(slots);
    return ids.map((id, i) => {
      const metadata = this.#metadataAt(slots[i] as number);
      const vector = vectors[i] as VectorData;
      return metadata === undefined ? { id, vector } : { id, vector, metadata };
    });
  }

  /** The ids alone. */
  scanIds(after: bigint | string | undefined, limit: number, filter: FilterProgram = everything): VectorId[] {
    return this.#scanSlots(after, limit, filter).ids;
  }

  #scanSlots(
    after: bigint | string | undefined,
    limit: number,
    filter: FilterProgram,
  ): { slots: Uint32Array; ids: VectorId[] } {
    const { exports } = this.instance;
    const room = typeof after === 'string' ? (after.length * 3 + 7) & ~7 : 0;
    const slotsAt = this.instance.scratch(limit * 16 + room + filter.length);
    const idsAt = slotsAt + ((limit * 4 + 7) & ~7);
    const filterAt = slotsAt + limit * 16 + room;
    this.instance.bytes().set(filter, filterAt);
    const hasCursor = after === undefined ? 0 : 1;
    let found: number;
    if (this.shape.ids === 'int') {
      found = exports.vec_scan(hasCursor, (after ?? 0n) as bigint, filterAt, filter.length, limit, slotsAt);
    } else {
      const textAt = slotsAt + limit * 16;
      const length = writeUtf8((after ?? '') as string, this.instance.bytes(), textAt);
      found = exports.vec_scan_string(hasCursor, textAt, length, filterAt, filter.length, limit, slotsAt);
    }
    checkStatus(found, 'scan vectors');
    const ids = this.#idsOf(slotsAt, found, idsAt);
    return { slots: this.instance.u32(slotsAt, found).slice(), ids };
  }

  #slotOf(id: bigint | string): number | undefined {
    const { exports } = this.instance;
    let slot: number;
    if (typeof id === 'bigint') {
      slot = exports.vec_slot(id);
    } else {
      const address = this.instance.scratch(id.length * 3);
      slot = exports.vec_slot_string(address, writeUtf8(id, this.instance.bytes(), address));
    }
    return slot < 0 ? undefined : slot;
  }

  /** A live slot's record; a view until the next call into the core. */
  #recordAt(slot: number): Uint8Array {
    const { exports } = this.instance;
    const place = this.instance.scratch(8);
    checkStatus(exports.vec_metadata(slot, place), 'read metadata');
    const [address = 0, length = 0] = this.instance.u32(place, 2);
    return this.instance.bytes().subarray(address, address + length);
  }

  #metadataAt(slot: number): Metadata | undefined {
    const record = this.#recordAt(slot);
    return record.length === 0
      ? undefined
      : metadataPart.loaded.readRecord(record, this.shape.metadataFields ?? []);
  }

  /** Copies of live slots' originals. With `progress` those that are there are kept when others are not. */
  #vectorsAt(slots: ArrayLike<number>, progress?: ReadProgress): VectorData[] {
    const vectors: VectorData[] = [];
    const missing: number[] = [];
    const someAbsent = this.#someAbsent;
    for (let i = 0; i < slots.length; i++) {
      const slot = slots[i] as number;
      const kept = someAbsent ? progress?.vectors?.get(slot) : undefined;
      const address = kept === undefined ? this.instance.exports.vec_vector(slot) >>> 0 : 0;
      if (kept === undefined && address === 0) {
        missing.push(slot);
        continue;
      }
      const vector = kept ?? this.#copyVector(address);
      if (someAbsent && progress !== undefined) {
        progress.vectors ??= new Map();
        progress.vectors.set(slot, vector);
      }
      vectors.push(vector);
    }
    if (missing.length > 0) this.#throwAbsent(missing, progress !== undefined);
    return vectors;
  }

  /** Names the blocks of slots whose originals are not in memory. */
  #throwAbsent(slots: readonly number[], goesOn: boolean): never {
    const at = this.instance.scratch(slots.length * 4);
    this.instance.u32(at, slots.length).set(slots);
    const status = this.instance.exports.vec_originals(at, slots.length);
    assert(status === Status.Absent, `vec_originals answered ${status}`);
    throw new AbsentBlocks(goesOn);
  }

  get #vectorBytes(): number {
    return vectorBytes(this.shape.dimension, this.shape.metric);
  }

  #copyVector(address: number): VectorData {
    if (!isOfBits(this.shape.metric)) return this.instance.f32(address, this.shape.dimension).slice();
    return this.instance.bytes().slice(address, address + this.#vectorBytes);
  }

  #idsOf(slotsAt: number, count: number, out: number): VectorId[] {
    if (count === 0) return [];
    const { exports } = this.instance;
    if (this.shape.ids === 'int') {
      checkStatus(exports.vec_ids(slotsAt, count, out), 'read ids');
      return Array.from(this.instance.i64(out, count), toPublicId);
    }
    const bytes = this.instance.bytes();
    const view = new DataView(bytes.buffer);
    return Array.from(this.instance.u32(slotsAt, count), (slot) => {
      const address = exports.vec_id_string(slot) >>> 0;
      return readUtf8(bytes, address + 4, view.getUint32(address, true));
    });
  }
}
