/**
 * Writing a database as one stream. Spaces are read in the order of their keys or ids, a step at a time, while others go on
 * writing: what is written meanwhile may be in the stream or not; what was there before and stays is in it. Entries with a
 * deadline keep it. Users are part of it where that is asked for: as they are stored, with scrypt of their passwords.
 */

import type { CallContext } from '../../api/calls.ts';
import type { Value } from '../../api/database.ts';
import { LargeValue } from '../../space/large-value.ts';
import { encodePut } from '../../space/operation.ts';
import type { CatalogEntry } from '../../storage/catalog.ts';
import { EnvelopeKind } from '../../storage/envelope.ts';
import { ContentsReader, type ContentsStep } from '../contents-reader.ts';
import type { DatabaseEngine } from '../database-engine.ts';
import { readSpace } from '../read-space.ts';
import type { ResidentSpace } from '../resident-space.ts';
import { FrameWriter, frameBytesAim } from './frames.ts';

const stepSize = { bytes: frameBytesAim, items: 512 };
const exportVersion = 1;

/** The frames, in order; `onProgress` counts entries and vectors. @throws SPACE_NOT_FOUND when one is deleted meanwhile */
export async function* exportFrames(
  engine: DatabaseEngine,
  { names, users }: { names: readonly string[]; users: boolean },
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
  const stored = engine.users.stored();
  if (users && stored.length > 0) yield writer.json(EnvelopeKind.ExportUsers, { users: stored });
  let done = 0;
  for (const { name } of spaces) {
    const entry = engine.entryOf(name);
    const { id: _, auto: _auto, ...facts } = entry;
    yield writer.json(EnvelopeKind.ExportSpace, facts);
    let count = 0;
    let operations: Uint8Array[] = [];
    let bytes = 0;
    const reader = new ContentsReader(entry, stepSize);
    for (;;) {
      // Not kept: between two steps the space may be let go, or be opened again.
      const { resident, step } = await readSpace(engine, entry, (found) => {
        return { resident: found, step: reader.next(found) };
      });
      if (step === undefined) break;
      if (step.insert !== undefined) count += step.count;
      for await (const operation of operationsOf(engine, resident, step)) {
        operations.push(operation);
        bytes += operation.length;
        // One that was deleted while it was read is not there.
        if (step.insert === undefined) count++;
      }
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

/** The operations of a step, with what is large read from where it is stored. */
async function* operationsOf(
  engine: DatabaseEngine,
  resident: ResidentSpace,
  { puts, insert }: ContentsStep,
): AsyncGenerator<Uint8Array, void, undefined> {
  if (insert !== undefined) yield insert;
  for (const { key, value, deadlineMs } of puts) {
    const whole =
      value instanceof LargeValue ? await loadLarge(engine, resident.entry, resident, key, value) : value;
    if (whole !== undefined) yield encodePut(key, whole, deadlineMs);
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
    return readSpace(engine, entry, (current) => {
      return { resident: current, values: [current.keyValue.get(key)] };
    });
  });
  return whole;
}
