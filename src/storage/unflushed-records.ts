/**
 * Relaxed log records that nobody has flushed yet. Chromium's LevelDB changes its log for a new one every 4 MiB, and a flush is of the new
 * one alone: after a power loss the end of the old log may be missing although what came later is there. So whoever flushes
 * writes these records once more, into the log that is flushed. They are few: when they are many, the next append is flushed.
 *
 * Another database of the same origin may flush the new log before this one does. Then relaxed records that no strict one came
 * after may have a hole, and the log ends there (engine/stored-space.ts).
 */

import type { LogEntry } from './backend.ts';

/** One transaction of so much goes into LevelDB's log in one piece. */
const bytesMost = 256 * 1024;

export class UnflushedRecords {
  readonly #wanted: boolean;
  readonly #records: Set<LogEntry> = new Set();
  #bytes = 0;

  /** `wanted`: whether this browser needs it. */
  constructor(wanted: boolean) {
    this.#wanted = wanted;
  }

  get records(): readonly LogEntry[] {
    return [...this.#records];
  }

  get isMuch(): boolean {
    return this.#bytes > bytesMost;
  }

  /** What a transaction that was not flushed has written. */
  add(entries: readonly LogEntry[]): void {
    if (!this.#wanted) return;
    for (const entry of entries) {
      this.#records.add(entry);
      this.#bytes += entry.bytes.length;
    }
  }

  /**
   * The end of a space's log, as a session that was cut off left it: what may not have been flushed. Before it wrote its last
   * record, no more than `bytesMost` was (`isMuch`).
   */
  addTail(entries: readonly LogEntry[]): void {
    let first = entries.length - 1;
    let bytes = 0;
    while (first > 0) {
      bytes += (entries[first - 1] as LogEntry).bytes.length;
      if (bytes > bytesMost) break;
      first--;
    }
    this.add(entries.slice(Math.max(first, 0)));
  }

  /** They are flushed now. */
  remove(records: readonly LogEntry[]): void {
    for (const record of records) if (this.#records.delete(record)) this.#bytes -= record.bytes.length;
  }

  /** Those before `sequence` are not needed any more. */
  drop(space: number, sequence: number): void {
    this.remove(this.records.filter((record) => record.space === space && record.sequence < sequence));
  }

  /** Those from `sequence` on are not there any more. */
  cut(space: number, sequence: number): void {
    this.remove(this.records.filter((record) => record.space === space && record.sequence >= sequence));
  }
}
