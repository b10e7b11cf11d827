/**
 * One instance of the core with its own memory: the typed border to wasm/exports*.cc.
 *
 * Rule for views: memory growth detaches every view, so take a view, use it, drop it; never keep one across a call into
 * the core or across an `await`.
 */

import { shibuDbError } from '../api/errors.ts';
import { assert } from '../base/assert.ts';
import { type MemoryBudget, wasmPageBytes } from './memory-budget.ts';
import type { Core } from './module.ts';
import { Status } from './status.ts';

/** What the core exports. Addresses and counts are u32, statuses i32 (see status.ts). */
export interface CoreExports {
  abi_version(): number;
  block_bytes(): number;
  arena_init(framesMax: number): void;
  memory_limit(pages: number): void;
  scratch(bytes: number): number;
  arena_hold(frames: number): number;
  arena_frames_in_use(): number;
  arena_frames_free(): number;
  arena_segment_blocks(segment: number): number;
  arena_dirty_blocks(groupMask: number): number;
  block_adopt(segment: number, index: number): number;
  block_at(segment: number, index: number): number;
  block_expect(segment: number, index: number): number;
  block_unsaved(segment: number, index: number): void;
  block_drop(segment: number, index: number): number;
  block_pin(segment: number, index: number): number;
  block_unpin(segment: number, index: number): void;
  blocks_evict(segment: number, count: number): number;
  blocks_absent(segment: number): number;
  blocks_missed(out: number): number;
  checkpoint_begin(groupMask: number): number;
  checkpoint_entry(entry: number, out: number): void;
  checkpoint_copied(entry: number): void;
  checkpoint_end(published: number): void;
  checksum64(address: number, count: number): bigint;
  checksum64_more(address: number, count: number): void;
  checksum64_end(address: number, count: number): bigint;

  salvage_begin(segment: number): void;
  salvage_next(out: number): number;
  salvage_value(out: number): number;
  salvage_lost(): number;
  salvage_rows(dimension: number, metric: number): number;
  salvage_row(slot: number): number;

  kv_create(): number;
  kv_open(deep: number): number;
  kv_count(): number;
  kv_pages(out: number): void;
  kv_bytes(): number;
  kv_plan(keyLength: number, valueLength: number): number;
  kv_plan_many(count: number, bytes: number, deadlines: number): number;
  kv_sweep(now: number, most: number): number;
  kv_due(now: number, out: number): number;
  kv_next_deadline(): number;
  kv_ready(key: number, keyLength: number, value: number, valueLength: number, flags: number): number;
  kv_ready_delete(key: number, keyLength: number): number;
  kv_put(key: number, keyLength: number, value: number, valueLength: number, flags: number): number;
  kv_get(key: number, keyLength: number, out: number): number;
  kv_read(key: number, keyLength: number, offset: number, out: number, length: number): number;
  kv_get_columns(
    keys: number,
    keysBytes: number,
    count: number,
    now: number,
    heads: number,
    out: number,
    outBytes: number,
    outUsed: number,
  ): number;
  kv_delete(key: number, keyLength: number): number;
  kv_scan(
    start: number,
    startLength: number,
    startExclusive: number,
    end: number,
    endLength: number,
    hasEnd: number,
    reverse: number,
    limit: number,
    now: number,
    out: number,
    keysRoom: number,
    valuesRoom: number,
  ): number;

  vec_create(config: number): number;
  vec_open(deep: number): number;
  vec_reindex(config: number, anew: number): number;
  vec_plan(count: number, idBytes: number, updates: number, values: number, metadataBytes: number): number;
  vec_plan_removals(count: number): number;
  vec_insert(ids: number, vectors: number, metadataEnds: number, metadata: number, count: number): number;
  vec_insert_strings(
    idEnds: number,
    idBytes: number,
    vectors: number,
    metadataEnds: number,
    metadata: number,
    count: number,
  ): number;
  vec_ready(ids: number, count: number): number;
  vec_ready_strings(idEnds: number, idBytes: number, count: number): number;
  vec_update(id: bigint, patch: number, length: number, replace: number): number;
  vec_update_string(id: number, idLength: number, patch: number, length: number, replace: number): number;
  vec_slot(id: bigint): number;
  vec_slot_string(id: number, length: number): number;
  vec_metadata(slot: number, out: number): number;
  vec_count_where(filter: number, filterLength: number): number;
  vec_delete(id: bigint): number;
  vec_delete_string(id: number, length: number): number;
  vec_get(id: bigint, out: number): number;
  vec_get_string(id: number, length: number, out: number): number;
  vec_version(): number;
  vec_count(): number;
  vec_slots(): number;
  vec_pending(): number;
  vec_trained_on(): number;
  vec_training_needs(): number;
  vec_training_left(): number;
  vec_search(
    query: number,
    k: number,
    ef: number,
    nprobe: number,
    rerank: number,
    filter: number,
    filterLength: number,
    outSlots: number,
    outDistances: number,
    progress: number,
  ): number;
  vec_search_batch(
    queries: number,
    count: number,
    k: number,
    ef: number,
    nprobe: number,
    rerank: number,
    filter: number,
    filterLength: number,
    outSlots: number,
    outDistances: number,
  ): number;
  vec_range(
    query: number,
    radius: number,
    limit: number,
    after: number,
    filter: number,
    filterLength: number,
    outSlots: number,
    outDistances: number,
    progress: number,
  ): number;
  vec_ids(slots: number, count: number, out: number): number;
  vec_id_string(slot: number): number;
  vec_scan(
    hasCursor: number,
    after: bigint,
    filter: number,
    filterLength: number,
    limit: number,
    outSlots: number,
  ): number;
  vec_scan_string(
    hasCursor: number,
    after: number,
    length: number,
    filter: number,
    filterLength: number,
    limit: number,
    outSlots: number,
  ): number;
  vec_originals(slots: number, count: number): number;
  vec_vector(slot: number): number;
  vec_link(max: number): number;
  vec_links_wanted(): number;
  vec_links_room(nodes: number, base: number, upper: number): number;
  vec_links_adopt(): number;
  vec_all_finite(address: number, count: number): number;
}

const abiVersion = 1;
/** The module declares room for 4 GiB less a page; a runtime that refuses so large a reservation is asked for less. */
const maximumPagesTried = [65535, 32768, 16384, 8192, 4096] as const;

export class CoreInstance {
  readonly core: Core;
  readonly exports: CoreExports;
  protected readonly memory: WebAssembly.Memory;
  readonly #budget: MemoryBudget | undefined;
  #u8: Uint8Array;
  /** Memory of several threads grows without detaching views. */
  readonly #isShared: boolean;
  #view: DataView;
  /** Where scratch memory is, and how much of it was asked for: it only ever grows. */
  #scratchAt = 0;
  #scratchBytes = 0;

  /**
   * `budget`: what the instance shares with others; `release` gives its part back. `memory`: default, one of its own.
   * `ready` is called before anything else is.
   *
   * @throws OUT_OF_MEMORY when the runtime grants not even 256 MiB of address space, or the budget is used up
   */
  constructor(
    core: Core,
    budget?: MemoryBudget,
    memory: WebAssembly.Memory = allocateMemory(),
    ready?: (exports: CoreExports) => void,
  ) {
    this.core = core;
    this.memory = memory;
    const instance = new WebAssembly.Instance(core.module, { env: { memory } });
    // The shape is checked by the ABI version: the core is built from the same tree.
    this.exports = instance.exports as unknown as CoreExports;
    ready?.(this.exports);
    const version = this.exports.abi_version();
    if (version !== abiVersion) {
      throw shibuDbError('VERSION_MISMATCH', `Got a WASM core of ABI ${version}, expected ${abiVersion}`);
    }
    this.#isShared = !(memory.buffer instanceof ArrayBuffer);
    this.#u8 = new Uint8Array(this.memory.buffer);
    this.#view = new DataView(this.memory.buffer);
    budget?.enter(this);
    this.#budget = budget;
  }

  /** Asks the budget how far memory may grow now. Before every call that may need more; `scratch` does it by itself. */
  askBudget(): void {
    this.#budget?.lend(this);
  }

  /** After memory was out: whether some was given back elsewhere, so that another attempt for `bytes` more may do. */
  makeRoom(bytes: number): boolean {
    if (this.#budget?.makeRoom(this, bytes) !== true) return false;
    this.askBudget();
    return true;
  }

  /** For the budget: memory may grow to `pages` of 64 KiB. */
  limitMemory(pages: number): void {
    this.exports.memory_limit(pages);
  }

  /** The instance is used no more. */
  release(): void {
    this.#budget?.leave(this);
  }

  /** Bytes of linear memory this instance holds. */
  get memoryBytes(): number {
    return this.memory.buffer.byteLength;
  }

  /** The whole memory as bytes; valid until the next call into the core. */
  bytes(): Uint8Array {
    this.#renewViews();
    return this.#u8;
  }

  /** The same for numbers. */
  view(): DataView {
    this.#renewViews();
    return this.#view;
  }

  #renewViews(): void {
    // Growing detaches what was there, and a detached view has no length: to ask for the buffers costs more than to read a value.
    if (this.#u8.length > 0 && !(this.#isShared && this.#u8.buffer !== this.memory.buffer)) return;
    this.#u8 = new Uint8Array(this.memory.buffer);
    this.#view = new DataView(this.memory.buffer);
  }

  u32(address: number, count: number): Uint32Array {
    return new Uint32Array(this.memory.buffer, address, count);
  }

  f32(address: number, count: number): Float32Array {
    return new Float32Array(this.memory.buffer, address, count);
  }

  i64(address: number, count: number): BigInt64Array {
    return new BigInt64Array(this.memory.buffer, address, count);
  }

  /** A buffer for arguments and results, 16-byte aligned; its former contents are gone. */
  scratch(bytes: number): number {
    const address = this.#scratch(bytes);
    if (address === 0) throw outOfMemory(`${bytes} bytes of scratch memory`);
    return address;
  }

  /** Makes sure that `scratch(bytes)` will not fail from now on. */
  hasScratch(bytes: number): boolean {
    return this.#scratch(bytes) !== 0;
  }

  #scratch(bytes: number): number {
    this.askBudget();
    if (this.#scratchAt !== 0 && bytes <= this.#scratchBytes) return this.#scratchAt;
    let address = this.exports.scratch(bytes) >>> 0;
    while (address === 0 && this.makeRoom(bytes)) address = this.exports.scratch(bytes) >>> 0;
    if (address !== 0) {
      this.#scratchAt = address;
      this.#scratchBytes = bytes;
    }
    return address;
  }

  /** XXH64 of bytes outside linear memory, piece by piece, so that it takes little of it whatever their number. */
  checksum(bytes: Uint8Array): bigint {
    const address = this.scratch(Math.min(bytes.length, checksumPieceBytes));
    let from = 0;
    for (; bytes.length - from > checksumPieceBytes; from += checksumPieceBytes) {
      this.bytes().set(bytes.subarray(from, from + checksumPieceBytes), address);
      this.exports.checksum64_more(address, checksumPieceBytes);
    }
    this.bytes().set(bytes.subarray(from), address);
    return BigInt.asUintN(64, this.exports.checksum64_end(address, bytes.length - from));
  }
}

/** A multiple of XXH64's stripe of 32. */
const checksumPieceBytes = 256 * 1024;

/**
 * What a call came to is not in memory, and nothing was changed: whoever made it has the blocks fetched that the instance
 * names and makes it again (engine/space-blocks.ts). Never seen by a caller of the database.
 */
export class AbsentBlocks extends Error {
  /** The call goes on from where it came to: what was fetched for it before is not needed any more. */
  readonly goesOn: boolean;

  constructor(goesOn = false) {
    super('Blocks are not in memory');
    this.goesOn = goesOn;
  }
}

/** The core of the instance leaves out what the space needs: it is opened with the whole one. Never seen by a caller of the database. */
export class OtherCore extends Error {}

/** Turns a negative status into the error it stands for; passes the rest through. */
export function checkStatus(status: number, call: string): number {
  if (status >= 0) return status;
  if (status === Status.Absent) throw new AbsentBlocks();
  if (status === Status.OtherCore) throw new OtherCore(`${call} needs the whole core`);
  if (status === Status.OutOfMemory) throw outOfMemory(call);
  if (status === Status.Corrupt)
    throw shibuDbError('CORRUPTION', `The stored image is damaged: found in ${call}`);
  if (status === Status.Full)
    throw shibuDbError('OUT_OF_MEMORY', `The space is full: no slot is left for ${call}`);
  assert(false, `${call} answered ${status}`);
}

function outOfMemory(what: string): Error {
  return shibuDbError('OUT_OF_MEMORY', `Not enough WASM memory for ${what}; nothing was changed`);
}

export function allocateMemory(shared = false): WebAssembly.Memory {
  let refusal: unknown;
  for (const maximum of maximumPagesTried) {
    try {
      return new WebAssembly.Memory({ initial: initialPages, maximum, shared });
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      refusal = error;
    }
  }
  const least = (maximumPagesTried.at(-1) ?? 0) * wasmPageBytes;
  throw shibuDbError('OUT_OF_MEMORY', `The runtime refuses WASM memory of up to ${least} bytes`, {
    cause: refusal,
  });
}

/** Static data and stack of the core; has to be at least what the module's import asks for. */
const initialPages = 32;
