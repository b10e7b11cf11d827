/** `shibumi import`, `shibumi export`. */

import fs from 'node:fs';
import type { Database } from '../api/database.ts';
import { invalid } from '../base/arguments.ts';
import { exportSpace } from './transfer/export.ts';
import { formatOf } from './transfer/formats.ts';
import { importRows } from './transfer/import.ts';
import { ProgressLine } from './transfer/progress.ts';
import { parseInteger } from './vector-text.ts';

/** The options of a command line by name, as far as they were given. */
export type OptionValues = Readonly<Record<string, string | undefined>>;

/** Opens the database when what the command line asks for is clear. */
export type OpenDatabase = (settings: { create: boolean }) => Promise<Database>;

export async function runImport(
  open: OpenDatabase,
  space: string,
  file: string,
  values: OptionValues,
): Promise<void> {
  const format = formatOf(file, values.format);
  const firstId = parseInteger(values['first-id'] ?? '0', '--first-id', Number.MIN_SAFE_INTEGER);
  const given = ['index', 'metric', 'ids', 'ef-construction'].map((name) => [name, values[name]] as const);
  const spaceOptions = new Map(given.filter((pair): pair is [string, string] => pair[1] !== undefined));
  const source = file === '-' ? process.stdin : await openFile(file);
  const total = file === '-' ? 0 : fs.statSync(file).size;
  const db = await open({ create: true });
  const progress = new ProgressLine();
  let read = 0;
  const counted = async function* (): AsyncGenerator<Uint8Array, void, undefined> {
    for await (const chunk of source) {
      read += (chunk as Uint8Array).length;
      yield chunk as Uint8Array;
    }
  };
  try {
    const onStored = (rows: number): void => {
      progress.update(() => `${rows} rows stored${total > 0 ? `, ${percent(read, total)} of the file` : ''}`);
    };
    const rows = await importRows({ db, space, format, bytes: counted(), spaceOptions, firstId, onStored });
    if (rows > 0) await linkAll(db, space, progress);
    progress.finish(`${rows} rows of ${file} imported into ${space}`);
  } finally {
    progress.clear();
    source.destroy();
  }
}

/** Searches are exact without it; with it the next who opens the database finds the index whole. */
async function linkAll(db: Database, space: string, progress: ProgressLine): Promise<void> {
  const { engine } = await db.describeSpace(space);
  if (engine !== 'vector') return;
  const onProgress = ({ done, total }: { done: number; total: number }): void => {
    progress.update(() => `${done} of ${total} vectors indexed`);
  };
  await db.waitForIndex({ space, onProgress });
}

export async function runExport(
  open: OpenDatabase,
  space: string,
  file: string,
  values: OptionValues,
): Promise<void> {
  const format = formatOf(file, values.format);
  const db = await open({ create: false });
  const progress = new ProgressLine();
  try {
    const onWritten = (rows: number, total: number): void => {
      progress.update(() => `${rows} of ${total} rows written`);
    };
    const rows = await exportSpace({ db, space, format, file, onWritten });
    const lost = format.hasIds ? '' : ' in the order of their ids, which this format does not hold,';
    progress.finish(`${rows} rows of ${space} exported${lost} to ${file === '-' ? 'standard output' : file}`);
  } finally {
    progress.clear();
  }
}

/** The stream, once it is known to open. */
async function openFile(file: string): Promise<fs.ReadStream> {
  const stream = fs.createReadStream(file, { highWaterMark: 1024 * 1024 });
  try {
    await new Promise<void>((resolve, reject) => stream.once('open', () => resolve()).once('error', reject));
  } catch (error) {
    throw invalid(`Cannot read ${file}: ${error instanceof Error ? error.message : String(error)}`);
  }
  return stream;
}

function percent(part: number, whole: number): string {
  return `${Math.floor((100 * part) / whole)} %`;
}
