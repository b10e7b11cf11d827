/** When a space is checkpointed: on demand, when its log is long, and when it is idle; and what must not run beside it. */

import type { Checksum } from '../storage/envelope.ts';
import { BlockBuffers, checkpointSpace } from './checkpoint.ts';
import type { EventHub } from './event-hub.ts';
import { blockBytes, type ResidentSpace } from './resident-space.ts';
import type { Environment } from './settings.ts';

/** Links are cheap to make again: only many of them are worth a checkpoint of their own. */
export function isWorthStoring({
  droppableBytes,
  unsavedLinks,
  changes,
  durability,
}: ResidentSpace): boolean {
  return droppableBytes > 2 * blockBytes || unsavedLinks > 1000 || (durability === 'none' && changes > 0);
}

/** A log may become so many times `checkpointLogBytes` long. */
const longestLog = 4;

export interface CheckpointHooks {
  /** Whether the database is being closed: no timer is started any more. */
  readonly closing: () => boolean;
  /** A new manifest of the space counts. */
  readonly published: (resident: ResidentSpace) => void;
}

export class Checkpoints {
  readonly #environment: Environment;
  readonly #checksum: Checksum;
  readonly #events: EventHub;
  readonly #hooks: CheckpointHooks;
  readonly #buffers: BlockBuffers = new BlockBuffers();
  /** What publishes or reads manifests of a space, by its number: one at a time. */
  readonly #running: Map<number, Promise<unknown>> = new Map();
  readonly #idleTimers: Map<number, ReturnType<typeof setTimeout>> = new Map();

  constructor(environment: Environment, checksum: Checksum, events: EventHub, hooks: CheckpointHooks) {
    this.#environment = environment;
    this.#checksum = checksum;
    this.#events = events;
    this.#hooks = hooks;
  }

  isRunning(id: number): boolean {
    return this.#running.has(id);
  }

  /** Resolves when none of the space runs. By the time the caller goes on one may have begun: see `exclusively`. */
  async none(id: number): Promise<void> {
    while (this.#running.has(id)) await this.#running.get(id)?.catch(() => {});
  }

  /** Resolves when the one under way, if any, has ended. */
  async current(id: number): Promise<void> {
    await this.#running.get(id)?.catch(() => {});
  }

  /**
   * Whatever publishes manifests of a space, or must not meet a checkpoint, goes one at a time; the part of `work` before its
   * first await runs in the turn in which nothing else was seen to run.
   */
  async exclusively<Result>(id: number, work: () => Promise<Result>): Promise<Result> {
    do await this.#running.get(id)?.catch(() => {});
    while (this.#running.has(id));
    const running = work().finally(() => this.#running.delete(id));
    this.#running.set(id, running);
    return running;
  }

  /** Stores what changed since the last checkpoint of a space; joins one that has not begun to freeze yet. */
  async checkpoint(resident: ResidentSpace): Promise<void> {
    return this.exclusively(resident.entry.id, async () => {
      // The log record that is half applied would be dropped as a whole.
      while (resident.settling !== undefined) await resident.settling;
      if (!resident.broken && resident.readOnly === undefined && !resident.stored) await this.now(resident);
    }).catch((error: unknown) => {
      // Where storage is full no write comes before this has made room: it must not wait for one.
      if (resident.isNewImage) this.whenIdle(resident);
      throw error;
    });
  }

  /** Only inside `exclusively`. */
  async now(resident: ResidentSpace): Promise<void> {
    // While linking goes on, the graph's blocks change everywhere: they are stored when it is done, or when half of all
    // links are new, so that a crash never costs more than as much again.
    const linked = resident.space.count() - resident.space.pending();
    const withDerived =
      resident.isNewImage ||
      resident.indexChanged ||
      resident.space.pending() === 0 ||
      resident.unsavedLinks * 2 > linked;
    const startedMs = this.#environment.now();
    await checkpointSpace(this.#environment, resident, withDerived, this.#buffers, this.#checksum);
    this.#hooks.published(resident);
    this.#events.checkpointed(resident, this.#environment.now() - startedMs);
  }

  /** One nobody waits for: if it fails, the log still has everything, and the next write tries again. */
  quietly(resident: ResidentSpace): void {
    if (!this.#running.has(resident.entry.id)) this.checkpoint(resident).catch(() => {});
  }

  /** After a write: soon when the log is long, else when nothing more comes for a while. */
  consider(resident: ResidentSpace): void {
    const long = resident.droppableBytes >= this.#logBytesMost(resident);
    if (long || resident.blocks?.tooDirty) this.quietly(resident);
    else this.whenIdle(resident);
  }

  /**
   * How long a log may be. Puts of keys from all over change every block of their space, so that the larger it is the more is
   * written for each; there the log may have half the image's size, but no more than opening the space can well do again.
   */
  #logBytesMost({ entry, space }: ResidentSpace): number {
    const { checkpointLogBytes } = this.#environment.settings;
    if (entry.engine !== 'key-value') return checkpointLogBytes;
    const half = (space.instance.exports.arena_frames_in_use() * blockBytes) / 2;
    return Math.max(checkpointLogBytes, Math.min(half, checkpointLogBytes * longestLog));
  }

  /** Before a write: a promise while too much has changed again since the checkpoint under way began. */
  pressure(resident: ResidentSpace): Promise<void> | undefined {
    const { id } = resident.entry;
    return this.#running.has(id) && resident.blocks?.tooDirty ? this.current(id) : undefined;
  }

  whenIdle(resident: ResidentSpace): void {
    const { checkpointIdleMs, backgroundTimers } = this.#environment.settings;
    resident.idleFromMs = this.#environment.now();
    if (this.#idleTimers.has(resident.entry.id) || this.#hooks.closing() || !backgroundTimers) return;
    this.#wait(resident, checkpointIdleMs);
  }

  /** One timer however many writes: it goes on waiting if there were some meanwhile. */
  #wait(resident: ResidentSpace, waitMs: number): void {
    const { id } = resident.entry;
    const timer = setTimeout(() => {
      const { checkpointIdleMs } = this.#environment.settings;
      const leftMs = resident.idleFromMs + checkpointIdleMs - this.#environment.now();
      if (leftMs > 0) return this.#wait(resident, leftMs);
      this.#idleTimers.delete(id);
      if (isWorthStoring(resident) && resident.space.pending() === 0) this.quietly(resident);
    }, waitMs);
    this.#idleTimers.set(id, timer);
  }

  /** The space leaves memory. */
  forget(id: number): void {
    clearTimeout(this.#idleTimers.get(id));
    this.#idleTimers.delete(id);
  }

  /** No timer fires any more. */
  stop(): void {
    for (const timer of this.#idleTimers.values()) clearTimeout(timer);
  }
}
