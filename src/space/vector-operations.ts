/** Applying an operation (operation.ts) to a vector space's core: where the parts of its body go in scratch memory. */

import { assert } from '../base/assert.ts';
import { type CoreInstance, checkStatus } from '../kernel/instance.ts';
import { Status } from '../kernel/status.ts';
import { dataView, OperationKind, type OperationView, UpdateFlags } from './operation.ts';

/** Returns the outcome: whether the id was there; of an update also false when the metadata would be too long. */
export function applyVectorOperation(
  instance: CoreInstance,
  vectorBytes: number,
  { kind, flags, body }: OperationView,
): boolean {
  const { exports } = instance;
  const view = dataView(body);
  switch (kind) {
    case OperationKind.InsertInts: {
      const count = view.getUint32(0, true);
      const lengths = [8, count * 8, count * vectorBytes] as const;
      const [, ids, vectors, ends] = place(instance, body, lengths) as Addresses;
      const metadata = metadataAt(body, lengths, ends, count);
      checkStatus(exports.vec_insert(ids, vectors, ...metadata, count), 'insert vectors');
      return true;
    }
    case OperationKind.InsertStrings: {
      const count = view.getUint32(0, true);
      const lengths = [8, count * 4 + view.getUint32(4, true), count * vectorBytes] as const;
      const [, ids, vectors, ends] = place(instance, body, lengths) as Addresses;
      const metadata = metadataAt(body, lengths, ends, count);
      const status = exports.vec_insert_strings(ids, ids + count * 4, vectors, ...metadata, count);
      checkStatus(status, 'insert vectors');
      return true;
    }
    case OperationKind.DeleteInt:
      return checkStatus(exports.vec_delete(view.getBigInt64(0, true)), 'delete a vector') === Status.Ok;
    case OperationKind.DeleteString: {
      const [start] = place(instance, body, []) as [number];
      const status = exports.vec_delete_string(start + 4, view.getUint32(0, true));
      return checkStatus(status, 'delete a vector') === Status.Ok;
    }
    case OperationKind.UpdateInt: {
      const [start] = place(instance, body, []) as [number];
      const replace = flags & UpdateFlags.Replace;
      return updated(exports.vec_update(view.getBigInt64(0, true), start + 8, body.length - 8, replace));
    }
    default: {
      assert(kind === OperationKind.UpdateString, `operation ${kind} belongs to a vector space`);
      const [start] = place(instance, body, []) as [number];
      const idBytes = view.getUint32(0, true);
      const patch = start + 4 + idBytes;
      const replace = flags & UpdateFlags.Replace;
      return updated(
        exports.vec_update_string(start + 4, idBytes, patch, body.length - 4 - idBytes, replace),
      );
    }
  }
}

/** @throws AbsentBlocks when what an insert would write to is not in memory */
export function checkTargets(instance: CoreInstance, { kind, body }: OperationView): void {
  if (kind !== OperationKind.InsertInts && kind !== OperationKind.InsertStrings) return;
  const { exports } = instance;
  const view = dataView(body);
  const count = view.getUint32(0, true);
  const ints = kind === OperationKind.InsertInts;
  const length = ints ? count * 8 : count * 4 + view.getUint32(4, true);
  const [, ids] = place(instance, body.subarray(0, 8 + length), [8]) as [number, number];
  const status = ints
    ? exports.vec_ready(ids, count)
    : exports.vec_ready_strings(ids, ids + count * 4, count);
  checkStatus(status, 'look for room for vectors');
}

type Addresses = [number, number, number, number];

/** Addresses of metadata's ends and bytes; 0 and 0 where an insert has none. */
function metadataAt(
  body: Uint8Array,
  [header, ids, vectors]: readonly [number, number, number],
  ends: number,
  count: number,
): [number, number] {
  return body.length === header + ids + vectors ? [0, 0] : [ends, ends + count * 4];
}

/** A record that would be too long is no failure of the space: the same happens on every replay, and nothing changes. */
function updated(status: number): boolean {
  return status !== Status.Full && checkStatus(status, 'update metadata') === Status.Ok;
}

/**
 * Copies a body into scratch, cut behind each of `lengths`, so that every part is aligned for what it holds. Returns where
 * they begin, what is left last.
 */
function place(instance: CoreInstance, body: Uint8Array, lengths: readonly number[]): number[] {
  let to = instance.scratch(body.length + 8 * (lengths.length + 1));
  const bytes = instance.bytes();
  const places: number[] = [];
  let from = 0;
  for (const length of [...lengths, body.length]) {
    const part = body.subarray(from, from + length);
    bytes.set(part, to);
    places.push(to);
    from += part.length;
    to = (to + part.length + 7) & ~7;
  }
  return places;
}
