/** A vector space: ids, originals, search. Over wasm/vector; distances become those of the contract here. */

import type {
  IdKind,
  IndexType,
  Metric,
  SearchHit,
  VectorData,
  VectorEntry,
  VectorId,
} from '../api/database.ts';
import { assert } from '../base/assert.ts';
import { readUtf8, writeUtf8 } from '../base/text.ts';
import { type CoreInstance, checkStatus } from '../kernel/instance.ts';
import { Status } from '../kernel/status.ts';
import { vectorConfigBytes, writeVectorConfig } from '../kernel/vector-config.ts';
import {
  codeKinds,
  defaultCandidates,
  indexKinds,
  type ParsedIndexType,
  parseIndexType,
} from './index-types.ts';
import { isOfBits, metricCodes, vectorBytes } from './metrics.ts';
import { bytesOf, dataView, OperationKind, type OperationView } from './operation.ts';
import type { Need, Space } from './space.ts';
import { toPublicId } from './vector-ids.ts';

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
  /** Codes: measure candidates again with the originals. Default true. */
  readonly rerank?: boolean | undefined;
  /** … so many for each hit asked for. Default: by the kind of code. */
  readonly oversample?: number | undefined;
}

export class VectorSpace implements Space {
  readonly instance: CoreInstance;
  readonly shape: VectorShape;
  readonly #index: ParsedIndexType;

  constructor(instance: CoreInstance, shape: VectorShape) {
    this.instance = instance;
    this.shape = shape;
    this.#index = parseIndexType(shape.indexType, shape.metric);
  }

  create(): void {
    const { dimension, metric, p, ids, efConstruction, seed } = this.shape;
    const { index, m, codes } = this.#index;
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
      seed,
    });
    checkStatus(this.instance.exports.vec_create(config), 'create a vector space');
  }

  open(deep = false): void {
    checkStatus(this.instance.exports.vec_open(deep ? 1 : 0), 'open a vector space');
  }

  count(): number {
    return this.instance.exports.vec_count() >>> 0;
  }

  pending(): number {
    return this.instance.exports.vec_pending() >>> 0;
  }

  maintain(most: number): number {
    return checkStatus(this.instance.exports.vec_link(most), 'link vectors');
  }

  plan({ count, bytes }: Need): number {
    return count === 0 ? 0 : this.instance.exports.vec_plan(count, bytes) >>> 0;
  }

  apply({ kind, body }: OperationView): boolean {
    const { exports } = this.instance;
    const view = dataView(body);
    // Bodies begin 8-aligned in scratch, so ids and (for integer ids) floats are aligned too.
    const address = this.instance.scratch(body.length + 16);
    switch (kind) {
      case OperationKind.InsertInts: {
        const count = view.getUint32(0, true);
        this.instance.bytes().set(body, address);
        checkStatus(exports.vec_insert(address + 8, address + 8 + count * 8, count), 'insert vectors');
        return true;
      }
      case OperationKind.InsertStrings: {
        const count = view.getUint32(0, true);
        const vectorsAt = 8 + count * 4 + view.getUint32(4, true);
        const floatsAt = (address + vectorsAt + 3) & ~3;
        const bytes = this.instance.bytes();
        bytes.set(body.subarray(0, vectorsAt), address);
        bytes.set(body.subarray(vectorsAt), floatsAt);
        checkStatus(
          exports.vec_insert_strings(address + 8, address + 8 + count * 4, floatsAt, count),
          'insert vectors',
        );
        return true;
      }
      case OperationKind.DeleteInt:
        return checkStatus(exports.vec_delete(view.getBigInt64(0, true)), 'delete a vector') === Status.Ok;
      default: {
        assert(kind === OperationKind.DeleteString, `operation ${kind} belongs to a vector space`);
        this.instance.bytes().set(body, address);
        const status = exports.vec_delete_string(address + 4, view.getUint32(0, true));
        return checkStatus(status, 'delete a vector') === Status.Ok;
      }
    }
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

  searchTopK(
    query: VectorData,
    k: number,
    effort: SearchEffort,
    includeVectors: boolean,
  ): SearchHit<VectorData>[] {
    const most = Math.min(k, this.count());
    if (most === 0) return [];
    const { ef, candidates } = this.#effort(most, effort);
    return this.#search(query, most, includeVectors, (queryAt, slots, distances) =>
      this.instance.exports.vec_search(queryAt, most, ef, candidates, slots, distances),
    );
  }

  /** An efSearch that was asked for bounds the candidates: it is what the search may cost. */
  #effort(
    k: number,
    { efSearch, rerank = true, oversample }: SearchEffort,
  ): { ef: number; candidates: number } {
    const { codes } = this.#index;
    const again = codes !== 'none' && rerank;
    const wanted =
      oversample === undefined
        ? defaultCandidates(codes, k, this.shape.dimension)
        : Math.ceil(k * oversample);
    const most = Math.min(again ? wanted : 0, this.count());
    const candidates = efSearch === undefined ? most : Math.min(most, Math.max(efSearch, k));
    return { ef: Math.max(efSearch ?? 64, k), candidates };
  }

  rangeSearch(
    query: VectorData,
    radius: number,
    limit: number,
    includeVectors: boolean,
  ): SearchHit<VectorData>[] {
    const most = Math.min(limit, this.count());
    if (most === 0) return [];
    // The core measures distances, smaller is nearer: a product above the radius is a distance below its negative.
    const distance = leastF32From(this.shape.metric === 'InnerProduct' ? -radius : radius);
    return this.#search(query, most, includeVectors, (queryAt, slots, distances) =>
      this.instance.exports.vec_range(queryAt, distance, most, slots, distances),
    );
  }

  #search(
    query: VectorData,
    most: number,
    includeVectors: boolean,
    run: (query: number, slots: number, distances: number) => number,
  ): SearchHit<VectorData>[] {
    const queryBytes = (query.byteLength + 15) & ~15;
    // Query, slots, distances, and 8-aligned ids behind them: everything a call needs is asked for at once.
    const queryAt = this.instance.scratch(queryBytes + most * 16 + 8);
    const slotsAt = queryAt + queryBytes;
    const distancesAt = slotsAt + most * 4;
    this.instance.bytes().set(bytesOf(query), queryAt);
    const found = checkStatus(run(queryAt, slotsAt, distancesAt), 'search');
    const ids = this.#idsOf(slotsAt, found, (distancesAt + most * 4 + 7) & ~7);
    const distances = this.instance.f32(distancesAt, found);
    const slots = this.instance.u32(slotsAt, found);
    const sign = this.shape.metric === 'InnerProduct' ? -1 : 1;
    const hits: SearchHit<VectorData>[] = [];
    for (let i = 0; i < found; i++) {
      // `+ 0` turns -0 into 0.
      hits.push({ id: ids[i] as VectorId, distance: sign * (distances[i] as number) + 0 });
    }
    if (includeVectors)
      for (let i = 0; i < found; i++)
        (hits[i] as SearchHit<VectorData>).vector = this.#vectorAt(slots[i] as number);
    return hits;
  }

  /** The next vectors in the order of ids behind `after`; none: done. */
  scan(after: bigint | string | undefined, limit: number): VectorEntry<VectorData>[] {
    const { exports } = this.instance;
    const room = typeof after === 'string' ? (after.length * 3 + 7) & ~7 : 0;
    const slotsAt = this.instance.scratch(limit * 16 + room);
    const idsAt = slotsAt + ((limit * 4 + 7) & ~7);
    let found: number;
    if (this.shape.ids === 'int') {
      found = exports.vec_scan(after === undefined ? 0 : 1, (after ?? 0n) as bigint, limit, slotsAt);
    } else {
      const text = (after ?? '') as string;
      const textAt = slotsAt + limit * 16;
      const length = writeUtf8(text, this.instance.bytes(), textAt);
      found = exports.vec_scan_string(after === undefined ? 0 : 1, textAt, length, limit, slotsAt);
    }
    checkStatus(found, 'scan vectors');
    const ids = this.#idsOf(slotsAt, found, idsAt);
    const slots = this.instance.u32(slotsAt, found);
    return ids.map((id, i) => ({ id, vector: this.#vectorAt(slots[i] as number) }));
  }

  /** A copy of a live slot's original. */
  #vectorAt(slot: number): VectorData {
    const address = this.instance.exports.vec_vector(slot) >>> 0;
    assert(address !== 0, 'a found slot has its vector');
    return this.#copyVector(address);
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
