/** What the engine is given from outside, and the numbers it works by. */

import type { PasswordCost, Scrypt } from '../base/password.ts';
import type { MemoryBudget } from '../kernel/memory-budget.ts';
import type { Cores } from '../kernel/module.ts';
import type { StorageBackend } from '../storage/backend.ts';
import type { Secret } from '../storage/encryption/key-record.ts';
import type { BlockBudget } from './block-budget.ts';
import type { Threads } from './helper.ts';

export interface Environment {
  readonly name: string;
  readonly cores: Cores;
  readonly backend: StorageBackend;
  /** Monotonic milliseconds. */
  readonly now: () => number;
  /** Milliseconds since 1970: what deadlines are measured by. Default `Date.now`. */
  readonly wallClock?: () => number;
  /** Default: one in JavaScript. Runtimes that have it natively pass theirs. */
  readonly scrypt?: Scrypt;
  readonly settings: Settings;
  /** Opens an encrypted database, and makes a new one encrypted. Default: what is stored is plain. */
  readonly encryption?: Secret | undefined;
  /** Workers for bulk linking and large batches. Default: this thread does everything. */
  readonly threads?: Threads | undefined;
  /** What the spaces of this database, and perhaps of others in the same isolate, may hold together. Default: no bound. */
  readonly memory?: MemoryBudget;
  /** Bytes of memory beyond which clean blocks make room for others (block-budget.ts). Default: 1 GiB. */
  readonly memoryBudgetBytes?: number;
  /** Made of it by the engine. */
  readonly blockBudget?: BlockBudget;
  /** What to do about a damaged space. Default `fail`. */
  readonly onCorruption?: 'fail' | 'salvage';
}

export interface Settings {
  /** A space is checkpointed when its log has grown by so many bytes. */
  readonly checkpointLogBytes: number;
  /** … or when nothing was written for so long and there is something worth keeping. */
  readonly checkpointIdleMs: number;
  /** Upper bound of the operations' bytes in one group commit. */
  readonly groupBytesMax: number;
  /** … and of their number: memory is promised to all of them before the group is written. */
  readonly groupOperationsMax: number;
  /** A slice of background work: no call waits longer for it. */
  readonly sliceMs: number;
  /** So many vectors have to wait to be linked before threads do it, and this share of those that are there. */
  readonly threadedLinksMin: number;
  readonly threadedShareMin: number;
  /** How many times what copying a space costs threads have to save of a batch of queries. */
  readonly threadedBatchGainMin: number;
  /** A helper that has done nothing for so long is lost; one that has not begun yet gets six times as long to load. */
  readonly helperStallMs: number;
  /** Vectors linked in the background until somebody calls `wake`: where the runtime bounds the work of one event. */
  readonly linksPerWakeMax: number;
  /** Whether idle checkpoints and sweeps come by timers. Without, somebody calls `tend` when `tendAtMs` says so. */
  readonly backgroundTimers: boolean;
  /** Expired entries are removed not sooner than so long after their time, and looked for not later. */
  readonly sweepMsMin: number;
  readonly sweepMsMax: number;
  /** Spaces kept in memory; idle ones beyond it are checkpointed and let go, least recently used first. */
  readonly residentSpacesMax: number;
  /** A space is compacted when so much of the room it ever took is free again (0 to 1) … */
  readonly compactSlackMin: number;
  /** … if it has at least so many blocks; and not again for so long. */
  readonly compactBlocksMin: number;
  readonly compactPauseMs: number;
  /** What an open scan may hold to stay a stable snapshot while others write. */
  readonly snapshotBytesMax: number;
  /** Clean blocks of originals that stay in memory between calls where they are kept in storage. */
  readonly originalBlocksKept: number;
  /** Frames a space may have whatever the others take of the memory budget: with less, little would work. */
  readonly blockFramesLeast: number;
  /** What hashing a new password costs. Stored ones keep the cost they were made with. */
  readonly passwordCost: PasswordCost;
  /** How long a session token is good for, in milliseconds. */
  readonly sessionTokenMs: number;
}

export const defaultSettings: Settings = {
  checkpointLogBytes: 32 * 1024 * 1024,
  checkpointIdleMs: 1500,
  groupBytesMax: 16 * 1024 * 1024,
  groupOperationsMax: 4096,
  sliceMs: 8,
  threadedLinksMin: 4096,
  // Copying a vector costs a fiftieth of linking it.
  threadedShareMin: 1 / 16,
  threadedBatchGainMin: 4,
  helperStallMs: 5000,
  linksPerWakeMax: Number.POSITIVE_INFINITY,
  backgroundTimers: true,
  sweepMsMin: 500,
  sweepMsMax: 60_000,
  residentSpacesMax: 16,
  compactSlackMin: 0.5,
  compactBlocksMin: 16,
  compactPauseMs: 30_000,
  snapshotBytesMax: 16 * 1024 * 1024,
  originalBlocksKept: 8,
  blockFramesLeast: 16,
  // One of OWASP's equivalent minimums: 32 MiB, 0.2 s native and 0.3 s in JavaScript on one core.
  passwordCost: { N: 2 ** 15, r: 8, p: 3 },
  sessionTokenMs: 7 * 24 * 3_600_000,
};
