/**
 * Metadata as records (the grammar is in wasm/metadata/record.h): indexed fields by number with typed values, all others by
 * name as JSON.
 */

import type { Metadata, MetadataField } from '../../api/database.ts';
import { invalid, shown } from '../../base/arguments.ts';
import { assert } from '../../base/assert.ts';
import { compareBytes, encodeUtf8, readUtf8 } from '../../base/text.ts';
import { toPublicId } from '../vector-ids.ts';
import type { ByteWriter } from './byte-writer.ts';
import { checkName, checkScalar, type Scalar } from './fields.ts';

export const recordBytesMax: number = 64 * 1024;
const namedTag = 255;
const jsonDepthMax = 64;

/** wasm/metadata/record.h: ValueKind */
export const ValueKind = { Cleared: 0, String: 1, Int: 2, Float: 3, False: 4, True: 5, Strings: 6 } as const;

/** Kind and body of a value that `checkScalar` passed. */
export function writeScalar(writer: ByteWriter, value: Scalar): void {
  if (typeof value === 'boolean') {
    writer.byte(value ? ValueKind.True : ValueKind.False);
  } else if (typeof value === 'bigint') {
    writer.byte(ValueKind.Int);
    writer.integer(value);
  } else if (typeof value === 'number') {
    writer.byte(ValueKind.Float);
    writer.float(value);
  } else {
    writer.byte(ValueKind.String);
    writer.text(value);
  }
}

/**
 * Writes a record and returns how many indexed values it has. `null` and `undefined` are no value: in a patch `null` clears
 * its field.
 *
 * @throws INVALID_ARGUMENT; the writer may then have part of the record
 */
export function writeRecord(
  writer: ByteWriter,
  metadata: unknown,
  fields: readonly MetadataField[],
  what: string,
  patch = false,
): number {
  if (typeof metadata !== 'object' || metadata === null || !isPlain(metadata))
    throw invalid(`Got ${shown(metadata)} for ${what}, expected an object of fields`);
  const start = writer.length;
  const given = new Map(Object.entries(metadata));
  let values = 0;
  for (const [i, field] of fields.entries()) {
    const value: unknown = given.get(field.name);
    given.delete(field.name);
    if (value === undefined || (value === null && !patch)) continue;
    writer.byte(i);
    values += writeField(writer, value, field, `${field.name} of ${what}`);
  }
  const named = [...given].filter(([, value]) => value !== undefined && (value !== null || patch));
  const encoded = named.map(([name, value]) => ({
    name: encodeUtf8(checkName(name, `a field of ${what}`)),
    json: value === null ? '' : jsonOf(value, `${name} of ${what}`),
  }));
  encoded.sort((a, b) => compareBytes(a.name, b.name));
  for (const { name, json } of encoded) {
    writer.byte(namedTag);
    writer.varint(name.length);
    writer.raw(name);
    writer.text(json);
  }
  const bytes = writer.length - start;
  if (bytes > recordBytesMax)
    throw invalid(`Got ${bytes} bytes for ${what}, expected at most ${recordBytesMax}`);
  return values;
}

function writeField(writer: ByteWriter, value: unknown, field: MetadataField, what: string): number {
  const typed = `${what}, whose type is ${field.type}`;
  if (value === null) {
    writer.byte(ValueKind.Cleared);
    return 0;
  }
  if (field.type !== 'string[]') {
    writeScalar(writer, checkScalar(value, field.type, typed));
    return 1;
  }
  if (!Array.isArray(value)) throw invalid(`Got ${shown(value)} for ${typed}, expected an array of strings`);
  writer.byte(ValueKind.Strings);
  writer.varint(value.length);
  for (const text of value as unknown[])
    writer.text(checkScalar(text, 'string[]', `a text of ${typed}`) as string);
  return value.length;
}

function isPlain(value: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(value);
  // Of another realm (a frame, a test's sandbox) the prototype is another object with no prototype of its own.
  return prototype === null || Object.getPrototypeOf(prototype) === null;
}

/** JSON that gives the value back. What JSON would change or drop without a word is refused. */
function jsonOf(value: unknown, what: string): string {
  checkJson(value, what, 0);
  return JSON.stringify(value);
}

function checkJson(value: unknown, what: string, depth: number): void {
  if (value === null || typeof value === 'boolean' || typeof value === 'string') return;
  if (typeof value === 'number' && Number.isFinite(value)) return;
  if (depth > jsonDepthMax) throw invalid(`Got ${what} nested deeper than ${jsonDepthMax} levels`);
  if (Array.isArray(value)) {
    for (let i = 0; i < value.length; i++) checkJson(value[i], `${what}[${i}]`, depth + 1);
  } else if (typeof value === 'object' && isPlain(value)) {
    for (const [name, inner] of Object.entries(value))
      if (inner !== undefined) checkJson(inner, `${what}.${name}`, depth + 1);
  } else {
    const hint = typeof value === 'bigint' ? '; bigints are for fields of type int' : '';
    throw invalid(`Got ${shown(value)} for ${what}, expected what JSON can hold${hint}`);
  }
}

/** A record as the object it was made of, indexed fields first. */
export function readRecord(bytes: Uint8Array, fields: readonly MetadataField[]): Metadata {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const entries: [string, unknown][] = [];
  let at = 0;
  const varint = (): number => {
    let value = 0;
    for (let scale = 1; ; scale *= 128) {
      const byte = view.getUint8(at++);
      value += (byte & 127) * scale;
      if (byte < 128) return value;
    }
  };
  const integer = (): number | bigint => {
    const start = at;
    const zigzag = varint();
    if (zigzag <= Number.MAX_SAFE_INTEGER) return zigzag % 2 === 0 ? zigzag / 2 : -(zigzag + 1) / 2;
    let exact = 0n;
    for (let i = at - 1; i >= start; i--) exact = (exact << 7n) | BigInt(view.getUint8(i) & 127);
    return toPublicId(exact & 1n ? -(exact >> 1n) - 1n : exact >> 1n);
  };
  const text = (): string => {
    const length = varint();
    at += length;
    return readUtf8(bytes, at - length, length);
  };
  const value = (kind: number): unknown => {
    switch (kind) {
      case ValueKind.String:
        return text();
      case ValueKind.Int:
        return integer();
      case ValueKind.Float:
        at += 8;
        return view.getFloat64(at - 8, true);
      case ValueKind.Strings:
        return Array.from({ length: varint() }, text);
      default:
        return kind === ValueKind.True;
    }
  };
  while (at < bytes.length) {
    const tag = view.getUint8(at++);
    if (tag === namedTag) {
      const name = text();
      entries.push([name, JSON.parse(text())]);
    } else {
      const field = fields[tag];
      assert(field !== undefined, `metadata field ${tag} is known`);
      entries.push([field.name, value(view.getUint8(at++))]);
    }
  }
  assert(at === bytes.length, 'metadata ends where its record does');
  // Not by assignment: a field may be called __proto__.
  return Object.fromEntries(entries) as Metadata;
}
