/**
 * A value that comes piece by piece, from a caller who may take any time. What is large is stored as it comes, by the way
 * of other large values (large-values.ts); the put takes its place among the writes when the last piece is there, and
 * before that nobody sees anything of it. At most two pieces and one transaction's worth of them are in memory.
 *
 * Nobody waits for its caller: what ends the space or the engine ends the upload.
 */

import { type ShibuDbError, shibuDbError } from '../api/errors.ts';
import { readUtf8 } from '../base/text.ts';
import { checkSize, deadlineOf, putOperation, valueBytesMax } from '../space/key-value-space.ts';
import type { LargeBytes } from '../space/large-bytes.ts';
import { type LargeValue, largePieceBytes } from '../space/large-value.ts';
import type { CatalogEntry } from '../storage/catalog.ts';
import type { DatabaseEngine } from './database-engine.ts';

/** What is put where. The key has been checked. */
export interface UploadTarget {
  readonly entry: CatalogEntry;
  readonly key: string;
  readonly isText: boolean;
  /** From the end of the upload on. */
  readonly ttlMs: number | undefined;
}

/** Pieces on their way to storage, and the put that waits for them. */
interface Storing {
  readonly writer: WritableStreamDefaultWriter<Uint8Array>;
  /** Rejects with what storage or the put failed by. */
  readonly put: Promise<void>;
}

export class Upload {
  readonly #engine: DatabaseEngine;
  readonly #target: UploadTarget;
  /** Filled up before it goes: only when more comes is it known not to be the last. */
  #piece: Uint8Array<ArrayBuffer> = new Uint8Array(largePieceBytes);
  #filled = 0;
  #length = 0;
  #storing: Storing | undefined;
  #lost: ShibuDbError | undefined;

  constructor(engine: DatabaseEngine, target: UploadTarget) {
    this.#engine = engine;
    this.#target = target;
    engine.uploads.add(this);
  }

  get entry(): CatalogEntry {
    return this.#target.entry;
  }

  /** Resolves when there is room for more. @throws INVALID_ARGUMENT past 64 MiB, what storing throws */
  async take(bytes: Uint8Array): Promise<void> {
    if (this.#lost !== undefined) throw this.#lost;
    checkSize(this.#length + bytes.length);
    this.#length += bytes.length;
    for (let at = 0; at < bytes.length; ) {
      if (this.#filled === largePieceBytes) await this.#passOn();
      const some = bytes.subarray(at, at + largePieceBytes - this.#filled);
      this.#piece.set(some, this.#filled);
      this.#filled += some.length;
      at += some.length;
    }
  }

  /** Resolves when the value is as durable as its space promises. */
  async end(): Promise<void> {
    if (this.#lost !== undefined) throw this.#lost;
    if (this.#storing === undefined) await this.#putSmall();
    else {
      await this.#passOn();
      this.#storing.writer.close().catch(() => {});
      await this.#storing.put;
    }
    this.#engine.uploads.delete(this);
  }

  /** What was stored of it is dropped. */
  lose(): void {
    this.#engine.uploads.delete(this);
    this.#lost ??= shibuDbError(
      'ABORTED',
      `The upload of a value to space "${this.entry.name}" ended before its last bytes; nothing was put`,
    );
    this.#storing?.writer.abort(this.#lost).catch(() => {});
  }

  async #passOn(): Promise<void> {
    this.#storing ??= this.#store();
    const { writer, put } = this.#storing;
    // Storage takes only what has its buffer to itself.
    const piece = this.#filled < largePieceBytes ? this.#piece.slice(0, this.#filled) : this.#piece;
    this.#piece = new Uint8Array(largePieceBytes);
    this.#filled = 0;
    // Where storing has failed, `put` says why; the writer only knows that nobody reads any more.
    await Promise.race([writer.write(piece).catch(() => put), put]);
    if (this.#lost !== undefined) throw this.#lost;
  }

  #store(): Storing {
    const { entry, key, isText, ttlMs } = this.#target;
    const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>();
    const value: LargeBytes = {
      pieces: chunksOf(readable),
      piecesMax: valueBytesMax / largePieceBytes,
      isText,
    };
    const put = this.#engine.submitLarge(entry, [value], async (storing, submit) => {
      const [stored] = (await storing) as readonly [LargeValue];
      const operations = putOperation(key, stored, deadlineOf(ttlMs, this.#engine.wallClock()));
      const need = { count: 1, bytes: operations.length, deadlines: ttlMs !== undefined };
      await submit(Promise.resolve({ operations, need }));
      return { answer: undefined, used: true };
    });
    put.catch(() => {});
    return { writer: writable.getWriter(), put };
  }

  async #putSmall(): Promise<void> {
    const { entry, key, isText, ttlMs } = this.#target;
    const value = isText ? readUtf8(this.#piece, 0, this.#filled) : this.#piece.subarray(0, this.#filled);
    const operation = putOperation(key, value, deadlineOf(ttlMs, this.#engine.wallClock()));
    const need = { count: 1, bytes: operation.length, deadlines: ttlMs !== undefined };
    await this.#engine.submit(entry, operation, need);
  }
}

/** Streams are not iterable everywhere yet. */
async function* chunksOf(stream: ReadableStream<Uint8Array>): AsyncGenerator<Uint8Array, void, undefined> {
  const reader = stream.getReader();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      yield value;
    }
  } finally {
    // Whoever writes learns that nobody reads any more.
    reader.cancel().catch(() => {});
  }
}
