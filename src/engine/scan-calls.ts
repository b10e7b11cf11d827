/** The open scans of a session, which its caller pulls step by step. */

import type { ArgumentsOf, ScanStep } from '../api/calls.ts';
import type { Entry, VectorData, VectorEntry } from '../api/database.ts';
import { shibuDbError } from '../api/errors.ts';
import { invalid } from '../base/arguments.ts';
import { AbsentBlocks } from '../kernel/instance.ts';
import type { StoredEntry } from '../space/key-value-space.ts';
import { LargeValue } from '../space/large-value.ts';
import type { DatabaseEngine } from './database-engine.ts';
import type { HandlersOf } from './handlers.ts';
import { keyValuePart } from './parts.ts';
import { fetchFor } from './read-space.ts';
import type { ResidentSpace } from './resident-space.ts';
import { type EntryChunk, isColumns, type VectorChunk } from './scans.ts';
import type { SnapshotScan } from './snapshot-scan.ts';
import { Pins } from './space-blocks.ts';

type AnyScan = SnapshotScan<EntryChunk> | SnapshotScan<VectorChunk>;

type Step = ScanStep<Entry | VectorEntry<VectorData>>;

const scansMax = 1000;

export class ScanCalls implements HandlersOf<'scans'> {
  readonly #engine: DatabaseEngine;
  readonly #open: Map<number, { scan: AnyScan; resident: ResidentSpace }> = new Map();
  /** Scans of two sessions never have the same number: one that was begun with a former owner is not taken for another. */
  #next: number = Math.floor(Math.random() * 2 ** 31) * 2 ** 20;

  constructor(engine: DatabaseEngine) {
    this.#engine = engine;
  }

  /** Keeps a scan until it is done, lost or closed, and gives its number. @throws INVALID_ARGUMENT when too many are open */
  keep(scan: AnyScan, resident: ResidentSpace): number {
    if (this.#open.size >= scansMax) throw invalid(`${scansMax} scans are open; close some first`);
    const id = this.#next++;
    this.#open.set(id, { scan, resident });
    resident.scans.add(scan as SnapshotScan<unknown>);
    return id;
  }

  /** The space an open scan reads. */
  spaceOf(id: number): string | undefined {
    return this.#open.get(id)?.resident.entry.name;
  }

  scanNext({ scan: id, packed }: ArgumentsOf<'scanNext'>): Step | Promise<Step> {
    const open = this.#open.get(id);
    if (open === undefined)
      throw shibuDbError('SNAPSHOT_LOST', 'The scan is not open; go on with a new one from the cursor');
    if (open.resident.settling !== undefined) return this.#nextAfter(open.resident.settling, id, packed);
    try {
      const before = open.scan.cursor;
      const { chunk = [], done, cursor } = open.scan.next();
      if (!isColumns(chunk) && chunk.some((item) => 'value' in item && item.value instanceof LargeValue))
        return this.#loadLarge(
          id,
          open.resident,
          chunk as StoredEntry[],
          { items: [], done, cursor },
          before,
        );
      if (done) this.scanClose({ scan: id });
      if (!isColumns(chunk)) return { items: chunk as Step['items'], done, cursor };
      if (packed === true) return { items: [], columns: chunk, done, cursor };
      return { items: keyValuePart.loaded.unpackEntries(chunk), done, cursor };
    } catch (error) {
      if (error instanceof AbsentBlocks) {
        const pins = new Pins();
        const fetched = fetchFor(this.#engine, open.resident, error, pins);
        return this.#nextAfter(fetched, id, packed).finally(() => {
          pins.release();
          open.resident.blocks?.trim();
        });
      }
      this.scanClose({ scan: id });
      throw error;
    }
  }

  async #nextAfter(before: Promise<void>, scan: number, packed: boolean | undefined): Promise<Step> {
    try {
      await before;
    } catch (error) {
      this.scanClose({ scan });
      throw error;
    }
    return this.scanNext(packed === undefined ? { scan } : { scan, packed });
  }

  /** As long as the scan is open, nothing drops what it refers to. */
  async #loadLarge(
    id: number,
    resident: ResidentSpace,
    entries: readonly StoredEntry[],
    step: Step,
    cursor: string | undefined,
  ): Promise<Step> {
    try {
      const items = await this.#engine.large.loadEntries(resident, entries, cursor);
      if (step.done) this.scanClose({ scan: id });
      return { ...step, items };
    } catch (error) {
      this.scanClose({ scan: id });
      throw error;
    }
  }

  scanClose({ scan: id }: { scan: number }): undefined {
    const open = this.#open.get(id);
    open?.resident.scans.delete(open.scan as SnapshotScan<unknown>);
    this.#open.delete(id);
  }

  closeAll(): void {
    for (const id of [...this.#open.keys()]) this.scanClose({ scan: id });
  }
}
