/**
 * Whether the history of one key could have been made by a single copy of it, one call after another.
 *
 * A history is linearizable when every call can be given one instant between its begin and its end such that, taken in that
 * order, each returned what it had to (Herlihy & Wing, TOPLAS 1990). This looks for such an order depth first, forgetting no
 * pair of (calls taken, value) that it has met (Wing & Gong, JPDC 1993; Lowe, 2017). A call whose outcome is unknown may be
 * taken at any time after its begin, or never.
 */

/** What was asked of the key. A value is a string, `undefined` where there is none. */
export type Action =
  | { readonly kind: 'get' }
  | { readonly kind: 'put'; readonly value: string }
  | { readonly kind: 'delete' }
  | { readonly kind: 'putIf'; readonly value: string; readonly expected: string | undefined }
  | { readonly kind: 'increment' };

export type Result = string | number | boolean | undefined;

export interface Operation {
  readonly action: Action;
  /** By one clock for all: the call was made after `beginMs` and answered before `endMs`. */
  readonly beginMs: number;
  /** `undefined`: nobody knows whether it took effect, or when. */
  readonly endMs: number | undefined;
  readonly result: Result;
}

/** `undefined` when there is an order; else the operations after which none goes on, at the furthest that any came. */
export function nonLinearizable(history: readonly Operation[]): readonly Operation[] | undefined {
  // What nobody knows the answer of and changes nothing says nothing.
  const telling = history.filter(({ action, endMs }) => endMs !== undefined || action.kind !== 'get');
  return new Search(telling.sort((a, b) => a.beginMs - b.beginMs)).run();
}

/** A point on the way: what was taken last, what the key holds then, and what may come next. */
interface Step {
  /** All that was taken to come here: one operation that changes the key, then every read that fits. */
  readonly taken: readonly number[];
  readonly value: string | undefined;
  readonly candidates: readonly number[];
  /** How many of the candidates were tried. */
  tried: number;
}

class Search {
  readonly #operations: readonly Operation[];
  readonly #isTaken: Uint8Array;
  readonly #met: Set<string> = new Set();
  /** How many with a known outcome have to be taken. */
  #left: number;
  /** Everything before it is taken. */
  #first = 0;
  /** Of what is not taken: who read this value, and who writes it. */
  readonly #readers: Counter = new Counter();
  readonly #writers: Counter = new Counter();
  /** An increment may make any value. */
  readonly #hasIncrements: boolean;
  #fewestLeft: number = Number.POSITIVE_INFINITY;
  #stuck: readonly Operation[] = [];

  constructor(operations: readonly Operation[]) {
    this.#operations = operations;
    this.#isTaken = new Uint8Array(operations.length);
    this.#left = operations.filter(({ endMs }) => endMs !== undefined).length;
    this.#hasIncrements = operations.some(({ action }) => action.kind === 'increment');
    for (const operation of operations) this.#count(operation, 1);
  }

  /** With a stack of its own: a history is deeper than JavaScript's. */
  run(): readonly Operation[] | undefined {
    const path: Step[] = [this.#step([], undefined)];
    for (let top = path.at(-1); top !== undefined; top = path.at(-1)) {
      if (this.#left === 0) return undefined;
      const index = top.candidates[top.tried++];
      if (index === undefined) {
        for (const taken of top.taken) this.#mark(taken, 0);
        path.pop();
        continue;
      }
      const applied = apply(this.#operations[index] as Operation, top.value);
      if (applied === undefined || this.#isLost(top.value, applied.value)) continue;
      this.#mark(index, 1);
      path.push(this.#step([index], applied.value));
    }
    return this.#stuck;
  }

  #step(taken: number[], value: string | undefined): Step {
    // Reads that fit change nothing: taken now or later, what can follow is the same or less.
    let candidates = this.#candidates();
    for (let found = true; found; ) {
      const fitting = candidates.filter((i) => this.#fits(i, value));
      for (const index of fitting) {
        this.#mark(index, 1);
        taken.push(index);
      }
      found = fitting.length > 0;
      if (found) candidates = this.#candidates();
    }
    if (this.#left < this.#fewestLeft) {
      this.#fewestLeft = this.#left;
      this.#stuck = candidates.map((i) => this.#operations[i] as Operation);
    }
    return { taken, value, candidates: this.#isNew(value) ? candidates : [], tried: 0 };
  }

  #fits(index: number, value: string | undefined): boolean {
    const { action, result } = this.#operations[index] as Operation;
    return action.kind === 'get' && result === value;
  }

  /** Whether somebody is yet to read `value`, which is about to go and which nobody writes again. */
  #isLost(value: string | undefined, next: string | undefined): boolean {
    if (value === next || value === undefined || this.#hasIncrements) return false;
    return this.#readers.of(value) > 0 && this.#writers.of(value) === 0;
  }

  /** Whoever began before every call that is not taken yet has ended. Known outcomes first: most unknown ones never happened. */
  #candidates(): number[] {
    const known: number[] = [];
    const unknown: number[] = [];
    let earliestEndMs = Number.POSITIVE_INFINITY;
    for (let i = this.#first; i < this.#operations.length; i++) {
      const { beginMs, endMs } = this.#operations[i] as Operation;
      if (beginMs > earliestEndMs) break;
      if (this.#isTaken[i]) continue;
      (endMs === undefined ? unknown : known).push(i);
      earliestEndMs = Math.min(earliestEndMs, endMs ?? Number.POSITIVE_INFINITY);
    }
    return [...known, ...unknown];
  }

  #mark(index: number, taken: 0 | 1): void {
    const operation = this.#operations[index] as Operation;
    this.#isTaken[index] = taken;
    if (operation.endMs !== undefined) this.#left += taken === 1 ? -1 : 1;
    this.#count(operation, taken === 1 ? -1 : 1);
    if (taken === 0) this.#first = Math.min(this.#first, index);
    else while (this.#isTaken[this.#first]) this.#first++;
  }

  #count({ action, result }: Operation, by: number): void {
    if (action.kind === 'get' && typeof result === 'string') this.#readers.add(result, by);
    if (action.kind === 'put' || action.kind === 'putIf') this.#writers.add(action.value, by);
  }

  /** Whether this is the first time that just these are taken and leave this value. */
  #isNew(value: string | undefined): boolean {
    let last = this.#isTaken.length;
    while (last > this.#first && !this.#isTaken[last - 1]) last--;
    const key = `${this.#first}:${this.#isTaken.subarray(this.#first, last).join('')}:${value}:${typeof value}`;
    if (this.#met.has(key)) return false;
    this.#met.add(key);
    return true;
  }
}

class Counter {
  readonly #counts: Map<string, number> = new Map();

  of(value: string): number {
    return this.#counts.get(value) ?? 0;
  }

  add(value: string, by: number): void {
    this.#counts.set(value, this.of(value) + by);
  }
}

/** What the key holds afterwards; `undefined` when the operation cannot have returned what it did. */
function apply(
  { action, result, endMs }: Operation,
  value: string | undefined,
): { value: string | undefined } | undefined {
  const isKnown = endMs !== undefined;
  switch (action.kind) {
    case 'get':
      return !isKnown || result === value ? { value } : undefined;
    case 'put':
      return { value: action.value };
    case 'delete':
      return !isKnown || result === (value !== undefined) ? { value: undefined } : undefined;
    case 'putIf': {
      const fits = value === action.expected;
      if (isKnown && result !== fits) return undefined;
      return { value: fits ? action.value : value };
    }
    case 'increment': {
      const sum = Number(value ?? '0') + 1;
      return !isKnown || result === sum ? { value: String(sum) } : undefined;
    }
  }
}
