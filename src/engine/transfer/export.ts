/**
 * Writing a database as one stream. Spaces are read in the order of their keys or ids, a step at a time, while others go on
 * writing: what is written meanwhile may be in the stream or not; what was there before and stays is in it. Entries with a
 * deadline keep it. Users are not part of it.
 */

import type { CallContext } from '../../api/calls.ts';
import type { Value } from '../../api/database.ts';
import { continueBehind, type KeyRange, type StoredEntry } from '../../space/key-value-space.ts';
import { LargeValue } from '../../space/large-value.ts';
import { PackedMetadata } from '../../space/metadata/packed.ts';
import { isOfBits, vectorBytes, vectorItems } from '../../space/metrics.ts';
import { encodeInsertInts, encodeInsertStrings, encodePut } from '../../space/operation.ts';
import { type CatalogEntry, vectorKind } from '../../storage/catalog.ts';
import { EnvelopeKind } from '../../storage/envelope.ts';
import type { DatabaseEngine } from '../database-engine.ts';
import type { ResidentSpace } from '../resident-space.ts';
import { FrameWriter, frameBytesAim } from './frames.ts';

const keysPerStep = 512;
const exportVersion = 1;

/** The frames, in order; `onProgress` counts entries and vectors. @throws SPACE_NOT_FOUND when one is deleted meanwhile */
export async function* exportFrames(
  engine: DatabaseEngine,
  names: readonly string[],
  onProgress: CallContext['onProgress'],
): AsyncGenerator<Uint8Array, void, undefined> {
  const writer = new FrameWriter(engine.checksum);
  const spaces: { name: string; count: number }[] = [];
  for (const name of names) {
    const resident = await engine.resident(engine.entryOf(name));
    spaces.push({ name, count: resident.space.count() });
  }
  const total = spaces.reduce((sum, { count }) => sum + count, 0);
  yield writer.json(EnvelopeKind.ExportBegin, { version: exportVersion, spaces });
  let done = 0;
  for (const { name } of spaces) {
    const entry = engine.entryOf(name);
    const { id: _, ...facts } = entry;
    yield writer.json(EnvelopeKind.ExportSpace, facts);
    let count = 0;
    let operations: Uint8Array[] = [];
    let bytes = 0;
    for await (const step of stepsOf(engine, entry)) {
      operations.push(step.operation);
      bytes += step.operation.length;
      count += step.count;
      if (bytes < frameBytesAim) continue;
      yield writer.frame(EnvelopeKind.ExportOperations, operations);
      operations = [];
      bytes = 0;
      onProgress?.({ done: done + count, total: Math.max(total, done + count) });
    }
    if (bytes > 0) yield writer.frame(EnvelopeKind.ExportOperations, operations);
    yield writer.json(EnvelopeKind.ExportSpaceEnd, { count });
    done += count;
    onProgress?.({ done, total: Math.max(total, done) });
  }
  yield writer.json(EnvelopeKind.ExportEnd, { spaces: spaces.length });
}

interface Step {
  readonly operation: Uint8Array;
  /** Entries or vectors in it. */
  readonly count: number;
}

function stepsOf(engine: DatabaseEngine, entry: CatalogEntry): AsyncGenerator<Step, void, undefined> {
  return entry.engine === 'vector' ? vectorSteps(engine, entry) : keyValueSteps(engine, entry);
}

async function* keyValueSteps(
  engine: DatabaseEngine,
  entry: CatalogEntry,
): AsyncGenerator<Step, void, undefined> {
  const range: KeyRange = { start: new Uint8Array(0), startExclusive: false, end: undefined, reverse: false };
  for (;;) {
    // Not kept: between two steps the space may be let go, or be opened again.
    const resident = await engine.resident(entry);
    const entries: (StoredEntry & { deadlineMs: number | undefined })[] = [];
    let bytes = 0;
    let last: string | undefined;
    for (const key of resident.keyValue.scanKeys(range, keysPerStep)) {
      const stored = resident.keyValue.getStored(key);
      last = key;
      if (stored === undefined) continue;
      entries.push({ key, ...stored });
      bytes += key.length + stored.value.length;
      if (bytes >= frameBytesAim) break;
    }
    for (const { key, value, deadlineMs } of entries) {
      const whole =
        value instanceof LargeValue ? await loadLarge(engine, entry, resident, key, value) : value;
      if (whole !== undefined) yield { operation: encodePut(key, whole, deadlineMs), count: 1 };
    }
    if (last === undefined) return;
    continueBehind(range, new TextEncoder().encode(last));
  }
}

async function loadLarge(
  engine: DatabaseEngine,
  entry: CatalogEntry,
  resident: ResidentSpace,
  key: string,
  value: LargeValue,
): Promise<Value | undefined> {
  const [whole] = await engine.large.settle({ resident, values: [value] }, async () => {
    const current = await engine.resident(entry);
    return { resident: current, values: [current.keyValue.get(key)] };
  });
  return whole;
}

async function* vectorSteps(
  engine: DatabaseEngine,
  entry: CatalogEntry,
): AsyncGenerator<Step, void, undefined> {
  const { dimension, metric } = vectorKind(entry);
  const rows = Math.max(1, Math.min(512, Math.floor(frameBytesAim / vectorBytes(dimension, metric))));
  let after: bigint | string | undefined;
  for (;;) {
    const { vectors } = await engine.resident(entry);
    const found = vectors.scan(after, rows);
    if (found.length === 0) return;
    const items = vectorItems(dimension, metric);
    const packed = isOfBits(metric)
      ? new Uint8Array(found.length * items)
      : new Float32Array(found.length * items);
    for (const [i, { vector }] of found.entries()) packed.set(vector, i * items);
    const ids = found.map(({ id }) => id);
    const records = found.map(({ metadata }) => metadata);
    const metadata = PackedMetadata.of(records, found.length, entry.metadataFields ?? [])?.rows(
      0,
      found.length,
    );
    const operation =
      entry.ids === 'string'
        ? encodeInsertStrings(ids as string[], packed, metadata)
        : encodeInsertInts(
            BigInt64Array.from(ids, (id) => BigInt(id)),
            packed,
            metadata,
          );
    yield { operation, count: found.length };
    const last = ids.at(-1) as string | number | bigint;
    after = typeof last === 'string' ? last : BigInt(last);
  }
}
