/**
 * Values too large for a space's memory: stored as blocks of a segment that only storage has (space/large-value.ts).
 *
 * Order of a write, each step whole before the next begins: the blocks, some at a time; a manifest that names them as
 * pending; the put's log record, which holds a reference; the put is applied and acknowledged. Stopped anywhere, either the
 * log has the put, or the next session finds nobody who refers to the blocks and drops them. So storage knows nothing of
 * large values: to a backend, and to whoever copies or checks what a manifest names, they are blocks like others.
 *
 * Concurrency: values are written side by side; manifests are published one at a time, and those that wait share one. While
 * a value is being written its space stays in memory: only the resident that published it may log its put.
 */

import type { Entry, Value } from '../api/database.ts';
import { type ErrorCode, isShibuDbError, shibuDbError } from '../api/errors.ts';
import { readUtf8 } from '../base/text.ts';
import type { StoredEntry } from '../space/key-value-space.ts';
import type { LargeBytes } from '../space/large-bytes.ts';
import { LargeValue, largeBlock, largePieceBytes } from '../space/large-value.ts';
import type { StoredForm } from '../space/operation.ts';
import type { StoredBlock } from '../storage/backend.ts';
import type { Checksum } from '../storage/envelope.ts';
import { encodeManifest, type ManifestBlock } from '../storage/manifest.ts';
import type { ResidentSpace } from './resident-space.ts';
import type { Environment } from './settings.ts';

/** Blocks written or read by one transaction: 4 MiB. */
const piecesPerTransaction = 16;
/** Blocks that one part of a value is made of: 1 MiB. */
const piecesOfPart = 4;
/** After these nothing of the put is stored, nor will be. */
const nothingWritten: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'QUOTA_EXCEEDED',
  'OUT_OF_MEMORY',
  'SPACE_NOT_FOUND',
  'NOT_A_NUMBER',
]);

/** Blocks of a value that is stored and not named by a manifest yet. */
interface Written {
  readonly value: LargeValue;
  readonly blocks: readonly ManifestBlock[];
}

/** Those that the next manifest will name. */
interface Batch {
  readonly written: Written[];
  readonly published: Promise<void>;
}

/** Values as a space holds them, read in one go. */
export interface Found {
  readonly resident: ResidentSpace;
  readonly values: readonly (StoredForm | undefined)[];
}

/** What the engine does for it. */
export interface LargeValueHost {
  /** Runs `work` while nothing else publishes a manifest of the space. */
  exclusively(resident: ResidentSpace, work: () => Promise<void>): Promise<void>;
  /** Takes a first checkpoint. Only in `exclusively`. */
  checkpoint(resident: ResidentSpace): Promise<void>;
  /** A manifest was published. */
  published(resident: ResidentSpace, manifestBytes: Uint8Array): void;
}

export class LargeValues {
  readonly #environment: Environment;
  readonly #checksum: Checksum;
  readonly #host: LargeValueHost;
  readonly #batches: Map<ResidentSpace, Batch> = new Map();

  constructor(environment: Environment, checksum: Checksum, host: LargeValueHost) {
    this.#environment = environment;
    this.#checksum = checksum;
    this.#host = host;
  }

  /**
   * Stores values, with `submit` called at once to take its place among the writes and wait for the references to log. What is
   * not referred to afterwards is dropped: because `submit` failed, or says so. @throws QUOTA_EXCEEDED, what `submit` throws
   */
  async put<Answer>(
    resident: ResidentSpace,
    values: readonly LargeBytes[],
    submit: (storing: Promise<readonly LargeValue[]>) => Promise<{ answer: Answer; used: boolean }>,
  ): Promise<Answer> {
    const { large } = resident.keyValue;
    const stored: LargeValue[] = [];
    const abandon = (): void => {
      for (const value of stored) large.abandon(value);
    };
    const store = async (): Promise<LargeValue[]> => {
      for (const value of values) stored.push(await this.#store(resident, value));
      assertWell(resident);
      return stored;
    };
    try {
      const { answer, used } = await submit(store());
      if (!used) abandon();
      return answer;
    } catch (error) {
      if (isShibuDbError(error) && nothingWritten.has(error.code)) abandon();
      throw error;
    }
  }

  async #store(resident: ResidentSpace, value: LargeBytes): Promise<LargeValue> {
    const written = await this.#write(resident, value);
    let batch = this.#batches.get(resident);
    if (batch === undefined) {
      const values: Written[] = [];
      const published = this.#host.exclusively(resident, () => {
        this.#batches.delete(resident);
        return this.#publish(resident, values);
      });
      batch = { written: values, published };
      this.#batches.set(resident, batch);
    }
    batch.written.push(written);
    await batch.published;
    return written.value;
  }

  async #write(resident: ResidentSpace, value: LargeBytes): Promise<Written> {
    const { piecesMax, isText } = value;
    const { backend } = this.#environment;
    const { large } = resident.keyValue;
    const first = large.allocate(piecesMax, resident.manifest?.blocks ?? new Map());
    const generation = (resident.manifest?.generation ?? 0) + 1;
    const blocks: ManifestBlock[] = [];
    let length = 0;
    try {
      for await (const pieces of transactionsOf(value.pieces)) {
        const batch = pieces.map((bytes, i): StoredBlock => {
          return { block: largeBlock(first + blocks.length + i), generation, bytes };
        });
        for (const { block, bytes } of batch) {
          blocks.push({ block, generation, usedBytes: bytes.length, checksum: this.#checksum(bytes) });
          length += bytes.length;
        }
        await backend.writeBlocks(resident.entry.id, batch);
      }
    } catch (error) {
      // If this fails too, nobody names them and the next session drops them.
      backend.drop(resident.entry.id, blocks, resident.manifest?.logFrom ?? 0).catch(() => {});
      throw error;
    }
    large.giveBackUnused(first + piecesMax, first + blocks.length);
    blocks[0] = { ...(blocks[0] as ManifestBlock), pendingPieces: blocks.length };
    return { value: new LargeValue(first, generation, length, isText), blocks };
  }

  async #publish(resident: ResidentSpace, written: readonly Written[]): Promise<void> {
    assertWell(resident);
    if (resident.manifest === undefined) await this.#host.checkpoint(resident);
    const { manifest } = resident;
    if (manifest === undefined) throw new Error('a checkpoint publishes a manifest');
    const blocks = new Map(manifest.blocks);
    for (const value of written) for (const block of value.blocks) blocks.set(block.block, block);
    const next = { ...manifest, blocks };
    const bytes = encodeManifest(next, this.#checksum);
    await this.#environment.backend.publish(resident.entry.id, bytes);
    resident.manifest = next;
    for (const { value } of written) resident.keyValue.large.pending.set(value.first, value);
    this.#host.published(resident, bytes);
  }

  /**
   * The bytes or text of a value; `undefined` when it has been replaced and dropped since the reference was read.
   * @throws CORRUPTION
   */
  async load(resident: ResidentSpace, value: LargeValue): Promise<Value | undefined> {
    const whole = await this.#read(resident, value, 0, value.pieces);
    return whole !== undefined && value.isText ? readUtf8(whole, 0, whole.length) : whole;
  }

  /**
   * Some of a value's bytes, from `from` on: at most to the end of the fourth piece. `undefined` as above.
   * @throws CORRUPTION
   */
  async loadPart(resident: ResidentSpace, value: LargeValue, from: number): Promise<Uint8Array | undefined> {
    const piece = Math.floor(from / largePieceBytes);
    const bytes = await this.#read(resident, value, piece, Math.min(piece + piecesOfPart, value.pieces));
    return bytes?.subarray(from - piece * largePieceBytes);
  }

  async #read(
    resident: ResidentSpace,
    value: LargeValue,
    begin: number,
    end: number,
  ): Promise<Uint8Array<ArrayBuffer> | undefined> {
    // Looked up at once: later, the same numbers may name another value.
    const { blocks } = resident.manifest ?? resident.salvagedFrom ?? { blocks: new Map() };
    const names: ManifestBlock[] = [];
    for (let piece = begin; piece < end; piece++) {
      const block = blocks.get(largeBlock(value.first + piece));
      if (block === undefined || block.generation !== value.generation) return undefined;
      names.push(block);
    }
    const bytesTo = Math.min(value.length, end * largePieceBytes);
    const whole = new Uint8Array(bytesTo - begin * largePieceBytes);
    for (let from = 0; from < names.length; from += piecesPerTransaction) {
      const some = names.slice(from, from + piecesPerTransaction);
      const read = await this.#environment.backend.readBlocks(resident.entry.id, some);
      for (const [i, bytes] of read.entries()) {
        if (bytes === undefined) return undefined;
        const name = some[i] as ManifestBlock;
        if (bytes.length !== name.usedBytes || this.#checksum(bytes) !== name.checksum)
          throw damaged(resident, name);
        whole.set(bytes, (from + i) * largePieceBytes);
      }
    }
    return whole;
  }

  /** Loads what is large among values found; when one was replaced meanwhile, it is that one that is told. @throws CORRUPTION */
  async loadAll({ resident, values }: Found): Promise<(Value | undefined)[] | { replaced: LargeValue }> {
    const loaded: (Value | undefined)[] = [];
    for (const value of values) {
      const whole = value instanceof LargeValue ? await this.load(resident, value) : value;
      if (value instanceof LargeValue && whole === undefined) return { replaced: value };
      loaded.push(whole);
    }
    return loaded;
  }

  /** The entries of a scan, with what is large among them. @throws SNAPSHOT_LOST with `details.cursor`, CORRUPTION */
  async loadEntries(
    resident: ResidentSpace,
    entries: readonly StoredEntry[],
    cursor: string | undefined,
  ): Promise<Entry[]> {
    const values = await this.loadAll({ resident, values: entries.map(({ value }) => value) });
    if (!Array.isArray(values))
      throw shibuDbError('SNAPSHOT_LOST', 'A large value was dropped; go on with a new one from the cursor', {
        details: { cursor },
      });
    return entries.map(({ key }, i) => ({ key, value: values[i] as Value }));
  }

  /** The same as `loadAll`, asking `find` again until all values are of one moment. @throws CORRUPTION, and what `find` throws */
  async settle(first: Found, find: () => Found | Promise<Found>): Promise<(Value | undefined)[]> {
    let found = first;
    for (;;) {
      const loaded = await this.loadAll(found);
      if (Array.isArray(loaded)) return loaded;
      const { replaced } = loaded;
      found = await find();
      // The space still refers to it: it was not replaced, it is not there.
      if (found.values.some((value) => value instanceof LargeValue && value.is(replaced)))
        throw damaged(found.resident, { block: largeBlock(replaced.first) });
    }
  }
}

/** Pieces as they come, gathered to what one transaction writes. */
async function* transactionsOf(
  pieces: readonly Uint8Array[] | AsyncIterable<Uint8Array>,
): AsyncGenerator<Uint8Array[], void, undefined> {
  let some: Uint8Array[] = [];
  for await (const piece of pieces) {
    some.push(piece);
    if (some.length < piecesPerTransaction) continue;
    yield some;
    some = [];
  }
  if (some.length > 0) yield some;
}

function assertWell(resident: ResidentSpace): void {
  if (!resident.broken) return;
  const message = `The memory of space "${resident.entry.name}" failed; nothing was written, the call may be repeated`;
  throw shibuDbError('INTERNAL', message);
}

/** What is there by name and not by its bytes. */
export function damaged(resident: ResidentSpace, { block }: { readonly block: number }): Error {
  const { name } = resident.entry;
  const index = block & 0xffffff;
  return shibuDbError(
    'CORRUPTION',
    `Space "${name}" is damaged: block ${block >>> 24}/${index}, part of a large value, is missing or does not match its checksum`,
    { details: { space: name, segment: block >>> 24, block: index } },
  );
}
