/**
 * What a key-value space will hold once the operations that wait before one's own are applied: what conditional writes
 * (`increment`, `putIf`) are decided against. The log then holds their outcome, not their condition.
 */

import { readUtf8 } from '../base/text.ts';
import { type KeyValueSpace, readStored, type StoredValue } from './key-value-space.ts';
import { dataView, OperationKind, operationsIn, type StoredForm } from './operation.ts';

export class PendingKeys {
  readonly #space: KeyValueSpace;
  readonly #pending: Map<string, StoredValue | undefined> = new Map();

  constructor(space: KeyValueSpace) {
    this.#space = space;
  }

  get(key: string): StoredForm | undefined {
    return this.getStored(key)?.value;
  }

  /** The value with its deadline; `undefined` when there is none or it has expired. */
  getStored(key: string): StoredValue | undefined {
    if (!this.#pending.has(key)) return this.#space.getStored(key);
    const stored = this.#pending.get(key);
    return stored?.deadlineMs !== undefined && stored.deadlineMs <= this.now ? undefined : stored;
  }

  /** The wall clock, in milliseconds. */
  get now(): number {
    return this.#space.now;
  }

  /** Counts operations in that will be applied before whatever is asked next. */
  note(operations: Uint8Array): void {
    for (const { kind, flags, body } of operationsIn(operations)) {
      const view = dataView(body);
      const keyLength = view.getUint32(0, true);
      if (kind === OperationKind.Put) {
        const value = readStored(body, 8 + keyLength, view.getUint32(4, true), flags);
        this.#pending.set(readUtf8(body, 8, keyLength), value);
      } else {
        this.#pending.set(readUtf8(body, 4, keyLength), undefined);
      }
    }
  }
}
