/**
 * A number of bytes that several instances of the core share, so that together they stay within what the runtime grants all
 * of them. Before an instance may grow it is told how far it may, given what the others hold now; beyond, the core answers as
 * it does when memory is out: the call is refused with `OUT_OF_MEMORY` and nothing was changed.
 */

import { shibuDbError } from '../api/errors.ts';

export const wasmPageBytes = 65536;

/** What the budget knows of an instance. */
export interface Holder {
  readonly memoryBytes: number;
  limitMemory(pages: number): void;
}

export class MemoryBudget {
  readonly bytesMax: number;
  readonly #holders: Set<Holder> = new Set();

  constructor(bytesMax: number) {
    this.bytesMax = bytesMax;
  }

  /** Bytes all instances hold together. */
  get bytes(): number {
    let sum = 0;
    for (const holder of this.#holders) sum += holder.memoryBytes;
    return sum;
  }

  /** @throws OUT_OF_MEMORY when not even the new instance as it is fits in */
  enter(holder: Holder): void {
    const bytes = this.bytes + holder.memoryBytes;
    if (bytes > this.bytesMax) {
      throw shibuDbError(
        'OUT_OF_MEMORY',
        `Another space needs ${holder.memoryBytes} bytes; ${this.bytes} of the ${this.bytesMax} that all spaces here share are taken`,
        { details: { memoryBytes: this.bytes, memoryBytesMax: this.bytesMax } },
      );
    }
    this.#holders.add(holder);
  }

  leave(holder: Holder): void {
    this.#holders.delete(holder);
  }

  /** Lets an instance grow by what is left. */
  lend(holder: Holder): void {
    const left = Math.max(0, this.bytesMax - this.bytes);
    holder.limitMemory(Math.floor((holder.memoryBytes + left) / wasmPageBytes));
  }
}
