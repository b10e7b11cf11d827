/**
 * What a key-value space will hold once the operations that wait before one's own are applied: what conditional writes
 * (`increment`, `putIf`) are decided against. The log then holds their outcome, not their condition.
 */

import type { Value } from '../api/database.ts';
import { readUtf8 } from '../base/text.ts';
import { type KeyValueSpace, toValue } from './key-value-space.ts';
import { dataView, OperationKind, operationsIn } from './operation.ts';

export class PendingKeys {
  readonly #space: KeyValueSpace;
  readonly #pending: Map<string, Value | undefined> = new Map();

  constructor(space: KeyValueSpace) {
    this.#space = space;
  }

  get(key: string): Value | undefined {
    return this.#pending.has(key) ? this.#pending.get(key) : this.#space.get(key);
  }

  /** Counts operations in that will be applied before whatever is asked next. */
  note(operations: Uint8Array): void {
    for (const { kind, flags, body } of operationsIn(operations)) {
      const view = dataView(body);
      const keyLength = view.getUint32(0, true);
      if (kind === OperationKind.Put) {
        const value = toValue(body, 8 + keyLength, view.getUint32(4, true), flags);
        this.#pending.set(readUtf8(body, 8, keyLength), value);
      } else {
        this.#pending.set(readUtf8(body, 4, keyLength), undefined);
      }
    }
  }
}
