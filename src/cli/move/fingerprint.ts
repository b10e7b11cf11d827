/** What a space holds, in one number: SHA-256 over its items in the order of keys or ids, and how many there are. */

import { createHash, type Hash } from 'node:crypto';
import type { Database, SpaceInfo, VectorData } from '../../api/database.ts';

export interface Fingerprint {
  readonly count: number;
  readonly hash: string;
}

/** @throws UNSUPPORTED where the database cannot be walked through */
export async function fingerprintOf(
  db: Database,
  space: string,
  engine: SpaceInfo['engine'],
): Promise<Fingerprint> {
  const hash = createHash('sha256');
  let count = 0;
  if (engine === 'vector') {
    for await (const { id, vector, metadata } of db.scanVectors<VectorData>({ space })) {
      add(hash, String(id));
      add(hash, new Uint8Array(vector.buffer, vector.byteOffset, vector.byteLength));
      add(hash, canonical(metadata));
      count++;
    }
  } else {
    for await (const { key, value } of db.scan({ space })) {
      add(hash, key);
      add(hash, typeof value === 'string' ? 'text' : 'bytes');
      add(hash, value);
      count++;
    }
  }
  return { count, hash: hash.digest('hex') };
}

/** Each with its length: two items never look like two others. */
function add(hash: Hash, item: string | Uint8Array): void {
  const bytes = typeof item === 'string' ? Buffer.from(item) : item;
  const length = Buffer.alloc(4);
  length.writeUInt32LE(bytes.length);
  hash.update(length).update(bytes);
}

/** The same text for the same metadata, whatever the order of its fields. */
function canonical(value: unknown): string {
  if (typeof value === 'bigint') return String(value);
  if (Array.isArray(value)) return `[${value.map(canonical).join()}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value) ?? '';
  const fields = Object.entries(value).filter(([, field]) => field !== undefined);
  fields.sort(([a], [b]) => (a < b ? -1 : 1));
  return `{${fields.map(([name, field]) => `${JSON.stringify(name)}:${canonical(field)}`).join()}}`;
}
