/**
 * What a database should hold, as plain maps: for every space the operations submitted, in order, and what became of each.
 *
 * A space may come back from a crash as any prefix of its operations that contains all that was promised, and as nothing
 * else. Operations that failed without a crash have no effect and leave the history.
 */

import type { Durability } from '../../src/api/database.ts';

export type Contents = Map<string, string>;

export interface Operation {
  apply(contents: Contents): void;
  outcome: 'open' | 'acknowledged' | 'failed';
}

export interface SpaceSpec {
  readonly engine: 'key-value' | 'vector';
  readonly durability: Durability;
  readonly indexType?: 'Flat' | 'HNSW4';
  readonly ids?: 'int' | 'string';
}

/** What happened since the model last agreed: nothing yet, closing in peace, or a crash. */
export type Crash = 'none' | 'closed' | 'process' | 'power';

export class SpaceModel {
  readonly spec: SpaceSpec;
  #base: Contents;
  #history: Operation[] = [];

  constructor(spec: SpaceSpec, base: Contents = new Map()) {
    this.spec = spec;
    this.#base = base;
  }

  submit(apply: Operation['apply']): Operation {
    const operation: Operation = { apply, outcome: 'open' };
    this.#history.push(operation);
    return operation;
  }

  /** The contents when everything that did not fail took effect. */
  contents(): Contents {
    return this.#after(this.#effective().length);
  }

  /** Whether `found` is a state this space may come back in. */
  allows(found: Contents, crash: Crash): boolean {
    const history = this.#effective();
    const calm = crash === 'none' || crash === 'closed';
    const least = calm ? history.length : this.#promised(history, crash);
    const state = this.#after(least);
    for (let i = least; i <= history.length; i++) {
      if (sameContents(state, found)) return true;
      history[i]?.apply(state);
    }
    return false;
  }

  /** Starts again from what was found. */
  settle(found: Contents): void {
    this.#base = found;
    this.#history = [];
  }

  #effective(): Operation[] {
    return this.#history.filter(({ outcome }) => outcome !== 'failed');
  }

  /** How many operations, from the first, were promised to survive. */
  #promised(history: Operation[], crash: Crash): number {
    const { durability } = this.spec;
    if (durability === 'none' || (crash === 'power' && durability !== 'strict')) return 0;
    return history.findLastIndex(({ outcome }) => outcome === 'acknowledged') + 1;
  }

  #after(count: number): Contents {
    const state = new Map(this.#base);
    for (const operation of this.#effective().slice(0, count)) operation.apply(state);
    return state;
  }
}

export function sameContents(a: Contents, b: Contents): boolean {
  if (a.size !== b.size) return false;
  for (const [key, value] of a) if (b.get(key) !== value) return false;
  return true;
}
