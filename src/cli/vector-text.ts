/** Vectors and ids as text: `1,2.5,-3`. */

import type { IdKind, VectorId } from '../api/database.ts';
import { invalid, shown } from '../base/arguments.ts';

/** A decimal number, as JSON and every language writes it. `Number` alone would take '' for 0, and `0x10`. */
const decimal = /^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$/;

/** @throws INVALID_ARGUMENT naming the component that is no number */
export function parseVector(text: string): Float32Array {
  const inner = /^\[(.*)\]$/s.exec(text.trim())?.[1] ?? text;
  return Float32Array.from(inner.split(','), (part, i) => parseComponent(part, i));
}

/** A number that a float32 can hold. `i` counts from 0. */
export function parseComponent(text: string, i: number): number {
  const trimmed = text.trim();
  const number = decimal.test(trimmed) ? Number(trimmed) : Number.NaN;
  return checkedComponent(number, i, shown(trimmed));
}

/** @throws INVALID_ARGUMENT for what is not finite as a float32 */
export function checkedComponent(number: unknown, i: number, found: string = shown(number)): number {
  if (typeof number !== 'number' || !Number.isFinite(Math.fround(number))) {
    throw invalid(`Got ${found} for component ${i + 1} of the vector, expected a number`);
  }
  return number;
}

/** The shortest decimal that is this float32 again. */
export function componentText(component: number): string {
  if (Number.isInteger(component) && Math.abs(component) < 1e7) {
    return Object.is(component, -0) ? '-0' : String(component);
  }
  for (let digits = 6; digits < 9; digits++) {
    const short = Number(component.toPrecision(digits));
    if (Math.fround(short) === component) return String(short);
  }
  return String(Number(component.toPrecision(9)));
}

export function vectorText(vector: Float32Array): string {
  return Array.from(vector, componentText).join(',');
}

/** The same numbers for JSON, without the digits that float64 would add. */
export function vectorNumbers(vector: Float32Array): number[] {
  return Array.from(vector, (component) => Number(componentText(component)));
}

/** An id of the kind the space has. @throws INVALID_ARGUMENT for one that is no integer where one is needed */
export function parseId(text: string, kind: IdKind | undefined): VectorId {
  if (kind === 'string') return text;
  if (!/^-?\d{1,19}$/.test(text)) {
    throw invalid(`Got ${shown(text)} for id, expected an integer of 64 bits`);
  }
  const number = Number(text);
  return Number.isSafeInteger(number) ? number : BigInt(text);
}

export function parseNumber(text: string, what: string): number {
  const number = decimal.test(text) ? Number(text) : Number.NaN;
  if (!Number.isFinite(number)) throw invalid(`Got ${shown(text)} for ${what}, expected a number`);
  return number;
}

/** @throws INVALID_ARGUMENT for what is no safe integer of at least `least` */
export function parseInteger(text: string, what: string, least = 0): number {
  const number = /^-?\d+$/.test(text) ? Number(text) : Number.NaN;
  if (!Number.isSafeInteger(number) || number < least) {
    throw invalid(`Got ${shown(text)} for ${what}, expected an integer of at least ${least}`);
  }
  return number;
}
