/**
 * What a database should hold, as plain maps: for every space the operations submitted, in order, and what became of each.
 *
 * A space may come back from a crash as any prefix of its operations that contains all that was promised, and as nothing
 * else. Operations that failed without a crash have no effect and leave the history.
 */

import assert from 'node:assert/strict';
import type { Durability } from '../../src/api/database.ts';

export type Contents = Map<string, string>;

/**
 * `failed`: nothing of it is stored. `refused`: storage failed and the process went on: it is not stored, unless nothing was
 * written after it any more (a flush that failed). `unknown`: the process was stopped. `survived`: found after a crash, though
 * nobody had promised it.
 */
export type Outcome = 'open' | 'acknowledged' | 'failed' | 'refused' | 'unknown' | 'survived';

export interface Operation {
  readonly apply: (contents: Contents) => void;
  /** Whether it may be left out by what comes behind it: where there was no room, removals are tried again alone. */
  readonly mayBeOvertaken: () => boolean;
  /** Whether it may have been refused without a word, because the process ended before: the storage failed in its life. */
  readonly mayBeRefused: () => boolean;
  /** Not found at a former opening. */
  wasMissing: boolean;
  outcome: Outcome;
}

export interface SpaceSpec {
  readonly engine: 'key-value' | 'vector';
  readonly durability: Durability;
  readonly indexType?: 'Flat' | 'HNSW4' | 'SQ8' | 'HNSW4,SQ8';
  readonly ids?: 'int' | 'string';
  readonly originals?: 'storage';
}

/** What happened since the model last agreed: nothing yet, closing in peace, or a crash. */
export type Crash = 'none' | 'closed' | 'process' | 'power';

export class SpaceModel {
  readonly spec: SpaceSpec;
  #base: Contents = new Map();
  #history: Operation[] = [];

  constructor(spec: SpaceSpec) {
    this.spec = spec;
  }

  submit(
    apply: Operation['apply'],
    mayBeOvertaken: Operation['mayBeOvertaken'],
    mayBeRefused: Operation['mayBeRefused'],
  ): Operation {
    const operation: Operation = { apply, mayBeOvertaken, mayBeRefused, wasMissing: false, outcome: 'open' };
    this.#history.push(operation);
    return operation;
  }

  /** What became of a call. One that was open when its database was taken over was judged by what was found then. */
  settle(operation: Operation, outcome: Outcome): void {
    if (operation.outcome !== 'open') {
      assert.ok(
        operation.outcome !== 'failed' || outcome !== 'acknowledged',
        'an operation was acknowledged that the next owner did not find',
      );
      return;
    }
    operation.outcome = outcome;
    if (outcome !== 'acknowledged') return;
    // The engine went on without them: were one of them stored, this one could not have been.
    for (const earlier of this.#history.slice(0, this.#history.indexOf(operation)))
      if (earlier.outcome === 'refused') earlier.outcome = 'failed';
  }

  /** What an open database shows when no call is under way. */
  contents(): Contents {
    const state = new Map(this.#base);
    for (const { apply, outcome } of this.#history)
      if (outcome === 'acknowledged' || outcome === 'survived') apply(state);
    return state;
  }

  /** Whether `found` is a state this space may come back in; goes on from there if it is. */
  agrees(found: Contents, crash: Crash): boolean {
    if (crash === 'none') return sameContents(this.contents(), found);
    const stored = this.#history.filter(({ outcome }) => outcome !== 'failed');
    const inRoom = stored.filter(({ outcome, mayBeOvertaken }) => outcome !== 'unknown' || !mayBeOvertaken());
    // Either nothing is there of what was refused, or it is the last that was written.
    const accepted = stored.filter(({ outcome }) => outcome !== 'refused');
    // What an earlier opening did not find stays away, and the last that was written is of this life.
    const ofThisLife = stored.filter(({ wasMissing }) => !wasMissing);
    for (const history of [accepted, stored, inRoom, ofThisLife, ...withoutOneGroup(accepted)]) {
      const survived = this.#longestPrefix(history, found, crash);
      if (survived === undefined) continue;
      this.#goOnFrom(survived, found, crash);
      return true;
    }
    return false;
  }

  #longestPrefix(history: readonly Operation[], found: Contents, crash: Crash): Operation[] | undefined {
    const least = this.#promised(history, crash);
    const state = new Map(this.#base);
    let matching = -1;
    for (let i = 0; i <= history.length; i++) {
      // If it is one too many, that one made no difference.
      if (i >= least && sameContents(state, found)) matching = i;
      history[i]?.apply(state);
    }
    return matching < 0 ? undefined : history.slice(0, matching);
  }

  #goOnFrom(survived: Operation[], found: Contents, crash: Crash): void {
    for (const operation of this.#history) {
      const { outcome } = operation;
      if (survived.includes(operation)) operation.outcome = outcome === 'acknowledged' ? outcome : 'survived';
      // What took it away may itself be lost with the power, as long as nothing was promised on top of it.
      else operation.outcome = outcome === 'unknown' || outcome === 'refused' ? 'refused' : 'failed';
      operation.wasMissing = operation.outcome === 'refused';
    }
    this.#history = this.#history.filter(({ outcome }) => outcome !== 'failed');
    // What a power loss left is on the platter, and closing has flushed. What only outlived its process may still go.
    if (crash === 'power' || crash === 'closed') {
      this.#base = found;
      this.#history = [];
    }
  }

  /** How many operations, from the first, were promised to survive. */
  #promised(history: readonly Operation[], crash: Crash): number {
    const { durability } = this.spec;
    const last = history.findLastIndex(({ outcome }) => outcome === 'acknowledged') + 1;
    if (crash === 'closed') return last;
    if (durability === 'none' || (crash === 'power' && durability !== 'strict')) return 0;
    return last;
  }
}

/** One group of them was refused together, and what came behind it was stored before anybody heard of that. */
function* withoutOneGroup(history: readonly Operation[]): Generator<Operation[]> {
  for (let from = 0; from < history.length; from++)
    for (let to = from; to < history.length; to++) {
      const last = history[to] as Operation;
      if (last.outcome !== 'unknown' || !last.mayBeRefused()) break;
      yield [...history.slice(0, from), ...history.slice(to + 1)];
    }
}

export function sameContents(a: Contents, b: Contents): boolean {
  if (a.size !== b.size) return false;
  for (const [key, value] of a) if (b.get(key) !== value) return false;
  return true;
}
