/**
 * JSON lines: one object a line. `{"key","value"}`, or `{"key","bytes"}` with base64, either with `"expiresAtMs"`;
 * `{"id","vector"}`. Integer ids that JSON's numbers cannot hold are strings.
 */

import type { Entry } from '../../api/database.ts';
import { invalid, shown } from '../../base/arguments.ts';
import { linesOf } from '../lines.ts';
import { checkedComponent, vectorNumbers } from '../vector-text.ts';
import { type Format, placed, type Row, type Source } from './format.ts';

export const jsonLines: Format = {
  name: 'jsonl',
  extensions: ['.jsonl', '.ndjson'],
  unit: 'line',
  hasIds: true,
  holdsKeys: true,
  async *read(bytes) {
    for await (const { text, number } of linesOf(bytes)) {
      if (text.trim() !== '') yield placed('line', number, () => rowOf(text, number));
    }
  },
  async *write({ description, entries, vectors }: Source) {
    if (description.engine === 'key-value') {
      for await (const entry of entries()) yield `${JSON.stringify(storedEntry(entry))}\n`;
      return;
    }
    for await (const { id, vector } of vectors()) {
      const portableId = typeof id === 'bigint' ? String(id) : id;
      yield `${JSON.stringify({ id: portableId, vector: vectorNumbers(vector) })}\n`;
    }
  },
};

function storedEntry({ key, value, expiresAtMs }: Entry & { expiresAtMs?: number }): Record<string, unknown> {
  const stored =
    typeof value === 'string' ? { key, value } : { key, bytes: Buffer.from(value).toString('base64') };
  return expiresAtMs === undefined ? stored : { ...stored, expiresAtMs };
}

function rowOf(text: string, at: number): Row {
  const parsed = parseObject(text);
  if ('vector' in parsed) {
    const { id, vector } = parsed;
    if (typeof id !== 'string' && typeof id !== 'number') {
      throw invalid(`Got ${shown(id)} for id, expected an integer or a string`);
    }
    if (!Array.isArray(vector))
      throw invalid(`Got ${shown(vector)} for vector, expected an array of numbers`);
    return { at, id, vector: Float32Array.from(vector, (part: unknown, i) => checkedComponent(part, i)) };
  }
  if (!('key' in parsed)) {
    throw invalid('Got an object without them, expected "key" and "value", or "id" and "vector"');
  }
  const { key, expiresAtMs } = parsed;
  if (typeof key !== 'string') throw invalid(`Got ${shown(key)} for key, expected a string`);
  const row = { at, key, value: storedValue(parsed) };
  if (expiresAtMs === undefined) return row;
  if (typeof expiresAtMs !== 'number' || !Number.isFinite(expiresAtMs)) {
    throw invalid(`Got ${shown(expiresAtMs)} for expiresAtMs, expected milliseconds since 1970`);
  }
  return { ...row, expiresAtMs };
}

function parseObject(text: string): Record<string, unknown> {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch (error) {
    throw invalid(`no JSON: ${error instanceof Error ? error.message : String(error)}`);
  }
  if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed)) {
    throw invalid(`Got ${shown(parsed)}, expected an object`);
  }
  return parsed as Record<string, unknown>;
}

const base64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;

function storedValue({ value, bytes }: Record<string, unknown>): string | Uint8Array {
  if (typeof value === 'string') return value;
  if (value === undefined && typeof bytes === 'string' && base64.test(bytes)) {
    return new Uint8Array(Buffer.from(bytes, 'base64'));
  }
  if (value === undefined && bytes !== undefined)
    throw invalid(`Got ${shown(bytes)} for bytes, expected base64`);
  throw invalid(`Got ${shown(value)} for value, expected a string`);
}
