/**
 * Reading a database from a stream that may come from anywhere. Nothing in it is trusted: frames are checked one by one, and
 * what they say is put in as a caller would put it, through the same checks. A stream that breaks off or is damaged leaves
 * what was acknowledged before; `details.acknowledged` counts it.
 */

import type { Metadata, Progress, PutEntry, VectorData } from '../../api/database.ts';
import { isShibuDbError, shibuDbError } from '../../api/errors.ts';
import type { LargeBytes } from '../../space/large-bytes.ts';
import type { LargeValue } from '../../space/large-value.ts';
import { isOfBits, vectorBytes } from '../../space/metrics.ts';
import {
  dataView,
  deadlineBytes,
  OperationKind,
  type OperationView,
  ValueFlags,
} from '../../space/operation.ts';
import { metadataPart } from '../../space/parts.ts';
import { type CatalogEntry, type StoredUser, vectorKind } from '../../storage/catalog.ts';
import { EnvelopeKind } from '../../storage/envelope.ts';
import type { DatabaseEngine } from '../database-engine.ts';
import { parseNewSpace } from '../new-space.ts';
import { keyValuePart, secretsPart, vectorsPart } from '../parts.ts';
import { damaged, type Frame, FrameReader } from './frames.ts';

const spacesMax = 100_000;
const header = 8;

export class Import {
  readonly #engine: DatabaseEngine;
  readonly #reader: FrameReader;
  readonly #spaces: string[] = [];
  #expected: string[] | undefined;
  #total = 0;
  #entry: CatalogEntry | undefined;
  #inSpace = 0;
  #acknowledged = 0;
  #ended = false;
  readonly #withUsers: boolean;
  #users: readonly StoredUser[] | undefined;

  /** `withUsers`: its users are added too; else they are left out. */
  constructor(engine: DatabaseEngine, withUsers: boolean) {
    this.#engine = engine;
    this.#withUsers = withUsers;
    this.#reader = new FrameReader(engine.checksum);
  }

  get progress(): Progress {
    return { done: this.#acknowledged, total: Math.max(this.#total, this.#acknowledged) };
  }

  /** Spaces that are complete. */
  get spaces(): string[] {
    return [...this.#spaces];
  }

  /** Users that will be there, or are. */
  get users(): string[] {
    return this.#withUsers ? (this.#users ?? []).map(({ username }) => username) : [];
  }

  /** Takes the next piece of the stream, of any size. @throws CORRUPTION, VERSION_MISMATCH, SPACE_EXISTS and what writing throws */
  async take(piece: Uint8Array): Promise<void> {
    try {
      this.#reader.push(piece);
      for (let frame = this.#reader.next(); frame !== undefined; frame = this.#reader.next())
        await this.#apply(frame);
    } catch (error) {
      throw this.#withPrefix(error);
    }
  }

  /** The stream is over. Its users come last: from then on every call may need somebody who is signed in. @throws CORRUPTION when it breaks off, USER_EXISTS */
  async end(): Promise<void> {
    if (!this.#ended || this.#reader.rest > 0) {
      const found = this.#ended ? 'something follows its end' : 'it breaks off before its end';
      throw this.#withPrefix(damaged('The export', found));
    }
    try {
      if (this.#withUsers && this.#users !== undefined)
        await (await this.#engine.users.accounts()).add(this.#users);
    } catch (error) {
      throw this.#withPrefix(error);
    }
  }

  #withPrefix(error: unknown): Error {
    const code = isShibuDbError(error) ? error.code : 'CORRUPTION';
    const message = error instanceof Error ? error.message : String(error);
    const details = isShibuDbError(error) ? error.details : {};
    return shibuDbError(code, `${message} (${this.#acknowledged} entries of the export are stored)`, {
      cause: error,
      details: { ...details, acknowledged: this.#acknowledged },
    });
  }

  async #apply({ kind, body }: Frame): Promise<void> {
    if (this.#ended) throw damaged('The export', 'something follows its end');
    switch (kind) {
      case EnvelopeKind.ExportBegin:
        return this.#begin(body);
      case EnvelopeKind.ExportUsers:
        return this.#takeUsers(body);
      case EnvelopeKind.ExportSpace:
        return this.#beginSpace(body);
      case EnvelopeKind.ExportOperations:
        return this.#operations(body);
      case EnvelopeKind.ExportSpaceEnd:
        return this.#endSpace(body);
      default: {
        if (this.#entry !== undefined || this.#expected?.length !== this.#spaces.length)
          throw damaged('The export', 'it ends in the middle');
        this.#ended = true;
      }
    }
  }

  /** Names are checked all at once, before anything is written. */
  #begin(body: Uint8Array): void {
    if (this.#expected !== undefined) throw damaged('The export', 'it begins twice');
    const { version, spaces } = objectOf(body, 'The beginning of the export');
    if (version !== 1) {
      throw shibuDbError(
        'VERSION_MISMATCH',
        `The export has version ${shownVersion(version)}, this build reads 1`,
      );
    }
    if (!Array.isArray(spaces) || spaces.length > spacesMax)
      throw damaged('The export', 'it does not say which spaces it holds');
    const names = spaces.map((space) => {
      const { name, count } = (space ?? {}) as { name?: unknown; count?: unknown };
      if (typeof name !== 'string' || !Number.isSafeInteger(count) || (count as number) < 0)
        throw damaged('The export', 'it does not say which spaces it holds');
      this.#total += count as number;
      return name;
    });
    if (new Set(names).size !== names.length) throw damaged('The export', 'it holds a space twice');
    const there = new Set(this.#engine.listSpaces().map(({ name }) => name));
    const taken = names.find((name) => there.has(name));
    if (taken !== undefined)
      throw shibuDbError('SPACE_EXISTS', `There is a space "${taken}" already; nothing was imported`);
    this.#expected = names;
  }

  /** Names are checked before anything is written. */
  async #takeUsers(body: Uint8Array): Promise<void> {
    if (this.#expected === undefined || this.#users !== undefined || this.#spaces.length > 0 || this.#entry)
      throw damaged('The export', 'users are out of place');
    const { parseUsers } = await secretsPart.load();
    this.#users = parseUsers(objectOf(body, 'The users of the export').users);
    if (this.#withUsers) (await this.#engine.users.accounts()).checkAddition(this.#users);
  }

  async #beginSpace(body: Uint8Array): Promise<void> {
    const expected = this.#expected?.[this.#spaces.length];
    if (expected === undefined || this.#entry !== undefined)
      throw damaged('The export', 'a space is out of place');
    const { name, engine, ...options } = objectOf(body, 'A space of the export');
    if (name !== expected) throw damaged('The export', `"${expected}" should follow, it has another space`);
    await this.#engine.createSpace(await parseNewSpace(name, engine, options));
    this.#entry = this.#engine.entryOf(expected);
    this.#inSpace = 0;
  }

  #endSpace(body: Uint8Array): void {
    const { count } = objectOf(body, 'The end of a space of the export');
    if (this.#entry === undefined || count !== this.#inSpace)
      throw damaged('The export', `a space has ${this.#inSpace} entries, but says it has ${String(count)}`);
    this.#spaces.push(this.#entry.name);
    this.#entry = undefined;
  }

  async #operations(body: Uint8Array): Promise<void> {
    const entry = this.#entry;
    if (entry === undefined) throw damaged('The export', 'operations are out of place');
    const operations = parseOperations(body);
    const count =
      entry.engine === 'vector' ? await this.#insert(entry, operations) : await this.#put(entry, operations);
    this.#inSpace += count;
    this.#acknowledged += count;
  }

  async #put(entry: CatalogEntry, operations: OperationView[]): Promise<number> {
    const now = this.#engine.wallClock();
    const entries = operations.map((operation) => entryOf(operation, now));
    // What has expired on the way counts as read, and is not stored.
    const living: PutEntry[] = [];
    for (const each of entries) {
      const large = keyValuePart.loaded.cutIfLarge(each?.value);
      if (each === undefined) continue;
      if (large === undefined) living.push(each);
      else await this.#putLarge(entry, each, large);
    }
    if (living.length > 0) {
      const { operations: bytes, count, deadlines } = keyValuePart.loaded.putManyOperations(living, now);
      await this.#engine.submit(entry, bytes, { count, bytes: bytes.length, deadlines });
    }
    return entries.length;
  }

  /** Goes before the others of its frame: no key is in it twice. */
  async #putLarge(entry: CatalogEntry, { key, ttlMs }: PutEntry, large: LargeBytes): Promise<void> {
    keyValuePart.loaded.checkKey(key);
    const deadlineMs = keyValuePart.loaded.deadlineOf(ttlMs, this.#engine.wallClock());
    const encode = ([stored]: readonly LargeValue[]): Uint8Array =>
      keyValuePart.loaded.putOperation(key, stored, deadlineMs);
    await this.#engine.putLarge(
      entry,
      { large: [large], encode },
      { count: 1, deadlines: ttlMs !== undefined },
    );
  }

  async #insert(entry: CatalogEntry, operations: OperationView[]): Promise<number> {
    let count = 0;
    for (const operation of operations) {
      const { ids, vectors, metadata } = vectorsOf(operation, entry);
      const insert = vectorsPart.loaded.prepareInsert(entry, ids, vectors, metadata);
      for (let from = 0, to = 0; from < insert.count; from = to) {
        to = insert.chunkEnd(from);
        await this.#engine.submit(entry, insert.operation(from, to), insert.need(from, to));
      }
      count += insert.count;
    }
    return count;
  }
}

function shownVersion(version: unknown): string {
  return typeof version === 'number' ? String(version) : typeof version;
}

const strictText = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

function textOf(bytes: Uint8Array, what: string): string {
  try {
    return strictText.decode(bytes);
  } catch {
    throw damaged('The export', `${what} is not UTF-8`);
  }
}

function objectOf(body: Uint8Array, what: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(textOf(body, what));
    if (typeof value === 'object' && value !== null && !Array.isArray(value))
      return value as Record<string, unknown>;
  } catch {
    // Said below.
  }
  throw damaged(what, 'it is not a JSON object');
}

/** Every length is checked against what is there before it is used. */
function parseOperations(bytes: Uint8Array): OperationView[] {
  const view = dataView(bytes);
  const operations: OperationView[] = [];
  for (let at = 0; at < bytes.length; ) {
    if (bytes.length - at < header) throw damaged('The export', 'an operation is cut short');
    const length = view.getUint32(at + 4, true);
    if (length > bytes.length - at - header)
      throw damaged('The export', 'an operation is longer than its frame');
    const start = at + header;
    operations.push({
      kind: view.getUint8(at),
      flags: view.getUint8(at + 1),
      body: bytes.slice(start, start + length),
    });
    at = start + ((length + 7) & ~7);
  }
  return operations;
}

function entryOf({ kind, flags, body }: OperationView, now: number): PutEntry | undefined {
  const known = ValueFlags.Bytes | ValueFlags.Deadline;
  if (kind !== OperationKind.Put || (flags & ~known) !== 0 || body.length < 8)
    throw damaged('The export', `operation ${kind} with flags ${flags} is no entry`);
  const view = dataView(body);
  const keyLength = view.getUint32(0, true);
  const front = (flags & ValueFlags.Deadline) === 0 ? 0 : deadlineBytes;
  const valueLength = view.getUint32(4, true);
  if (8 + keyLength + valueLength !== body.length || valueLength < front)
    throw damaged('The export', 'the lengths of an entry do not fit');
  const key = textOf(body.subarray(8, 8 + keyLength), 'a key');
  const raw = body.slice(8 + keyLength + front);
  const value = (flags & ValueFlags.Bytes) === 0 ? textOf(raw, 'a value') : raw;
  if (front === 0) return { key, value };
  const ttlMs = keyValuePart.loaded.readDeadline(body, 8 + keyLength) - now;
  return ttlMs > 0 ? { key, value, ttlMs } : undefined;
}

interface InsertOfExport {
  readonly ids: BigInt64Array | string[];
  readonly vectors: VectorData;
  readonly metadata: Metadata[] | undefined;
}

function vectorsOf({ kind, flags, body }: OperationView, entry: CatalogEntry): InsertOfExport {
  const expected = entry.ids === 'string' ? OperationKind.InsertStrings : OperationKind.InsertInts;
  if (kind !== expected || flags !== 0 || body.length < 8)
    throw damaged(
      'The export',
      `operation ${kind} with flags ${flags} is no insert with ids of kind ${entry.ids}`,
    );
  const view = dataView(body);
  const count = view.getUint32(0, true);
  if (count > body.length) throw damaged('The export', `${count} vectors do not fit their operation`);
  if (expected === OperationKind.InsertInts) {
    const ids = BigInt64Array.from({ length: count }, (_, i) =>
      8 + i * 8 + 8 <= body.length ? view.getBigInt64(8 + i * 8, true) : 0n,
    );
    return { ids, ...rowsOf(body, 8 + count * 8, count, entry) };
  }
  const idBytes = view.getUint32(4, true);
  const textAt = 8 + count * 4;
  if (textAt + idBytes > body.length) throw damaged('The export', 'the ids do not fit their operation');
  let from = 0;
  const ids = Array.from({ length: count }, (_, i) => {
    const end = view.getUint32(8 + i * 4, true);
    if (end < from || end > idBytes) throw damaged('The export', 'the ids overlap');
    const id = textOf(body.subarray(textAt + from, textAt + end), 'an id');
    from = end;
    return id;
  });
  return { ids, ...rowsOf(body, textAt + idBytes, count, entry) };
}

/** The vectors of an insert, and the metadata behind them if there is any. What they hold is checked where they are inserted. */
function rowsOf(
  body: Uint8Array,
  at: number,
  count: number,
  entry: CatalogEntry,
): Omit<InsertOfExport, 'ids'> {
  const { dimension, metric } = vectorKind(entry);
  const end = at + count * vectorBytes(dimension, metric);
  if (end > body.length) throw damaged('The export', 'the vectors do not fit their operation');
  const raw = body.slice(at, end);
  const vectors = isOfBits(metric) ? raw : new Float32Array(raw.buffer);
  return { vectors, metadata: metadataOf(body.subarray(end), count, entry) };
}

function metadataOf(bytes: Uint8Array, count: number, entry: CatalogEntry): Metadata[] | undefined {
  if (bytes.length === 0) return undefined;
  const records = bytes.subarray(count * 4);
  const view = dataView(bytes);
  let from = 0;
  try {
    const metadata = Array.from({ length: count }, (_, i) => {
      const end = view.getUint32(i * 4, true);
      if (end < from || end > records.length) throw new RangeError('Records overlap');
      const record = metadataPart.loaded.readRecord(records.subarray(from, end), entry.metadataFields ?? []);
      from = end;
      return record;
    });
    if (from === records.length) return metadata;
  } catch {
    // Said below, whichever part of it was wrong.
  }
  throw damaged('The export', 'the metadata of vectors does not fit its operation');
}
