/** Pumping a stream to or from a session, piece by piece: the pace is that of the slower side. */

import type { ArgumentsOf, Method, ResultOf } from '../api/calls.ts';
import type { CallOptions, ExportOptions, ImportOptions, ImportResult } from '../api/database.ts';
import { invalid, shown } from '../base/arguments.ts';
import { deadlineOf } from './deadline.ts';

export interface TransferCaller {
  call<M extends Method>(
    method: M,
    args: ArgumentsOf<M>,
    options?: CallOptions,
    transfer?: readonly ArrayBuffer[],
  ): Promise<ResultOf<M>>;
}

/** What is sent to the session at once, whatever the stream gives. */
const pieceBytesMax = 4 * 1024 * 1024;

export async function exportTo(
  caller: TransferCaller,
  stream: WritableStream<Uint8Array>,
  { spaces, users, signal, timeoutMs, onProgress }: ExportOptions,
): Promise<void> {
  if (!(stream instanceof WritableStream))
    throw invalid(`Got ${shown(stream)} for stream, expected a WritableStream`);
  await within({ signal, timeoutMs }, 'exportTo', async (inTime) => {
    const transfer = await inTime(
      caller.call('exportOpen', {
        ...(spaces === undefined ? {} : { spaces }),
        ...(users === undefined ? {} : { users }),
      }),
    );
    const writer = stream.getWriter();
    try {
      for (;;) {
        const { bytes, done, progress } = await inTime(caller.call('exportNext', { transfer }));
        if (done) break;
        await inTime(writer.ready);
        // Its failure is told by the next `ready`, or by `close`.
        writer.write(bytes).catch(() => {});
        onProgress?.(progress);
      }
      await inTime(writer.close());
    } catch (error) {
      writer.abort(error).catch(() => {});
      caller.call('transferClose', { transfer }).catch(() => {});
      throw error;
    } finally {
      writer.releaseLock();
    }
  });
}

export async function importFrom(
  caller: TransferCaller,
  stream: ReadableStream<Uint8Array>,
  { users, signal, timeoutMs, onProgress }: ImportOptions,
): Promise<ImportResult> {
  if (!(stream instanceof ReadableStream))
    throw invalid(`Got ${shown(stream)} for stream, expected a ReadableStream`);
  return within({ signal, timeoutMs }, 'importFrom', async (inTime) => {
    const transfer = await inTime(caller.call('importOpen', users === undefined ? {} : { users }));
    const reader = stream.getReader();
    try {
      for (;;) {
        const { value, done } = await inTime(reader.read());
        if (done) break;
        for (const bytes of piecesOf(value)) {
          const { progress } = await inTime(caller.call('importNext', { transfer, bytes, last: false }));
          onProgress?.(progress);
        }
      }
      const empty = new Uint8Array(0);
      const done = await inTime(caller.call('importNext', { transfer, bytes: empty, last: true }));
      return { spaces: done.spaces, users: done.users };
    } catch (error) {
      reader.cancel(error).catch(() => {});
      caller.call('transferClose', { transfer }).catch(() => {});
      throw error;
    } finally {
      reader.releaseLock();
    }
  });
}

/** Pieces with a buffer of their own, so that sending one never copies a larger buffer behind it. */
export function* piecesOf(bytes: Uint8Array): Generator<Uint8Array> {
  if (!(bytes instanceof Uint8Array))
    throw invalid(`Got ${shown(bytes)} from the stream, expected a Uint8Array`);
  for (let at = 0; at < bytes.length; at += pieceBytesMax) yield bytes.slice(at, at + pieceBytesMax);
}

/** Runs `work` under one deadline and signal for all its steps. */
export async function within<Result>(
  options: { signal: AbortSignal | undefined; timeoutMs: number | undefined },
  what: string,
  work: (inTime: <Value>(step: Promise<Value>) => Promise<Value>) => Promise<Result>,
): Promise<Result> {
  const deadline = deadlineOf(options.signal, options.timeoutMs, what);
  try {
    return await work((step) =>
      deadline.expired === undefined ? step : Promise.race([step, deadline.expired]),
    );
  } finally {
    deadline.end();
  }
}
