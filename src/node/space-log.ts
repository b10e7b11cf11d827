/**
 * The write-ahead log of one space: files `log-<first sequence>`, each a run of records without gaps.
 *
 *   file   := record*
 *   record := sequence f64, flushed f64, envelope (storage/envelope.ts)
 *
 * `flushed` is how many bytes of this file were known to be on the disk when the record was written. It decides what a
 * damaged record means when the log is opened: if a later record says that this place had been flushed, data that was
 * promised is gone and the engine is to say so; if none does, the record was never promised to outlive the power, and
 * the log ends before it. A process that was killed leaves at most one such record, a power loss may leave several.
 *
 * Invariants: only the last file is written, at its end; a file is flushed before the next one is begun; what a failed
 * append has written is cut off again. One caller at a time (FileBackend's lane).
 */

import path from 'node:path';
import { isShibuDbError, shibuDbError } from '../api/errors.ts';
import { assert } from '../base/assert.ts';
import type { LogEntry } from '../storage/backend.ts';
import { type Checksum, EnvelopeKind, envelopeHeaderBytes, unsealAny } from '../storage/envelope.ts';
import { type FileSystem, flushed, type OpenFile } from './file-system.ts';

const prefixBytes = 16;
const envelopeMagic = new Uint8Array([0x53, 0x48, 0x42, 0x4d]);

/** The file that is appended to. */
interface Tail {
  readonly first: number;
  readonly file: OpenFile;
  next: number;
  bytes: number;
  flushedBytes: number;
}

export interface Mark {
  readonly first: number;
  readonly next: number;
  readonly bytes: number;
}

/** The whole records from the start of a file on, and what follows them when that is no whole record. */
interface Scan {
  readonly records: readonly { readonly sequence: number; readonly bytes: Uint8Array }[];
  readonly flushedBytes: number;
  readonly damage: { readonly at: number; readonly bytes: Uint8Array } | undefined;
}

export class SpaceLog {
  readonly #files: FileSystem;
  readonly #folder: string;
  readonly #space: number;
  readonly #checksum: Checksum;
  /** First sequences of all files, in order; the tail's is the last when there is a tail. */
  #firsts: number[] = [];
  #tail: Tail | undefined;
  #loaded = false;
  #rotate = false;
  /** The last file ends in damage to promised data: nothing may be written behind it. */
  #damaged = false;
  /** What loading found in the last file, for the read that follows. */
  #lastScan: (Scan & { readonly first: number }) | undefined;

  constructor(files: FileSystem, folder: string, space: number, checksum: Checksum) {
    this.#files = files;
    this.#folder = folder;
    this.#space = space;
    this.#checksum = checksum;
  }

  async read(sequence: number): Promise<LogEntry[]> {
    await this.#load();
    const from = Math.max(
      0,
      this.#firsts.findLastIndex((first) => first <= sequence),
    );
    const entries: LogEntry[] = [];
    for (const first of this.#firsts.slice(from)) {
      const { records, damage } = await this.#scanFile(first);
      entries.push(...records.map((record) => ({ space: this.#space, ...record })));
      if (damage === undefined) continue;
      // The engine finds by checksum that this is no record, and names it.
      const bytes = damage.bytes.slice(prefixBytes);
      entries.push({ space: this.#space, sequence: first + records.length, bytes });
      break;
    }
    return entries.filter((entry) => entry.sequence >= sequence);
  }

  /** Appends one record; the bytes are in the system's hands when it resolves. If it rejects, `undo` is still to be called. */
  async append(sequence: number, envelope: Uint8Array): Promise<void> {
    await this.#load();
    this.#lastScan = undefined;
    const tail = await this.#tailFor(sequence);
    const prefix = new Uint8Array(prefixBytes);
    const view = new DataView(prefix.buffer);
    view.setFloat64(0, sequence, true);
    view.setFloat64(8, tail.flushedBytes, true);
    await tail.file.write([prefix, envelope], tail.bytes);
    tail.bytes += prefixBytes + envelope.length;
    tail.next++;
  }

  /** Where the log ends now; `undo` goes back there. */
  async mark(): Promise<Mark | undefined> {
    await this.#load();
    const tail = this.#tail;
    return tail && { bytes: tail.bytes, next: tail.next, first: tail.first };
  }

  /** Flushed, because the caller is told that nothing was written: no power loss may bring it back. */
  async undo(mark: Mark | undefined): Promise<void> {
    const tail = this.#tail;
    if (tail === undefined) return;
    // The append began this file: all that is in it is the append's.
    const to = mark?.first === tail.first ? mark : { bytes: 0, next: tail.first };
    await tail.file.truncate(to.bytes);
    tail.bytes = to.bytes;
    tail.next = to.next;
    await flushed(() => tail.file.flush(), tail.file.path);
    tail.flushedBytes = to.bytes;
  }

  async flush(): Promise<void> {
    const tail = this.#tail;
    if (tail === undefined || tail.flushedBytes === tail.bytes) return;
    const { bytes } = tail;
    await flushed(() => tail.file.flush(), tail.file.path);
    tail.flushedBytes = bytes;
  }

  /** The next record begins a file: what a checkpoint that starts now will contain can then be dropped by the file. */
  rotate(): void {
    this.#rotate = true;
  }

  /** Removes the files that hold only records before `sequence`. */
  async drop(sequence: number): Promise<void> {
    await this.#load();
    while (this.#firsts.length > 0) {
      const first = this.#firsts[0] as number;
      const next = this.#tail?.first === first ? this.#tail.next : this.#firsts[1];
      if (next === undefined || next > sequence) return;
      if (this.#tail?.first === first) await this.close();
      await this.#files.remove(this.#path(first));
      this.#firsts.shift();
    }
  }

  async bytes(): Promise<number> {
    let bytes = 0;
    for (const first of this.#firsts) bytes += await this.#files.bytesOf(this.#path(first));
    return bytes;
  }

  async close(): Promise<void> {
    const tail = this.#tail;
    this.#tail = undefined;
    await tail?.file.close();
  }

  #path(first: number): string {
    return path.join(this.#folder, `log-${String(first).padStart(16, '0')}`);
  }

  async #tailFor(sequence: number): Promise<Tail> {
    if (this.#damaged) {
      throw shibuDbError('CORRUPTION', `The log in ${this.#folder} is damaged: nothing may be written to it`);
    }
    const former = this.#tail;
    if (former !== undefined) {
      assert(sequence >= former.next, `log record ${sequence} follows ${former.next - 1}`);
      // A gap is left when a power loss took records that a checkpoint contains.
      const goesOn = former.next === sequence && (!this.#rotate || former.next === former.first);
      if (goesOn) {
        this.#rotate = false;
        return former;
      }
      await this.flush();
      await this.close();
    }
    this.#rotate = false;
    const file = await this.#files.open(this.#path(sequence), 'create');
    if (this.#firsts.at(-1) !== sequence) this.#firsts.push(sequence);
    this.#tail = { first: sequence, file, next: sequence, bytes: 0, flushedBytes: 0 };
    await flushed(() => this.#files.flushFolder(this.#folder), this.#folder);
    return this.#tail;
  }

  /** Finds the files, and cuts an unpromised end off the last one. */
  async #load(): Promise<void> {
    if (this.#loaded) return;
    const names = (await this.#files.list(this.#folder)).filter((name) => /^log-\d{16}$/.test(name));
    this.#firsts = names.map((name) => Number(name.slice(4))).sort((a, b) => a - b);
    const first = this.#firsts.at(-1);
    if (first !== undefined) await this.#loadTail(first);
    this.#loaded = true;
  }

  async #loadTail(first: number): Promise<void> {
    const scan = await this.#scanFile(first);
    this.#damaged = scan.damage !== undefined && this.#wasFlushed(scan.damage.bytes, scan.damage.at);
    this.#lastScan = { first, ...scan, damage: this.#damaged ? scan.damage : undefined };
    if (this.#damaged) return;
    const file = await this.#files.open(this.#path(first), 'update');
    const bytes = scan.damage?.at ?? (await this.#files.bytesOf(this.#path(first)));
    if (scan.damage !== undefined) await file.truncate(bytes);
    this.#tail = { first, file, next: first + scan.records.length, bytes, flushedBytes: scan.flushedBytes };
  }

  async #scanFile(first: number): Promise<Scan> {
    const last = this.#lastScan;
    this.#lastScan = undefined;
    if (last?.first === first) return last;
    const bytes = (await this.#files.readFile(this.#path(first))) ?? new Uint8Array(0);
    const records: { sequence: number; bytes: Uint8Array }[] = [];
    let flushedBytes = 0;
    let at = 0;
    while (at < bytes.length) {
      const record = this.#recordAt(bytes, at, at);
      if (record === undefined || record.sequence !== first + records.length) {
        return { records, flushedBytes, damage: { at, bytes: bytes.slice(at) } };
      }
      records.push({ sequence: record.sequence, bytes: record.envelope });
      flushedBytes = record.flushed;
      at += prefixBytes + record.envelope.length;
    }
    return { records, flushedBytes, damage: undefined };
  }

  /** The record at `at` of `bytes`, which is `place` in the file; `undefined` where there is no whole one. */
  #recordAt(
    bytes: Uint8Array,
    at: number,
    place: number,
  ): { sequence: number; flushed: number; envelope: Uint8Array } | undefined {
    if (bytes.length - at < prefixBytes + envelopeHeaderBytes) return undefined;
    const view = new DataView(bytes.buffer, bytes.byteOffset + at);
    const length = envelopeHeaderBytes + view.getUint32(prefixBytes + 8, true);
    if (length > bytes.length - at - prefixBytes) return undefined;
    // A copy of its own: one record must not keep the whole file in memory.
    const envelope = bytes.slice(at + prefixBytes, at + prefixBytes + length);
    try {
      unsealAny(envelope, EnvelopeKind.Log, this.#checksum, 'A log record');
    } catch (error) {
      if (isShibuDbError(error) && error.code === 'CORRUPTION') return undefined;
      throw error;
    }
    const sequence = view.getFloat64(0, true);
    const flushedTo = view.getFloat64(8, true);
    if (!Number.isSafeInteger(sequence) || !(flushedTo >= 0 && flushedTo <= place)) return undefined;
    return { sequence, flushed: flushedTo, envelope };
  }

  /** Whether a whole record among the bytes behind `damagedAt` says that this place had reached the disk. */
  #wasFlushed(bytes: Uint8Array, damagedAt: number): boolean {
    const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
    let magicAt = text.indexOf(envelopeMagic, prefixBytes + 1);
    while (magicAt >= 0) {
      const at = magicAt - prefixBytes;
      const record = this.#recordAt(bytes, at, damagedAt + at);
      if (record !== undefined && record.flushed > damagedAt) return true;
      magicAt = text.indexOf(envelopeMagic, magicAt + 1);
    }
    return false;
  }
}
