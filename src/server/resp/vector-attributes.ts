/** Attributes of a vector set's elements: a JSON object, kept as the vector's metadata. */

import type { Metadata } from '../../api/database.ts';
import { RespError } from './resp-writer.ts';

/** An empty text takes them away. @throws RespError for what is no object */
export function attributesIn(text: string): Metadata {
  if (text === '') return {};
  try {
    const parsed: unknown = JSON.parse(text);
    if (typeof parsed === 'object' && parsed !== null && !Array.isArray(parsed)) return parsed as Metadata;
  } catch {
    // Said below.
  }
  throw new RespError('ERR attributes of this server are a JSON object, and these are not');
}

/** Nothing: there are none. Integers of 64 bits are written whole. */
export function attributesText(attributes: Metadata | undefined): string | undefined {
  const entries = Object.entries(attributes ?? {}).filter(([, value]) => value !== undefined);
  if (entries.length === 0) return undefined;
  const parts = entries.map(([name, value]) => {
    const text = typeof value === 'bigint' ? String(value) : JSON.stringify(value);
    return `${JSON.stringify(name)}:${text}`;
  });
  return `{${parts.join(',')}}`;
}
