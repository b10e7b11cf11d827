/** Checks of what callers pass in. Every message says what was found and what was expected. */

import { type ShibuDbError, shibuDbError } from '../api/errors.ts';

export function invalid(message: string): ShibuDbError {
  return shibuDbError('INVALID_ARGUMENT', message);
}

/** How a value is shown in a message: its kind and, where that is short, the value. Never the contents of data. */
export function shown(value: unknown): string {
  if (typeof value === 'string')
    return value.length <= 40 ? JSON.stringify(value) : `a text of ${value.length} characters`;
  if (typeof value === 'bigint') return `${value}n`;
  if (ArrayBuffer.isView(value)) return `a ${value.constructor.name} of ${value.byteLength} bytes`;
  if (Array.isArray(value)) return `an array of ${value.length}`;
  if (typeof value === 'object' && value !== null)
    return `an object (${value.constructor?.name ?? 'no class'})`;
  return String(value);
}

export function integerIn(value: unknown, least: number, most: number, what: string): number {
  if (typeof value !== 'number' || !Number.isInteger(value) || value < least || value > most) {
    throw invalid(`Got ${shown(value)} for ${what}, expected an integer from ${least} to ${most}`);
  }
  return value;
}

export function numberIn(value: unknown, least: number, most: number, what: string): number {
  if (typeof value !== 'number' || !(value >= least && value <= most)) {
    throw invalid(`Got ${shown(value)} for ${what}, expected a number from ${least} to ${most}`);
  }
  return value;
}

export function oneOf<Choice extends string>(
  value: unknown,
  choices: readonly Choice[],
  what: string,
): Choice {
  if (!choices.includes(value as Choice)) {
    throw invalid(`Got ${shown(value)} for ${what}, expected one of ${choices.join(', ')}`);
  }
  return value as Choice;
}

export function wellFormedText(value: unknown, what: string): string {
  if (typeof value !== 'string') throw invalid(`Got ${shown(value)} for ${what}, expected a string`);
  // A lone surrogate has no UTF-8: two different texts would become one key.
  if (!value.isWellFormed()) throw invalid(`Got a lone surrogate in ${what}, expected well-formed Unicode`);
  return value;
}

const memoryBudgetLeast = 8 * 1024 * 1024;

/** @throws INVALID_ARGUMENT */
export function checkMemoryBudget(bytes: unknown): void {
  if (bytes !== undefined) integerIn(bytes, memoryBudgetLeast, Number.MAX_SAFE_INTEGER, 'memoryBudgetBytes');
}
