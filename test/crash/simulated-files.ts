/**
 * A file system in memory that fails as real ones do, below the backend over files (src/node/).
 *
 * What POSIX promises and no more. A write outlives the process, the last one perhaps in part. A power loss takes what was not
 * flushed: of the writes to a file since its last flush any subset of sectors may be there, in whatever order they were
 * made, with zeros where the file had grown; of the changes of a folder since its last flush, a prefix (all journals in use
 * keep that order). A name may so lead to a file whose contents never arrived.
 */

import path from 'node:path';
import type { FileSystem, OpenFile } from '../../src/node/file-system.ts';
import type { Random } from '../support/random.ts';
import { type Failure, type Faults, Stopped } from './faults.ts';

/** What a disk writes whole or not at all. */
const sectorBytes = 512;
/** How contents are kept: larger, because there are thousands of them. */
const pageBytes = 4096;

type Change = { readonly at: number; readonly bytes: Uint8Array } | { readonly length: number };

/** Bytes that are there, as pages that are replaced and never changed, so that copies share them. */
class Contents {
  readonly #pages: Map<number, Uint8Array>;
  length: number;

  constructor(pages: Map<number, Uint8Array> = new Map(), length = 0) {
    this.#pages = pages;
    this.length = length;
  }

  clone(): Contents {
    return new Contents(new Map(this.#pages), this.length);
  }

  /** `survives` says for each sector whether the bytes for it get there; without, all do. */
  apply(change: Change, survives?: () => boolean): void {
    if ('length' in change) this.#resize(change.length);
    else this.#write(change.at, change.bytes, survives);
  }

  #write(at: number, bytes: Uint8Array, survives: (() => boolean) | undefined): void {
    const end = at + bytes.length;
    const stepBytes = survives === undefined ? pageBytes : sectorBytes;
    for (let from = at; from < end; ) {
      const page = Math.floor(from / pageBytes);
      const to = Math.min(end, (Math.floor(from / stepBytes) + 1) * stepBytes);
      if (survives === undefined || survives()) {
        this.#pages.set(
          page,
          this.#replaced(page, from - page * pageBytes, bytes.subarray(from - at, to - at)),
        );
      }
      from = to;
    }
    if (bytes.length > 0) this.length = Math.max(this.length, end);
  }

  #replaced(page: number, at: number, bytes: Uint8Array): Uint8Array {
    if (bytes.length === pageBytes) return bytes.slice();
    const fresh = this.#pages.get(page)?.slice() ?? new Uint8Array(pageBytes);
    fresh.set(bytes, at);
    return fresh;
  }

  #resize(length: number): void {
    if (length < this.length) {
      for (const page of this.#pages.keys()) if (page * pageBytes >= length) this.#pages.delete(page);
      const last = Math.floor(length / pageBytes);
      const cut = this.#pages.get(last)?.slice();
      if (cut !== undefined) this.#pages.set(last, cut.fill(0, length - last * pageBytes));
    }
    this.length = length;
  }

  read(at: number, bytes: number): Uint8Array {
    const found = new Uint8Array(Math.max(0, Math.min(bytes, this.length - at)));
    for (let from = at; from < at + found.length; ) {
      const page = Math.floor(from / pageBytes);
      const to = Math.min(at + found.length, (page + 1) * pageBytes);
      const there = this.#pages.get(page);
      if (there !== undefined)
        found.set(there.subarray(from - page * pageBytes, to - page * pageBytes), from - at);
      from = to;
    }
    return found;
  }
}

class Inode {
  readonly current: Contents;
  #flushed: Contents;
  /** Since then. */
  #unflushed: Change[] = [];

  constructor(contents: Contents = new Contents()) {
    this.current = contents;
    this.#flushed = contents.clone();
  }

  change(change: Change): void {
    this.current.apply(change);
    this.#unflushed.push(change);
  }

  flush(): void {
    this.#flushed = this.current.clone();
    this.#unflushed = [];
  }

  afterPowerLoss(random: Random): Inode {
    const contents = this.#flushed.clone();
    const chance = random.pick([0, 0.5, 0.9, 1]);
    for (const change of this.#unflushed)
      if (!('length' in change) || random.unit() < chance)
        contents.apply(change, () => random.unit() < chance);
    return new Inode(contents);
  }
}

/** A file, or a folder; that is there when its name is. */
type Entry = Inode | 'folder';
type Names = Map<string, Entry>;
type NameChange = (names: Names) => void;

/** All files and folders by path, as the processes see them and as they are known to be on the platter. */
export class SimulatedDisk {
  readonly names: Names;
  readonly #flushed: Names;
  /** Changes of folders that were not flushed, by folder. */
  readonly #unflushed: Map<string, NameChange[]> = new Map();

  constructor(names: Names = new Map()) {
    this.names = names;
    this.#flushed = new Map(names);
  }

  change(folder: string, change: NameChange): void {
    change(this.names);
    const changes = this.#unflushed.get(folder) ?? [];
    changes.push(change);
    this.#unflushed.set(folder, changes);
  }

  flushFolder(folder: string): void {
    for (const change of this.#unflushed.get(folder) ?? []) change(this.#flushed);
    this.#unflushed.delete(folder);
  }

  afterPowerLoss(random: Random): SimulatedDisk {
    for (const changes of this.#unflushed.values())
      for (const change of changes.slice(0, random.below(changes.length + 1))) change(this.#flushed);
    const survived: Names = new Map();
    for (const [name, entry] of this.#flushed)
      if (isReachable(this.#flushed, name))
        survived.set(name, entry === 'folder' ? entry : entry.afterPowerLoss(random));
    return new SimulatedDisk(survived);
  }
}

/** Whether all folders above `name` are there, but for the database's own, which was there before. */
function isReachable(names: Names, name: string): boolean {
  const folder = path.dirname(name);
  return path.dirname(folder) === '/' || (names.has(folder) && isReachable(names, folder));
}

/** The disk as one process reaches it. */
export class SimulatedFiles implements FileSystem {
  readonly #disk: SimulatedDisk;
  readonly #faults: Faults;

  constructor(disk: SimulatedDisk, faults: Faults) {
    this.#disk = disk;
    this.#faults = faults;
  }

  async open(file: string, mode: 'read' | 'update' | 'create'): Promise<OpenFile> {
    await this.#faults.read();
    if (mode === 'create')
      await this.#change(`create ${file}`, path.dirname(file), () => {
        const inode = new Inode();
        return (names) => names.set(file, inode);
      });
    return new SimulatedFile(file, this.#inode(file), this.#faults);
  }

  async readFile(file: string): Promise<Uint8Array | undefined> {
    await this.#faults.read();
    const entry = this.#disk.names.get(file);
    return entry instanceof Inode ? entry.current.read(0, entry.current.length) : undefined;
  }

  async list(folder: string): Promise<string[]> {
    await this.#faults.read();
    return [...this.#disk.names.keys()]
      .filter((name) => path.dirname(name) === folder)
      .map((name) => path.basename(name));
  }

  async bytesOf(file: string): Promise<number> {
    const entry = this.#disk.names.get(file);
    return entry instanceof Inode ? entry.current.length : 0;
  }

  async makeFolder(folder: string): Promise<void> {
    if (this.#disk.names.has(folder)) return;
    await this.#change(`make ${folder}`, path.dirname(folder), () => (names) => names.set(folder, 'folder'));
  }

  async flushFolder(folder: string): Promise<void> {
    const { done, stops, failure } = await this.#faults.step(`flush folder ${folder}`);
    if (failure !== undefined) throw failed('broken');
    if (done) this.#disk.flushFolder(folder);
    if (stops) throw new Stopped();
  }

  async rename(from: string, to: string): Promise<void> {
    const entry = this.#inode(from);
    await this.#change(`rename to ${to}`, path.dirname(to), () => (names) => {
      names.delete(from);
      names.set(to, entry);
    });
  }

  async remove(target: string): Promise<void> {
    await this.#change(`remove ${target}`, path.dirname(target), () => (names) => {
      for (const name of [...names.keys()])
        if (name === target || name.startsWith(`${target}/`)) names.delete(name);
    });
  }

  async removeEmptyFolder(folder: string): Promise<void> {
    await this.remove(folder);
  }

  async freeBytes(): Promise<undefined> {
    return undefined;
  }

  async #change(what: string, folder: string, make: () => NameChange): Promise<void> {
    const { done, stops, failure } = await this.#faults.step(what);
    if (failure !== undefined) throw failed(failure);
    if (done) this.#disk.change(folder, make());
    if (stops) throw new Stopped();
  }

  #inode(file: string): Inode {
    const entry = this.#disk.names.get(file);
    if (entry instanceof Inode) return entry;
    throw Object.assign(new Error(`ENOENT: ${file}`), { code: 'ENOENT' });
  }
}

class SimulatedFile implements OpenFile {
  readonly path: string;
  readonly #inode: Inode;
  readonly #faults: Faults;

  constructor(file: string, inode: Inode, faults: Faults) {
    this.path = file;
    this.#inode = inode;
    this.#faults = faults;
  }

  async write(parts: readonly Uint8Array[], at: number): Promise<void> {
    const bytes = joined(parts);
    const { done, stops, failure } = await this.#faults.step(
      `write ${bytes.length} at ${at} of ${this.path}`,
    );
    const { random } = this.#faults;
    // What stops or fails in the middle has written some of it.
    const written = done ? bytes.length : random.below(bytes.length + 1);
    this.#inode.change({ at, bytes: bytes.subarray(0, written) });
    if (failure !== undefined) throw failed(failure);
    if (stops) throw new Stopped();
  }

  async read(at: number, bytes: number): Promise<Uint8Array> {
    await this.#faults.read();
    return this.#inode.current.read(at, bytes);
  }

  async truncate(bytes: number): Promise<void> {
    const { done, stops, failure } = await this.#faults.step(`truncate ${this.path} to ${bytes}`);
    if (failure !== undefined) throw failed(failure);
    if (done) this.#inode.change({ length: bytes });
    if (stops) throw new Stopped();
  }

  async flush(): Promise<void> {
    const { done, stops, failure } = await this.#faults.step(`flush ${this.path}`);
    if (failure !== undefined) throw failed('broken');
    if (done) this.#inode.flush();
    if (stops) throw new Stopped();
  }

  async close(): Promise<void> {}
}

function joined(parts: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

function failed(failure: Failure): Error {
  const code = failure === 'full' ? 'ENOSPC' : 'EIO';
  return Object.assign(new Error(`${code}: made to fail`), { code });
}
