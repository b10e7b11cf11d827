/**
 * `where` to a program for the core (the grammar is in wasm/metadata/filter.h): fields are looked up and values checked
 * against their types here, so that whatever reaches the core has an answer.
 */

import type { MetadataField, MetadataFieldType } from '../../api/database.ts';
import { invalid, shown } from '../../base/arguments.ts';
import { ByteWriter } from '../metadata/byte-writer.ts';
import { checkScalar, type Scalar } from '../metadata/fields.ts';
import { writeScalar } from '../metadata/record.ts';
import { asInt64 } from '../vector-ids.ts';
import type { Comparison, Condition, Operand } from './condition.ts';
import { parseFilter } from './parse-filter.ts';
import { parseText } from './parse-text.ts';

/** A checked filter, as the core runs it. */
export type FilterProgram = Uint8Array;

const Op = { AnyOf: 1, Both: 2, Either: 3, Not: 4, Every: 5 } as const;
const LimitKind = { None: 0, Inclusive: 1, Exclusive: 2 } as const;
/** wasm/metadata/filter.h: kFilterBytesMax, kFilterDepthMax */
const programBytesMax = 1 << 20;
const setsMax = 64;

/** @throws INVALID_ARGUMENT; for a text with `details.position` where there is one */
export function compileWhere(where: unknown, fields: readonly MetadataField[]): FilterProgram {
  const compiler = new Compiler(fields);
  const depth = compiler.add(conditionOf(where));
  const program = compiler.program;
  if (depth > setsMax || program.length > programBytesMax) {
    throw invalid(
      `Got a where of ${program.length} bytes that needs ${depth} sets at a time, expected at most ${programBytesMax} and ${setsMax}`,
    );
  }
  return program;
}

/** The same where there may be none: then every vector is allowed. */
export function compileOptional(
  where: unknown,
  fields: readonly MetadataField[] = [],
): FilterProgram | undefined {
  return where === undefined ? undefined : compileWhere(where, fields);
}

/** The tree of a `where`; fields and values are not looked at. @throws INVALID_ARGUMENT */
export function conditionOf(where: unknown): Condition {
  if (typeof where === 'string') return parseText(where, undefined);
  if (typeof where !== 'object' || where === null)
    throw invalid(`Got ${shown(where)} for where, expected a text, { text, params } or a filter { op, … }`);
  if (!('text' in where)) return parseFilter(where);
  const { text, params, ...rest } = where as { text: unknown; params?: unknown };
  const stranger = Object.keys(rest)[0];
  if (stranger !== undefined) throw invalid(`Got ${shown(stranger)} in where, expected only text and params`);
  if (typeof text !== 'string') throw invalid(`Got ${shown(text)} for where.text, expected a string`);
  return parseText(text, params);
}

class Compiler {
  readonly #fields: readonly MetadataField[];
  readonly #writer: ByteWriter = new ByteWriter();

  constructor(fields: readonly MetadataField[]) {
    this.#fields = fields;
  }

  get program(): FilterProgram {
    return this.#writer.written;
  }

  /** Writes a condition and returns how many sets it needs at a time. */
  add(condition: Condition): number {
    switch (condition.op) {
      case 'not': {
        const depth = this.add(condition.condition);
        this.#writer.byte(Op.Not);
        return depth;
      }
      case 'and':
      case 'or': {
        let depth = 0;
        for (const [i, each] of condition.conditions.entries()) {
          depth = Math.max(depth, this.add(each) + (i === 0 ? 0 : 1));
          if (i > 0) this.#writer.byte(condition.op === 'and' ? Op.Both : Op.Either);
        }
        return depth;
      }
      default: {
        const { op, operands } = condition;
        const index = this.#fields.findIndex(({ name }) => name === condition.field);
        const field = this.#fields[index];
        if (field === undefined) throw unknownField(condition.field, condition.place, this.#fields);
        checkComparison(op, field, condition.place);
        this.#comparison(op, index, field, operands);
        return 1;
      }
    }
  }

  #comparison(op: Comparison, index: number, field: MetadataField, operands: readonly Operand[]): void {
    const ranges = rangesOf(
      op,
      operands.map((operand) => scalarOf(operand, field)),
    );
    this.#writer.byte(Op.AnyOf);
    this.#writer.byte(index);
    this.#writer.varint(ranges.length);
    for (const { low, high, open } of ranges) {
      this.#limit(low, open === true);
      this.#limit(high, open === true);
    }
    if (op === 'ne') this.#writer.byte(Op.Not);
  }

  #limit(value: Scalar | undefined, exclusive: boolean): void {
    if (value === undefined) {
      this.#writer.byte(LimitKind.None);
    } else {
      this.#writer.byte(exclusive ? LimitKind.Exclusive : LimitKind.Inclusive);
      writeScalar(this.#writer, value);
    }
  }
}

/** Values between two limits, either of which may be missing; `open`: the limits themselves are not among them. */
interface Range {
  readonly low: Scalar | undefined;
  readonly high: Scalar | undefined;
  readonly open?: boolean;
}

function rangesOf(op: Comparison, values: readonly Scalar[]): Range[] {
  const [first, second] = values;
  switch (op) {
    case 'exists':
      return [{ low: undefined, high: undefined }];
    case 'lt':
    case 'lte':
      return [{ low: undefined, high: first, open: op === 'lt' }];
    case 'gt':
    case 'gte':
      return [{ low: first, high: undefined, open: op === 'gt' }];
    case 'between':
      return [{ low: first, high: second }];
    default:
      return values.map((value) => ({ low: value, high: value }));
  }
}

function unknownField(name: string, place: string, fields: readonly MetadataField[]): Error {
  const names = fields.map((field) => field.name).join(', ');
  const expected =
    names === '' ? 'but the space has no metadataFields' : `expected one of metadataFields: ${names}`;
  return invalid(`Got the field ${shown(name)} ${place}, ${expected}`);
}

function checkComparison(op: Comparison, { name, type }: MetadataField, place: string): void {
  const ordered = op === 'lt' || op === 'lte' || op === 'gt' || op === 'gte' || op === 'between';
  if (!ordered || (type !== 'bool' && type !== 'string[]')) return;
  throw invalid(
    `Got an order (${op}) of ${shown(name)} ${place}, expected =, !=, IN or IS NULL: its type is ${type}`,
  );
}

/** What an operand means for a field. @throws INVALID_ARGUMENT */
export function scalarOf(operand: Operand, { name, type }: MetadataField): Scalar {
  const what = `${name} (${type}) ${operand.place}`;
  if (operand.kind === 'value') return checkScalar(operand.value, type, what);
  const { text, quoted } = operand;
  if (type === 'string' || type === 'string[]') return checkScalar(text, type, what);
  const value = quoted ? undefined : wordAs(type, text);
  if (value !== undefined) return value;
  const expected = { int: 'a 64-bit integer', float: 'a finite number', bool: 'true or false' }[type];
  throw invalid(
    `Got ${quoted ? 'the text ' : ''}${shown(text)} for ${what}, expected ${expected} without quotes`,
  );
}

/** A bare word as a value of the type; `undefined` when it is none. */
function wordAs(type: MetadataFieldType, word: string): Scalar | undefined {
  if (type === 'bool') return { true: true, false: false }[word.toLowerCase()];
  if (type === 'int')
    return /^[+-]?\d{1,19}$/.test(word) ? asInt64(BigInt(word.replace('+', ''))) : undefined;
  if (!/^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(word)) return undefined;
  const number = Number(word);
  return Number.isFinite(number) ? number : undefined;
}
