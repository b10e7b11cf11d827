/** Reading and writing one value as a stream: never more of it in memory than a part. */

import type { ArgumentsOf } from '../api/calls.ts';
import type { CallOptions, PutOptions } from '../api/database.ts';
import { invalid, shown } from '../base/arguments.ts';
import { encodeUtf8 } from '../base/text.ts';
import { piecesOf, type TransferCaller, within } from './transfer.ts';

export async function getStream(
  caller: TransferCaller,
  place: { space: string | undefined; key: string },
  options: CallOptions | undefined,
): Promise<ReadableStream<Uint8Array> | undefined> {
  const first = await caller.call('getPart', { ...place, from: 0 }, options);
  if (first === undefined) return undefined;
  const { length, identity } = first;
  let at = first.bytes.length;
  return new ReadableStream<Uint8Array>({
    start(controller) {
      if (at > 0) controller.enqueue(first.bytes);
      if (at >= length) controller.close();
    },
    // Asked for when what is there has been read: the pace is the reader's. Its failure is the stream's.
    async pull(controller) {
      const part = await caller.call('getPart', { ...place, from: at, identity }, options);
      if (part === undefined) throw new Error('A part that is named is there or fails');
      at += part.bytes.length;
      controller.enqueue(part.bytes);
      if (at >= length) controller.close();
    },
  });
}

export async function putStream(
  caller: TransferCaller,
  place: { space: string | undefined; key: string },
  source: ReadableStream<Uint8Array | string> | Blob,
  { ttlMs, signal, timeoutMs }: PutOptions,
): Promise<void> {
  const stream = source instanceof Blob ? source.stream() : source;
  if (!(stream instanceof ReadableStream))
    throw invalid(`Got ${shown(source)} for the value, expected a ReadableStream or a Blob`);
  await within({ signal, timeoutMs }, 'putStream', async (inTime) => {
    const reader = stream.getReader() as ReadableStreamDefaultReader<Uint8Array | string>;
    let upload: string | undefined;
    try {
      const chunks = new Chunks();
      let read = await inTime(reader.read());
      const isText = typeof read.value === 'string';
      const args: ArgumentsOf<'uploadOpen'> = { ...place, isText, ...(ttlMs === undefined ? {} : { ttlMs }) };
      upload = await inTime(caller.call('uploadOpen', args));
      for (; !read.done; read = await inTime(reader.read())) {
        for (const bytes of piecesOf(chunks.bytesOf(read.value, isText)))
          await inTime(caller.call('uploadNext', { upload, bytes, last: false }));
      }
      chunks.end();
      await inTime(caller.call('uploadNext', { upload, bytes: new Uint8Array(0), last: true }));
    } catch (error) {
      reader.cancel(error).catch(() => {});
      if (upload !== undefined) caller.call('uploadClose', { upload }).catch(() => {});
      throw error;
    } finally {
      reader.releaseLock();
    }
  });
}

/** The chunks of a stream as bytes. A character may be cut between two of them. */
class Chunks {
  #half = '';

  bytesOf(chunk: Uint8Array | string, isText: boolean): Uint8Array {
    if ((typeof chunk === 'string') !== isText || (!isText && !(chunk instanceof Uint8Array)))
      throw invalid(`Got ${shown(chunk)} from the stream, expected ${isText ? 'a string' : 'a Uint8Array'}`);
    if (typeof chunk !== 'string') return chunk;
    const text = this.#half + chunk;
    const last = text.charCodeAt(text.length - 1);
    const whole = last >= 0xd800 && last < 0xdc00 ? text.slice(0, -1) : text;
    this.#half = text.slice(whole.length);
    if (!whole.isWellFormed()) throw illFormed();
    return encodeUtf8(whole);
  }

  end(): void {
    if (this.#half !== '') throw illFormed();
  }
}

function illFormed(): Error {
  return invalid('Got half of a surrogate pair in a text from the stream, expected well-formed text');
}
