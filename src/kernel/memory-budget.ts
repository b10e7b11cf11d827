/**
 * A number of bytes that several instances of the core share, so that together they stay within what the runtime grants all
 * of them. Before an instance may grow it is told how far it may, given what the others hold now; beyond, the core answers as
 * it does when memory is out: the call is refused with `OUT_OF_MEMORY` and nothing was changed.
 *
 * Before that, whoever has instances that nobody is using lets them go, the longest unused first. It happens within one turn and
 * touches memory alone: the instances may be another Durable Object's, on whose storage nobody else may work.
 */

import { shibuDbError } from '../api/errors.ts';

export const wasmPageBytes = 65536;

/** What the budget knows of an instance. */
export interface Holder {
  readonly memoryBytes: number;
  limitMemory(pages: number): void;
}

/** An instance that can be let go at once, since everything in it is stored. */
export interface IdleHolder {
  readonly holder: Holder;
  readonly usedAtMs: number;
  letGo(): void;
}

/** Who has instances. */
export interface MemoryUser {
  /** Those that nobody is using at this moment. */
  idleHolders(): Iterable<IdleHolder>;
}

export class MemoryBudget {
  readonly bytesMax: number;
  readonly #holders: Set<Holder> = new Set();
  readonly #users: Set<MemoryUser> = new Set();

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
    while (this.bytes + holder.memoryBytes > this.bytesMax && this.makeRoom(holder, 0));
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

  join(user: MemoryUser): void {
    this.#users.add(user);
  }

  part(user: MemoryUser): void {
    this.#users.delete(user);
  }

  /**
   * Lets the instance go that was unused for longest, for one that wants `bytes` more. False when there is none, or when all of
   * them would not help.
   */
  makeRoom(wanting: Holder, bytes: number): boolean {
    if (wanting.memoryBytes + bytes > this.bytesMax) return false;
    let longest: IdleHolder | undefined;
    for (const user of this.#users)
      for (const idle of user.idleHolders())
        if (idle.holder !== wanting && (longest === undefined || idle.usedAtMs < longest.usedAtMs))
          longest = idle;
    longest?.letGo();
    return longest !== undefined;
  }

  /** Lets an instance grow by what is left. */
  lend(holder: Holder): void {
    const left = Math.max(0, this.bytesMax - this.bytes);
    holder.limitMemory(Math.floor((holder.memoryBytes + left) / wasmPageBytes));
  }
}
