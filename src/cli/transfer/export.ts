/** A space into a file: a stable snapshot, in bounded memory, written beside the file and put in its place when whole. */

import { once } from 'node:events';
import fs from 'node:fs';
import type { Writable } from 'node:stream';
import type { Database, Entry } from '../../api/database.ts';
import { invalid } from '../../base/arguments.ts';
import { Output } from '../output.ts';
import type { Format, Source } from './format.ts';

const writeBytes = 256 * 1024;

export interface ExportOptions {
  readonly db: Database;
  readonly space: string;
  readonly format: Format;
  /** `-` is standard output. */
  readonly file: string;
  /** Called with the number of rows written so far and of all. */
  readonly onWritten: (rows: number, total: number) => void;
}

/** Resolves with the number of rows written. */
export async function exportSpace({ db, space, format, file, onWritten }: ExportOptions): Promise<number> {
  const description = await db.describeSpace(space);
  if (description.engine === 'key-value' && !format.holdsKeys) {
    throw invalid(`Got the key-value space "${space}", expected a vector space for ${format.name}`);
  }
  // What has expired is not exported: counting sweeps it.
  const count = description.engine === 'vector' ? description.count : await db.size({ space });
  let rows = 0;
  const counted = async function* <Item>(items: AsyncIterable<Item>): AsyncGenerator<Item, void, undefined> {
    for await (const item of items) {
      rows++;
      onWritten(rows, count);
      yield item;
    }
  };
  const source: Source = {
    description: { ...description, count },
    entries: () => counted(withDeadlines(db, space, format.name === 'jsonl')),
    vectors: () => counted(db.scanVectors({ space })),
  };
  if (file === '-') await writeAll(new Output(process.stdout), format.write(source));
  else await writeFile(file, format.write(source));
  return rows;
}

async function* withDeadlines(
  db: Database,
  space: string,
  wanted: boolean,
): AsyncGenerator<Entry & { expiresAtMs?: number }, void, undefined> {
  for await (const entry of db.scan({ space })) {
    const ttlMs = wanted ? await db.ttl(entry.key, { space }) : undefined;
    if (ttlMs === undefined || ttlMs === Number.POSITIVE_INFINITY) yield entry;
    else yield { ...entry, expiresAtMs: Math.round(Date.now() + ttlMs) };
  }
}

async function writeFile(file: string, parts: AsyncIterable<string | Uint8Array>): Promise<void> {
  const partial = `${file}.part`;
  const stream: Writable = fs.createWriteStream(partial);
  try {
    await once(stream, 'open');
    await writeAll(new Output(stream), parts);
    stream.end();
    await once(stream, 'close');
    fs.renameSync(partial, file);
  } catch (error) {
    stream.destroy();
    fs.rmSync(partial, { force: true });
    throw error;
  }
}

async function writeAll(output: Output, parts: AsyncIterable<string | Uint8Array>): Promise<void> {
  let gathered: Uint8Array[] = [];
  let bytes = 0;
  for await (const part of parts) {
    const encoded = typeof part === 'string' ? Buffer.from(part) : part;
    gathered.push(encoded);
    bytes += encoded.length;
    if (bytes < writeBytes) continue;
    await output.write(Buffer.concat(gathered));
    gathered = [];
    bytes = 0;
  }
  if (bytes > 0) await output.write(Buffer.concat(gathered));
}
