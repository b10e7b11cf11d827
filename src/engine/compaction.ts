/**
 * Making a space small again. WASM memory never shrinks and blocks are not moved within an image, so what is left is copied into a fresh
 * instance, which then takes the old one's place.
 *
 * Others go on reading and writing meanwhile. The copy follows the order of keys or ids; every operation that is applied to the
 * old image is applied to the new one too. So for each key what counts last is the same in both: before the reader gets there the copy
 * overwrites, behind it the operations do.
 *
 * Nothing of it is stored until the next checkpoint, which writes the new image whole and drops all blocks of the old one:
 * stopped anywhere before, the former manifest and its log still give the same data.
 */

import { AbsentBlocks, type CoreInstance } from '../kernel/instance.ts';
import { encodePut, type OperationView, operationsIn } from '../space/operation.ts';
import type { Space } from '../space/space.ts';
import { ContentsReader } from './contents-reader.ts';
import { makeSpace, type ResidentSpace } from './resident-space.ts';
import type { Environment } from './settings.ts';
import { freshInstance } from './space-image.ts';

/** Small, so that a slice ends in time. */
const stepSize = { bytes: 256 * 1024, items: 64 };
const linksPerStep = 4;
/** So few vectors may be left to link when the new image takes over: under constant writing there are always some. */
const pendingMax = 64;

export class Compaction {
  readonly space: Space;
  readonly #resident: ResidentSpace;
  readonly #reader: ContentsReader;
  readonly #instance: CoreInstance;
  #copied = false;
  #failed = false;
  #over = false;

  /** @throws OUT_OF_MEMORY */
  constructor(environment: Environment, resident: ResidentSpace) {
    const { entry } = resident;
    this.#resident = resident;
    this.#reader = new ContentsReader(entry, stepSize);
    this.#instance = freshInstance(environment, resident.space.instance.core);
    try {
      this.space = makeSpace(entry, this.#instance, environment.wallClock);
      this.space.create();
    } catch (error) {
      this.#instance.release();
      throw error;
    }
  }

  /** It cannot be finished: the new image lacks something. The old one is not touched by that. */
  get failed(): boolean {
    return this.#failed;
  }

  /** The old image has become something else than what is copied. */
  giveUp(): void {
    this.#failed = true;
  }

  /** What was just applied to the old image. */
  follow(operation: OperationView): void {
    if (!this.#failed) this.#try(() => this.space.apply(operation));
  }

  /**
   * Works until `late` says so; true when the new image is as good as the old one.
   *
   * @throws AbsentBlocks when what it copies is not in memory: to be called again when it is
   */
  slice(late: () => boolean): boolean {
    while (!this.#failed && !late()) {
      if (this.#copied && this.space.pending() <= pendingMax) return true;
      this.#try(() => (this.#copied ? this.space.maintain(linksPerStep) : this.#copyStep()));
    }
    return false;
  }

  #copyStep(): void {
    const step = this.#reader.next(this.#resident);
    this.#copied = step === undefined;
    if (step === undefined) return;
    // A large value stays where it is stored: what is copied is the reference.
    const operations = step.puts.map(({ key, value, deadlineMs }) => encodePut(key, value, deadlineMs));
    if (step.insert !== undefined) operations.push(step.insert);
    for (const bytes of operations) for (const operation of operationsIn(bytes)) this.space.apply(operation);
  }

  /** No memory for a second image, most likely. */
  #try(work: () => void): void {
    try {
      work();
    } catch (error) {
      if (error instanceof AbsentBlocks) throw error;
      this.#failed = true;
    }
  }

  /** Gives its memory back, unless it has taken over. */
  end(tookOver: boolean): void {
    if (!this.#over && !tookOver) this.#instance.release();
    this.#over = true;
  }
}
