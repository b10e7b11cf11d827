/** A vector space: ids, originals, search. Over wasm/vector; distances become those of the contract here. */

import type {
  IdKind,
  IndexType,
  Metric,
  MetricName,
  SearchHit,
  VectorEntry,
  VectorId,
} from '../api/database.ts';
import { integerIn, invalid, oneOf, shown } from '../base/arguments.ts';
import { assert } from '../base/assert.ts';
import { readUtf8, writeUtf8 } from '../base/text.ts';
import { type CoreInstance, checkStatus } from '../kernel/instance.ts';
import { Status } from '../kernel/status.ts';
import { dataView, OperationKind, type OperationView } from './operation.ts';
import type { Need, Space } from './space.ts';
import { toPublicId } from './vector-ids.ts';

export const dimensionMax = 4096;
/** Most hits of one search: bounds the memory a query may ask for. */
export const kMax = 1_048_576;

const metricCodes: Record<Metric, number> = { L2: 0, InnerProduct: 1, Cosine: 2 };
const metricAliases: Record<MetricName, Metric> = {
  L2: 'L2',
  InnerProduct: 'InnerProduct',
  IP: 'InnerProduct',
  Cosine: 'Cosine',
  COS: 'Cosine',
};

export interface VectorShape {
  readonly dimension: number;
  readonly metric: Metric;
  readonly indexType: IndexType;
  readonly ids: IdKind;
  readonly efConstruction: number;
  readonly seed: number;
}

export function parseMetric(name: unknown): Metric {
  return metricAliases[oneOf(name, Object.keys(metricAliases) as MetricName[], 'metric')];
}

/** Parses a factory string. `m` is 0 for Flat. */
export function parseIndexType(text: unknown): { indexType: IndexType; m: number } {
  if (text === 'Flat') return { indexType: 'Flat', m: 0 };
  const match = typeof text === 'string' ? /^HNSW(\d{1,4})$/.exec(text) : null;
  if (match === null)
    throw invalid(`Got ${shown(text)} for indexType, expected Flat or HNSW followed by M, such as HNSW16`);
  return { indexType: text as IndexType, m: integerIn(Number(match[1]), 2, 256, 'M of indexType') };
}

/** A vector as the f32s that will be stored. @throws INVALID_ARGUMENT for another length or a component not finite */
export function checkVector(vector: unknown, dimension: number, what = 'vector'): Float32Array {
  const isFloats = vector instanceof Float32Array;
  if (!isFloats && !Array.isArray(vector)) {
    throw invalid(`Got ${shown(vector)} for ${what}, expected a Float32Array or an array of numbers`);
  }
  if (vector.length !== dimension)
    throw invalid(`Got a ${what} of ${vector.length} components, expected ${dimension}`);
  if (!isFloats) {
    const wrong = vector.findIndex((component) => typeof component !== 'number');
    if (wrong >= 0)
      throw invalid(`Got ${shown(vector[wrong])} at component ${wrong} of ${what}, expected a number`);
  }
  const floats = isFloats ? vector : Float32Array.from(vector);
  checkFinite(floats, dimension, what);
  return floats;
}

/** Refuses NaN and infinities, naming where the first one is: one of them would poison every distance. */
export function checkFinite(floats: Float32Array, dimension: number, what: string): void {
  let sum = 0;
  for (let i = 0; i < floats.length; i++) sum += (floats[i] as number) * 0;
  if (sum === 0) return;
  const i = floats.findIndex((component) => !Number.isFinite(component));
  const row = floats.length > dimension ? ` of vector ${Math.floor(i / dimension)}` : '';
  throw invalid(
    `Got ${floats[i]} at component ${i % dimension}${row} of ${what}, expected a finite 32-bit float`,
  );
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

export class VectorSpace implements Space {
  readonly instance: CoreInstance;
  readonly shape: VectorShape;

  constructor(instance: CoreInstance, shape: VectorShape) {
    this.instance = instance;
    this.shape = shape;
  }

  create(): void {
    const { dimension, metric, indexType, ids, efConstruction, seed } = this.shape;
    const { m } = parseIndexType(indexType);
    const high = Math.floor(seed / 2 ** 32);
    const status = this.instance.exports.vec_create(
      dimension,
      metricCodes[metric],
      m === 0 ? 0 : 1,
      m,
      efConstruction,
      ids === 'int' ? 0 : 1,
      seed >>> 0,
      high,
    );
    checkStatus(status, 'create a vector space');
  }

  open(): void {
    checkStatus(this.instance.exports.vec_open(0), 'open a vector space');
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

  get(id: bigint | string): Float32Array | undefined {
    const { exports } = this.instance;
    const { dimension } = this.shape;
    const room = typeof id === 'string' ? id.length * 3 : 0;
    const out = this.instance.scratch(dimension * 4 + room);
    let status: number;
    if (typeof id === 'string') {
      const idAt = out + dimension * 4;
      status = exports.vec_get_string(idAt, writeUtf8(id, this.instance.bytes(), idAt), out);
    } else {
      status = exports.vec_get(id, out);
    }
    if (checkStatus(status, 'get a vector') === Status.NotFound) return undefined;
    return this.instance.f32(out, dimension).slice();
  }

  searchTopK(query: Float32Array, k: number, efSearch: number, includeVectors: boolean): SearchHit[] {
    const most = Math.min(k, this.count());
    if (most === 0) return [];
    return this.#search(query, most, includeVectors, (queryAt, slots, distances) =>
      this.instance.exports.vec_search(queryAt, most, Math.max(efSearch, most), slots, distances),
    );
  }

  rangeSearch(query: Float32Array, radius: number, limit: number, includeVectors: boolean): SearchHit[] {
    const most = Math.min(limit, this.count());
    if (most === 0) return [];
    // The core measures distances, smaller is nearer: a product above the radius is a distance below its negative.
    const distance = leastF32From(this.shape.metric === 'InnerProduct' ? -radius : radius);
    return this.#search(query, most, includeVectors, (queryAt, slots, distances) =>
      this.instance.exports.vec_range(queryAt, distance, most, slots, distances),
    );
  }

  #search(
    query: Float32Array,
    most: number,
    includeVectors: boolean,
    run: (query: number, slots: number, distances: number) => number,
  ): SearchHit[] {
    const queryBytes = (query.byteLength + 15) & ~15;
    // Query, slots, distances, and 8-aligned ids behind them: everything a call needs is asked for at once.
    const queryAt = this.instance.scratch(queryBytes + most * 16 + 8);
    const slotsAt = queryAt + queryBytes;
    const distancesAt = slotsAt + most * 4;
    this.instance.f32(queryAt, query.length).set(query);
    const found = checkStatus(run(queryAt, slotsAt, distancesAt), 'search');
    const ids = this.#idsOf(slotsAt, found, (distancesAt + most * 4 + 7) & ~7);
    const distances = this.instance.f32(distancesAt, found);
    const slots = this.instance.u32(slotsAt, found);
    const sign = this.shape.metric === 'InnerProduct' ? -1 : 1;
    const hits: SearchHit[] = [];
    for (let i = 0; i < found; i++) {
      // `+ 0` turns -0 into 0.
      hits.push({ id: ids[i] as VectorId, distance: sign * (distances[i] as number) + 0 });
    }
    if (includeVectors)
      for (let i = 0; i < found; i++) (hits[i] as SearchHit).vector = this.#vectorAt(slots[i] as number);
    return hits;
  }

  /** The next vectors in the order of ids behind `after`; none: done. */
  scan(after: bigint | string | undefined, limit: number): VectorEntry[] {
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
  #vectorAt(slot: number): Float32Array {
    const address = this.instance.exports.vec_vector(slot) >>> 0;
    assert(address !== 0, 'a found slot has its vector');
    return this.instance.f32(address, this.shape.dimension).slice();
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
