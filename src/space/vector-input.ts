/** Vectors as callers pass them: checked, and turned into what is stored. */

import type { Metric, VectorData } from '../api/database.ts';
import { invalid, shown } from '../base/arguments.ts';
import { isOfBits, vectorItems } from './metrics.ts';

/** What vectors of a space have to be. */
export interface VectorKind {
  readonly dimension: number;
  readonly metric: Metric;
}

/** A vector as it will be stored. @throws INVALID_ARGUMENT for another type or length, or a component that cannot be */
export function checkVector(vector: unknown, kind: VectorKind, what = 'vector'): VectorData {
  if (isOfBits(kind.metric)) return checkBitVector(vector, kind, what);
  const { dimension } = kind;
  const isFloats = vector instanceof Float32Array;
  if (!isFloats && !Array.isArray(vector)) {
    throw invalid(
      `Got ${shown(vector)} for ${what}, expected a Float32Array or an array of numbers${bitsHint(vector)}`,
    );
  }
  if (vector.length !== dimension)
    throw invalid(`Got a ${what} of ${vector.length} components, expected ${dimension}`);
  if (!isFloats) {
    const wrong = vector.findIndex((component) => typeof component !== 'number');
    if (wrong >= 0)
      throw invalid(`Got ${shown(vector[wrong])} at component ${wrong} of ${what}, expected a number`);
  }
  const floats = isFloats ? vector : Float32Array.from(vector);
  checkComponents(floats, kind, what);
  return floats;
}

function checkBitVector(vector: unknown, kind: VectorKind, what: string): Uint8Array {
  const { dimension, metric } = kind;
  if (!(vector instanceof Uint8Array))
    throw invalid(`Got ${shown(vector)} for ${what}, expected a Uint8Array of packed bits for ${metric}`);
  const bytes = vectorItems(dimension, metric);
  if (vector.length !== bytes)
    throw invalid(`Got a ${what} of ${vector.length} bytes, expected ${bytes} (${dimension} bits)`);
  checkUnusedBits(vector, kind, what);
  return vector;
}

/** Any number of queries, row after row. @throws INVALID_ARGUMENT */
export function checkQueries(queries: unknown, kind: VectorKind): VectorData {
  const { dimension, metric } = kind;
  const items = vectorItems(dimension, metric);
  if (!(queries instanceof (isOfBits(metric) ? Uint8Array : Float32Array))) {
    const expected = isOfBits(metric) ? `Uint8Array of packed bits for ${metric}` : 'packed Float32Array';
    throw invalid(`Got ${shown(queries)} for queries, expected a ${expected}${bitsHint(queries)}`);
  }
  if (queries.length % items !== 0)
    throw invalid(`Got ${queries.length} items for queries, expected a multiple of ${items}`);
  if (queries instanceof Uint8Array) checkUnusedBits(queries, kind, 'queries');
  else checkComponents(queries, kind, 'queries');
  return queries;
}

/** Packed vectors, row after row. @throws INVALID_ARGUMENT */
export function checkPacked(vectors: unknown, count: number, kind: VectorKind): VectorData {
  const { dimension, metric } = kind;
  const items = vectorItems(dimension, metric);
  if (isOfBits(metric)) {
    if (!(vectors instanceof Uint8Array))
      throw invalid(`Got ${shown(vectors)} for vectors, expected a Uint8Array of packed bits for ${metric}`);
    if (vectors.length !== count * items) {
      throw invalid(
        `Got ${vectors.length} bytes for ${count} ids, expected ${count} x ${items} = ${count * items} (${dimension} bits each)`,
      );
    }
    checkUnusedBits(vectors, kind, 'vectors');
    return vectors;
  }
  if (!(vectors instanceof Float32Array))
    throw invalid(`Got ${shown(vectors)} for vectors, expected a packed Float32Array${bitsHint(vectors)}`);
  if (vectors.length !== count * dimension) {
    throw invalid(
      `Got ${vectors.length} components for ${count} ids, expected ${count} x ${dimension} = ${count * dimension}`,
    );
  }
  checkComponents(vectors, kind, 'vectors');
  return vectors;
}

function bitsHint(vector: unknown): string {
  return vector instanceof Uint8Array ? ' (a Uint8Array holds bits, for metric Hamming or Jaccard)' : '';
}

/** Refuses NaN and infinities, naming where the first one is: one of them would poison every distance. */
function checkComponents(floats: Float32Array, { dimension, metric }: VectorKind, what: string): void {
  const refuse = (i: number, expected: string): never => {
    const row = floats.length > dimension ? ` of vector ${Math.floor(i / dimension)}` : '';
    throw invalid(`Got ${floats[i]} at component ${i % dimension}${row} of ${what}, expected ${expected}`);
  };
  let sum = 0;
  for (let i = 0; i < floats.length; i++) sum += (floats[i] as number) * 0;
  if (sum !== 0) {
    refuse(
      floats.findIndex((component) => !Number.isFinite(component)),
      'a finite 32-bit float',
    );
  }
  if (metric !== 'JensenShannon') return;
  const negative = floats.findIndex((component) => component < 0);
  if (negative >= 0) refuse(negative, 'no negative number: JensenShannon compares distributions');
}

/** The last byte may have bits beyond the dimension: they are zero, or two equal vectors would differ. */
function checkUnusedBits(bits: Uint8Array, { dimension, metric }: VectorKind, what: string): void {
  if (dimension % 8 === 0) return;
  const bytes = vectorItems(dimension, metric);
  for (let i = bytes - 1; i < bits.length; i += bytes) {
    if ((bits[i] as number) >>> (dimension % 8) !== 0) {
      const row = bits.length > bytes ? ` of vector ${Math.floor(i / bytes)}` : '';
      throw invalid(
        `Got a bit set beyond ${dimension}${row} of ${what}, expected zeros there (bit i is bit i % 8 of byte i / 8)`,
      );
    }
  }
}
