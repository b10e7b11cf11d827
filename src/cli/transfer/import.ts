/**
 * A file into a space, batch by batch, in bounded memory. What stands before a faulty row is stored, and the error says how
 * much that is; importing again replaces it, so an import may simply be repeated.
 */

import type { Database, PutEntry, SpaceDescription, VectorId } from '../../api/database.ts';
import { isShibuDbError, shibuDbError } from '../../api/errors.ts';
import { invalid, wellFormedText } from '../../base/arguments.ts';
import { checkKey } from '../../space/key-value-space.ts';
import { checkId } from '../../space/vector-ids.ts';
import { vectorSpaceFrom } from '../space-commands.ts';
import { checkedComponent, parseId } from '../vector-text.ts';
import { type Format, type KeyValueRow, placed, type Row, type VectorRow } from './format.ts';

/** Well under what one call takes (16 MiB). */
const batchBytes = 4 * 1024 * 1024;
const batchRows = 10_000;

export interface ImportOptions {
  readonly db: Database;
  readonly space: string;
  readonly format: Format;
  readonly bytes: AsyncIterable<Uint8Array>;
  /** How to make a vector space that is not there: `index`, `metric`, `ids`, `ef-construction`. */
  readonly spaceOptions: ReadonlyMap<string, string>;
  /** The id of the first row in formats without ids; those behind it count on. */
  readonly firstId: number;
  /** Called with the number of rows stored. */
  readonly onStored: (rows: number) => void;
}

/** Resolves with the number of rows stored. @throws with the place in the file and `details.stored` */
export async function importRows(options: ImportOptions): Promise<number> {
  let batch: Batch | undefined;
  const stored = (): number => batch?.stored ?? 0;
  try {
    for await (const row of options.format.read(options.bytes)) {
      batch ??= await openBatch(options, row);
      if (batch.add(row)) {
        await batch.flush();
        options.onStored(stored());
      }
    }
    await batch?.flush();
  } catch (error) {
    await batch?.flush().catch(() => {});
    const message = error instanceof Error ? error.message : String(error);
    throw shibuDbError(
      isShibuDbError(error) ? error.code : 'STORAGE_FAILED',
      `${message}; ${stored()} rows before it are stored`,
      { details: { stored: stored() }, cause: error },
    );
  }
  return stored();
}

/** Rows on their way. */
interface Batch {
  /** Rows that the database has acknowledged. */
  readonly stored: number;
  /** @returns whether it is time to flush; @throws INVALID_ARGUMENT naming the row, which is then left out */
  add(row: Row): boolean;
  flush(): Promise<void>;
}

async function openBatch(options: ImportOptions, first: Row): Promise<Batch> {
  const description = await spaceFor(options, first);
  return description.engine === 'vector'
    ? new VectorBatch(options, description)
    : new EntryBatch(options, description);
}

/** The space, made now if it is not there: the first row tells its kind and dimension. */
async function spaceFor(
  { db, space, format, spaceOptions }: ImportOptions,
  first: Row,
): Promise<SpaceDescription> {
  const spaces = await db.listSpaces();
  if (!spaces.some(({ name }) => name === space)) {
    if ('key' in first) {
      await db.createSpace(space, 'key-value');
    } else {
      const made = new Map([['dimension', String(first.vector.length)], ...spaceOptions]);
      const namedByText = format.hasIds && typeof first.id === 'string' && !/^-?\d{1,19}$/.test(first.id);
      if (namedByText && !made.has('ids')) made.set('ids', 'string');
      await db.createSpace(space, 'vector', vectorSpaceFrom(made));
    }
  }
  return db.describeSpace(space);
}

class EntryBatch implements Batch {
  stored = 0;
  readonly #options: ImportOptions;
  readonly #name: string;
  #entries: PutEntry[] = [];
  #bytes = 0;

  constructor(options: ImportOptions, { name }: SpaceDescription) {
    this.#options = options;
    this.#name = name;
  }

  add(row: Row): boolean {
    const { unit } = this.#options.format;
    const entry = placed(unit, row.at, () => this.#checked(row));
    if (entry.ttlMs === undefined || entry.ttlMs > 0) this.#entries.push(entry);
    this.#bytes += sizeOf(entry);
    return this.#bytes >= batchBytes || this.#entries.length >= batchRows;
  }

  #checked(row: Row): PutEntry {
    if (!('key' in row)) {
      throw invalid(`Got a vector, expected a key and a value: "${this.#name}" is a key-value space`);
    }
    const { key, value, expiresAtMs }: KeyValueRow = row;
    checkKey(key);
    if (typeof value === 'string') wellFormedText(value, 'value');
    return expiresAtMs === undefined ? { key, value } : { key, value, ttlMs: expiresAtMs - Date.now() };
  }

  /** In calls of what one takes; a large value goes alone, for it has more room there. */
  async flush(): Promise<void> {
    const entries = this.#entries;
    this.#entries = [];
    this.#bytes = 0;
    let group: PutEntry[] = [];
    let groupBytes = 0;
    for (const entry of entries) {
      const bytes = sizeOf(entry);
      if (bytes + groupBytes > batchBytes) {
        await this.#put(group);
        group = [];
        groupBytes = 0;
      }
      group.push(entry);
      groupBytes += bytes;
    }
    await this.#put(group);
  }

  async #put(entries: readonly PutEntry[]): Promise<void> {
    const [first] = entries;
    if (first === undefined) return;
    const { db } = this.#options;
    const space = this.#name;
    if (entries.length > 1) {
      await db.putMany(entries, { space });
    } else {
      await db.put(
        first.key,
        first.value,
        first.ttlMs === undefined ? { space } : { space, ttlMs: first.ttlMs },
      );
    }
    this.stored += entries.length;
  }
}

/** At most so many bytes of UTF-8. */
function sizeOf({ key, value }: PutEntry): number {
  return key.length * 3 + (typeof value === 'string' ? value.length * 3 : value.length);
}

class VectorBatch implements Batch {
  stored = 0;
  readonly #options: ImportOptions;
  readonly #space: SpaceDescription;
  readonly #rowsMax: number;
  #ids: VectorId[] = [];
  #vectors: Float32Array;

  constructor(options: ImportOptions, space: SpaceDescription) {
    this.#options = options;
    this.#space = space;
    const dimension = space.dimension ?? 0;
    this.#rowsMax = Math.max(1, Math.min(batchRows, Math.floor(batchBytes / (dimension * 4))));
    this.#vectors = new Float32Array(this.#rowsMax * dimension);
  }

  add(row: Row): boolean {
    const { id, vector } = placed(this.#options.format.unit, row.at, () => this.#checked(row));
    this.#vectors.set(vector, this.#ids.length * vector.length);
    this.#ids.push(id);
    return this.#ids.length === this.#rowsMax;
  }

  #checked(row: Row): { id: VectorId; vector: Float32Array } {
    const { name, dimension, ids = 'int' } = this.#space;
    if ('key' in row) throw invalid(`Got a key and a value, expected a vector: "${name}" is a vector space`);
    const { vector, at }: VectorRow = row;
    if (vector.length !== dimension) {
      throw invalid(`Got a vector of ${vector.length} components, expected ${dimension}`);
    }
    for (let i = 0; i < vector.length; i++) checkedComponent(vector[i], i);
    const counted = this.#options.firstId + at - 1;
    const given = row.id ?? (ids === 'string' ? String(counted) : counted);
    const id = typeof given === 'string' ? parseId(given, ids) : given;
    checkId(id, ids);
    return { id, vector };
  }

  async flush(): Promise<void> {
    const ids = this.#ids;
    if (ids.length === 0) return;
    this.#ids = [];
    const { name: space, dimension = 0 } = this.#space;
    const before = this.stored;
    const onProgress = ({ done }: { done: number }): void => {
      this.stored = before + done;
      this.#options.onStored(this.stored);
    };
    await this.#options.db.insertVectors(ids, this.#vectors.subarray(0, ids.length * dimension), {
      space,
      onProgress,
    });
    this.stored = before + ids.length;
  }
}
