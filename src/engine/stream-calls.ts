/**
 * The calls that read and write values in parts. Reading keeps nothing: each call names the value it reads, and fails once
 * something else is there, so a reader may stop at any time and go on after its owner has changed.
 */

import type { ArgumentsOf, ValuePart } from '../api/calls.ts';
import { shibuDbError } from '../api/errors.ts';
import { invalid, shown } from '../base/arguments.ts';
import { encodeUtf8 } from '../base/text.ts';
import { checkKey, deadlineOf } from '../space/key-value-space.ts';
import { LargeValue, largeBlock } from '../space/large-value.ts';
import type { StoredForm } from '../space/operation.ts';
import type { HandlersOf } from './handlers.ts';
import { damaged } from './large-values.ts';
import type { ResidentSpace } from './resident-space.ts';
import type { SpaceAccess } from './space-access.ts';
import { Upload } from './upload.ts';

const uploadsMax = 16;

export class StreamCalls implements HandlersOf<'streams'> {
  readonly #spaces: SpaceAccess;
  readonly #uploads: Map<string, Upload> = new Map();

  constructor(spaces: SpaceAccess) {
    this.#spaces = spaces;
  }

  /** Small values are one part; a part of a large one has up to 1 MiB. */
  async getPart({ space, key, from, identity }: ArgumentsOf<'getPart'>): Promise<ValuePart | undefined> {
    checkKey(key);
    for (let missed: LargeValue | undefined; ; ) {
      const { resident, value } = await this.#find(space, key);
      if (value === undefined && identity === undefined) return undefined;
      if (!(value instanceof LargeValue)) {
        if (identity !== undefined || value === undefined) throw replaced(key, from);
        const bytes = typeof value === 'string' ? encodeUtf8(value) : value;
        return { bytes, length: bytes.length, identity: '' };
      }
      const current = `${resident.entry.id}/${value.first}/${value.generation}`;
      if (identity !== undefined && identity !== current) throw replaced(key, from);
      if (!Number.isInteger(from) || from < 0 || from >= value.length)
        throw invalid(`Got ${shown(from)} for from, expected an offset below ${value.length}`);
      const bytes = await this.#spaces.engine.large.loadPart(resident, value, from);
      if (bytes !== undefined) return { bytes, length: value.length, identity: current };
      // The space still refers to it: it was not replaced, it is not there.
      if (missed?.is(value)) throw damaged(resident, { block: largeBlock(value.first) });
      missed = value;
    }
  }

  async #find(
    space: string | undefined,
    key: string,
  ): Promise<{ resident: ResidentSpace; value: StoredForm | undefined }> {
    const entry = this.#spaces.entry(space, 'key-value', 'getStream');
    return this.#spaces.read(entry, (resident) => ({ resident, value: resident.keyValue.get(key) }));
  }

  /** @throws INVALID_ARGUMENT when too many are under way */
  uploadOpen({ space, key, isText, ttlMs }: ArgumentsOf<'uploadOpen'>): string {
    const entry = this.#spaces.entry(space, 'key-value', 'putStream');
    checkKey(key);
    deadlineOf(ttlMs, 0);
    if (this.#uploads.size >= uploadsMax)
      throw invalid(`${uploadsMax} uploads are under way already; finish or abort some first`);
    // A later session, after a reconnect, must not take one of an earlier one for its own.
    const id = crypto.getRandomValues(new Uint32Array(4)).join('-');
    this.#uploads.set(id, new Upload(this.#spaces.engine, { entry, key, isText: isText === true, ttlMs }));
    return id;
  }

  /** `last`: these are the last bytes; the value is put. */
  async uploadNext({ upload: id, bytes, last }: ArgumentsOf<'uploadNext'>): Promise<undefined> {
    const upload = this.#uploads.get(id);
    if (upload === undefined)
      throw shibuDbError('ABORTED', 'The upload is not under way any more; nothing was put');
    try {
      if (!(bytes instanceof Uint8Array))
        throw invalid(`Got ${shown(bytes)} from the stream, expected a Uint8Array`);
      await upload.take(bytes);
      if (!last) return;
      await upload.end();
      this.#uploads.delete(id);
    } catch (error) {
      this.uploadClose({ upload: id });
      throw error;
    }
  }

  uploadClose({ upload: id }: { upload: string }): undefined {
    this.#uploads.get(id)?.lose();
    this.#uploads.delete(id);
  }

  /** The space an upload goes to. */
  spaceOf(upload: string): string | undefined {
    return this.#uploads.get(upload)?.entry.name;
  }

  closeAll(): void {
    for (const upload of [...this.#uploads.keys()]) this.uploadClose({ upload });
  }
}

function replaced(key: string, from: number): Error {
  return shibuDbError(
    'SNAPSHOT_LOST',
    `The value of ${shown(key)} was replaced or deleted after ${from} of its bytes had been read`,
  );
}
