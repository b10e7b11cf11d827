/**
 * Reading what is stored of a space, and saying what is wrong with it: manifests, blocks, log records. Every byte is checked
 * against a checksum before it is used. Opening, salvage and verification all read through here.
 */

import type { StorageFault } from '../api/database.ts';
import { isShibuDbError, type ShibuDbError, shibuDbError } from '../api/errors.ts';
import { largeSegment } from '../space/large-value.ts';
import type { LogEntry } from '../storage/backend.ts';
import type { CatalogEntry } from '../storage/catalog.ts';
import type { Checksum } from '../storage/envelope.ts';
import { decodeManifest, type Manifest, type ManifestBlock } from '../storage/manifest.ts';
import { decodeLogRecord, type LogRecord } from './log-record.ts';
import { blockBytes, type StoredManifests } from './resident-space.ts';
import type { Environment } from './settings.ts';

/** Blocks read by one transaction; two such are in flight. */
const blocksPerRead = 16;

/** A block or record with its bytes, or what is wrong with it. */
export type ReadBlock = { block: ManifestBlock } & ({ bytes: Uint8Array } | { fault: StorageFault });
export type ReadRecord = { record: number } & (LogRecord | { fault: StorageFault });

export function isDamage(error: unknown): error is ShibuDbError {
  return isShibuDbError(error) && error.code === 'CORRUPTION';
}

export function corruption(entry: CatalogEntry, fault: StorageFault): ShibuDbError {
  const { kind: _, message, ...place } = fault;
  return shibuDbError('CORRUPTION', `Space "${entry.name}" is damaged: ${message}`, {
    details: { space: entry.name, ...place },
  });
}

/** Some blocks, in one transaction. Whether their bytes are right is checked by whoever puts them into an instance. */
export async function readBlocks(
  { backend }: Environment,
  { id }: CatalogEntry,
  blocks: readonly ManifestBlock[],
): Promise<ReadBlock[]> {
  const read = await backend.readBlocks(id, blocks);
  return blocks.map((block, i) => {
    const bytes = read[i];
    const size = sizeFault(block, bytes);
    return bytes === undefined || size !== undefined
      ? { block, fault: blockFault(block, size ?? 'is missing') }
      : { block, bytes };
  });
}

export class StoredSpace {
  readonly #environment: Environment;
  readonly #entry: CatalogEntry;
  readonly #manifests: StoredManifests;
  readonly #checksum: Checksum;
  /** The record where reading the log found its end, although there are later ones. */
  tornAt: number | undefined;

  constructor(environment: Environment, entry: CatalogEntry, manifests: StoredManifests, checksum: Checksum) {
    this.#environment = environment;
    this.#entry = entry;
    this.#manifests = manifests;
    this.#checksum = checksum;
  }

  /** The manifest, or its copy where the first is damaged. @throws CORRUPTION when both are, VERSION_MISMATCH */
  manifest(): { manifest: Manifest; bytes: Uint8Array } | undefined {
    const { first, copy } = this.#manifests;
    if (first === undefined && copy === undefined) return undefined;
    const what = `The manifest of space "${this.#entry.name}"`;
    let failure: unknown;
    for (const bytes of [first, copy]) {
      if (bytes === undefined) continue;
      try {
        return { manifest: decodeManifest(bytes, this.#checksum, what), bytes };
      } catch (error) {
        // A flipped bit may also look like another version: the copy decides.
        failure ??= error;
      }
    }
    throw failure;
  }

  /** What is wrong with the two manifests. */
  manifestFaults(): StorageFault[] {
    const faults: StorageFault[] = [];
    for (const [which, bytes] of [
      ['manifest', this.#manifests.first],
      ["manifest's copy", this.#manifests.copy],
    ] as const) {
      if (bytes === undefined) continue;
      try {
        decodeManifest(bytes, this.#checksum, `the ${which}`);
      } catch (error) {
        faults.push({ kind: 'manifest', message: (error as Error).message });
      }
    }
    return faults;
  }

  /** Every block of the list, in order, read ahead. */
  async *blocks(blocks: readonly ManifestBlock[]): AsyncGenerator<ReadBlock, void, undefined> {
    const read = (from: number): Promise<ReadBlock[]> =>
      readBlocks(this.#environment, this.#entry, blocks.slice(from, from + blocksPerRead));
    let ahead = read(0);
    for (let from = 0; from < blocks.length; from += blocksPerRead) {
      const current = ahead;
      ahead = read(from + blocksPerRead);
      ahead.catch(() => {});
      yield* await current;
    }
    await ahead;
  }

  /** Every record from `sequence` on, in order; a gap is one fault, or the end where nobody was promised what is missing. */
  async *records(sequence: number): AsyncGenerator<ReadRecord, void, undefined> {
    let expected = sequence;
    let entries: LogEntry[];
    try {
      entries = await this.#environment.backend.readLog(this.#entry.id, sequence);
    } catch (error) {
      if (!isDamage(error)) throw error;
      yield { record: expected, fault: { kind: 'record', record: expected, message: error.message } };
      return;
    }
    for (const { sequence: record, bytes } of entries) {
      if (record !== expected) {
        if (this.#isTorn(entries, expected)) {
          this.tornAt = expected;
          return;
        }
        const message = `log record ${expected} is missing`;
        yield { record: expected, fault: { kind: 'record', record: expected, message } };
      }
      expected = record + 1;
      const what = `Log record ${record} of space "${this.#entry.name}"`;
      try {
        yield { record, ...decodeLogRecord(bytes, this.#entry.id, record, this.#checksum, what) };
      } catch (error) {
        if (!isDamage(error)) throw error;
        yield { record, fault: { kind: 'record', record, message: error.message } };
      }
    }
  }

  /** Whether all records behind the gap at `missing` are sound, and none was written when that one was known to be on the disk. */
  #isTorn(entries: readonly LogEntry[], missing: number): boolean {
    if (this.#environment.backend.cutLog === undefined) return false;
    const behind = entries.filter(({ sequence }) => sequence > missing);
    try {
      return behind.every(({ sequence, bytes }) => {
        const record = decodeLogRecord(bytes, this.#entry.id, sequence, this.#checksum, 'it');
        return record.flushedBefore <= missing;
      });
    } catch (error) {
      if (!isDamage(error)) throw error;
      return false;
    }
  }
}

/** Whether a block belongs to a large value, which only storage has: it is not part of the image. */
export function isOfLargeValue(block: ManifestBlock): boolean {
  return segmentOf(block) === largeSegment;
}

export function segmentOf(block: ManifestBlock): number {
  return block.block >>> 24;
}

export function indexOf(block: ManifestBlock): number {
  return block.block & 0xffffff;
}

export function blockFault(block: ManifestBlock, found: string): StorageFault {
  const [segment, index] = [segmentOf(block), indexOf(block)];
  return { kind: 'block', segment, block: index, message: `block ${segment}/${index} ${found}` };
}

function sizeFault(block: ManifestBlock, bytes: Uint8Array | undefined): string | undefined {
  if (bytes === undefined || (bytes.length === block.usedBytes && bytes.length <= blockBytes))
    return undefined;
  return `has ${bytes.length} bytes, expected ${block.usedBytes}`;
}
