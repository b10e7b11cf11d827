/** Writes that wait for their commit: how they are grouped, decided, and what of memory they need. */

import { isShibuDbError } from '../api/errors.ts';
import { AbsentBlocks } from '../kernel/instance.ts';
import type { Decide } from '../space/conditional.ts';
import { largestOperation, OperationKind, operationsIn } from '../space/operation.ts';
import type { Need } from '../space/space.ts';
import { keyValuePart } from './parts.ts';
import type { ResidentSpace } from './resident-space.ts';

export const countThere: unique symbol = Symbol('how many there were');
/** Scratch memory for so much is there anyhow. */
export const smallBytes: number = 64 * 1024;
const removalKinds: ReadonlySet<number> = new Set([
  OperationKind.Delete,
  OperationKind.DeleteInt,
  OperationKind.DeleteString,
]);

/** A write that is made of what is there: called when everything submitted before it has been applied. */
export type Compose = () => { operations: Uint8Array; need: Need };

export interface Waiting {
  readonly resident: ResidentSpace;
  /** Such a write begins a group of its own making. */
  compose: Compose | undefined;
  /** One or more operations; of a conditional write, none until it is decided. */
  operations: Uint8Array;
  decide: Decide<unknown> | undefined;
  need: Need;
  /** Its operations are not known yet. What is behind it in its space waits for it: writes keep their order. */
  preparing: boolean;
  /** What the caller gets; `countThere`: the number of keys and ids that were there. */
  answer: unknown;
  readonly resolve: (answer: never) => void;
  readonly reject: (error: unknown) => void;
}

/** The writes of one commit to one space. */
export interface SpaceGroup {
  readonly resident: ResidentSpace;
  waiting: Waiting[];
  /** Of their record in the log. */
  bytes: number;
}

/** A write that took its place before it was known. */
export interface PreparedWrite {
  readonly operations?: Uint8Array;
  readonly decide?: Decide<unknown>;
  readonly need: Need;
}

/** In the order in which each space comes first. */
export function bySpace(waiting: Waiting[]): SpaceGroup[] {
  const [first] = waiting;
  if (first === undefined) return [];
  const { resident } = first;
  if (waiting.every((each) => each.resident === resident)) return [{ resident, waiting, bytes: 0 }];
  const groups = Map.groupBy(waiting, (each) => each.resident);
  return Array.from(groups, ([one, its]) => ({ resident: one, waiting: its, bytes: 0 }));
}

/** The writes that can be made, decided, if all they need is in memory. */
export function readyNow(resident: ResidentSpace, waiting: Waiting[]): Waiting[] | undefined {
  try {
    const decided = decideInOrder(resident, waiting);
    if (!resident.blocks?.someAbsent) return decided;
    for (const { operations } of decided)
      for (const operation of operationsIn(operations)) resident.space.ready(operation);
    return decided;
  } catch (error) {
    if (error instanceof AbsentBlocks) return undefined;
    throw error;
  }
}

/** What of a group that found no room only removes: for that alone there is room kept, so it is tried once more by itself. */
export function removalsAmong(group: readonly Waiting[], error: unknown): ReadonlySet<Waiting> {
  if (!isShibuDbError(error) || error.code !== 'QUOTA_EXCEEDED') return new Set();
  const removals = new Set(group.filter(isRemoval));
  return removals.size < group.length ? removals : new Set();
}

export function isRemoval({ operations }: Waiting): boolean {
  // The first one tells of nearly all others.
  if (operations.length === 0 || !removalKinds.has(operations[0] as number)) return false;
  for (const { kind } of operationsIn(operations)) if (!removalKinds.has(kind)) return false;
  return true;
}

/** Lets the first of a group be made. What cannot be is refused and left out. */
export function composed(taken: Waiting[]): Waiting[] {
  const first = taken[0];
  if (first?.compose === undefined) return taken;
  try {
    // One whose memory failed is refused later, with the others.
    if (!first.resident.broken) Object.assign(first, first.compose());
    return taken;
  } catch (error) {
    first.reject(error);
    return taken.slice(1);
  }
}

/** Decides what is conditional, each with all before it counted in. What cannot be is refused and left out. */
export function decideInOrder(resident: ResidentSpace, waiting: Waiting[]): Waiting[] {
  if (waiting.every(({ decide }) => decide === undefined)) return waiting;
  const keys = new keyValuePart.loaded.PendingKeys(resident.keyValue);
  return waiting.filter((each) => {
    try {
      if (each.decide !== undefined) {
        const { operations, answer } = each.decide(keys);
        each.operations = operations;
        each.answer = answer;
      }
      keys.note(each.operations);
      return true;
    } catch (error) {
      if (error instanceof AbsentBlocks) throw error;
      each.reject(error);
      return false;
    }
  });
}

export function sumOf(waiting: readonly Waiting[]): Need {
  const [only] = waiting;
  // No operation is larger than all of them.
  if (waiting.length === 1 && only !== undefined) {
    const { need, operations } = only;
    if (operations.length <= need.bytes && need.bytes <= smallBytes) return need;
  }
  let count = 0;
  let bytes = 0;
  let largest = 0;
  let deadlines = false;
  let removals = 0;
  let updates = 0;
  let values = 0;
  let metadataBytes = 0;
  for (const { need, operations } of waiting) {
    count += need.count;
    bytes += need.bytes;
    // Undecided ones have no bytes yet: what they need bounds them. Many small ones in a row are looked at one by one.
    if (operations.length === 0) largest = Math.max(largest, need.bytes);
    else if (operations.length > largest) largest = Math.max(largest, largestOperation(operations));
    deadlines ||= need.deadlines === true;
    removals += need.removals ?? 0;
    updates += need.metadata?.updates ?? 0;
    values += need.metadata?.values ?? 0;
    metadataBytes += need.metadata?.bytes ?? 0;
  }
  const metadata = { updates, values, bytes: metadataBytes };
  return { count, bytes, largest, deadlines, removals, metadata };
}
