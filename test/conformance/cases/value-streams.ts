/** One value as a stream, in and out: whole or not at all, whatever its size. */

import { check, rejects, same } from '../../support/check.ts';
import type { Case } from '../case.ts';
import { bytesOf, sameValue } from './large-values.ts';
import { withKeyValue } from './spaces.ts';

const piece = 256 * 1024;

/** A stream of `chunks`, and whether it was cancelled. */
function streamOf<Chunk>(chunks: readonly Chunk[]): {
  stream: ReadableStream<Chunk>;
  cancelled: () => boolean;
} {
  let next = 0;
  let isCancelled = false;
  const stream = new ReadableStream<Chunk>({
    pull(controller) {
      if (next < chunks.length) controller.enqueue(chunks[next++] as Chunk);
      else controller.close();
    },
    cancel() {
      isCancelled = true;
    },
  });
  return { stream, cancelled: () => isCancelled };
}

/** Bytes in chunks of uneven sizes. */
function chunksOf(bytes: Uint8Array): Uint8Array[] {
  const chunks: Uint8Array[] = [];
  for (let at = 0, size = 1; at < bytes.length; size = (size * 7) % 700_001) {
    chunks.push(bytes.subarray(at, at + size));
    at += size;
  }
  return chunks;
}

async function bytesFrom(stream: ReadableStream<Uint8Array> | undefined): Promise<Uint8Array> {
  check(stream !== undefined, 'there is a stream');
  const parts: Uint8Array<ArrayBuffer>[] = [];
  const reader = stream.getReader();
  for (let read = await reader.read(); !read.done; read = await reader.read()) parts.push(read.value.slice());
  return new Uint8Array(await new Blob(parts).arrayBuffer());
}

export const valueStreamCases: Case[] = [
  {
    name: 'values of every size go in and come out as streams, and are the same to put and get',
    reopens: true,
    async run(t) {
      let db = await withKeyValue(() => t.open());
      const sizes = [0, 1, 1000, piece - 1, piece, piece + 1, piece * 4, piece * 4 + 1, piece * 17 + 5];
      for (const size of sizes) {
        await db.putStream(`streamed ${size}`, streamOf(chunksOf(bytesOf(size, size))).stream);
        await db.put(`put ${size}`, bytesOf(size, size));
      }
      await db.putStream('blob', new Blob([bytesOf(piece * 3, 5), 'and text']));
      for (let round = 0; round < 2; round++) {
        for (const size of sizes) {
          sameValue(await db.get(`streamed ${size}`, { space: 'kv' }), bytesOf(size, size), `get of ${size}`);
          for (const how of ['put', 'streamed']) {
            const stream = await db.getStream(`${how} ${size}`, { space: 'kv' });
            sameValue(await bytesFrom(stream), bytesOf(size, size), `stream of ${how} ${size}`);
          }
        }
        same((await db.get('blob', { space: 'kv' }))?.length, piece * 3 + 8);
        same(await db.getStream('none', { space: 'kv' }), undefined);
        if (round > 0) continue;
        await db.close();
        db = await t.open();
      }
    },
  },
  {
    name: 'texts go in as streams of strings, characters cut anywhere, and come out as their UTF-8',
    async run(t) {
      const db = await withKeyValue(() => t.open());
      for (const text of ['', 'small ä😀', 'ä€😀\0 '.repeat(80_000)]) {
        const chunks: string[] = [];
        for (let at = 0; at < text.length; at += 9_999) chunks.push(text.slice(at, at + 9_999));
        await db.putStream('t', streamOf(chunks).stream);
        // Without a chunk nobody knows that it was to be a text.
        sameValue(await db.get('t'), chunks.length > 0 ? text : new Uint8Array(0), 'the text');
        same(new TextDecoder().decode(await bytesFrom(await db.getStream('t'))), text);
      }
    },
  },
  {
    name: 'nothing is seen of a stream before its end, other writes do not wait for it, and it takes its time to live then',
    async run(t) {
      const db = await withKeyValue(() => t.open());
      await db.put('k', 'before');
      let goOn: () => void = () => {};
      const gate = new Promise<void>((resolve) => {
        goOn = resolve;
      });
      let sent = 0;
      const slow = new ReadableStream<Uint8Array>({
        async pull(controller) {
          if (sent === 6) await gate;
          if (sent === 12) return controller.close();
          controller.enqueue(bytesOf(piece, sent++));
        },
      });
      const putting = db.putStream('k', slow, { ttlMs: 3_600_000 });
      while (sent < 6) await new Promise((resolve) => setTimeout(resolve, 1));
      same(await db.get('k'), 'before');
      await db.put('other', 'x');
      await db.put('k', 'meanwhile');
      await db.checkpoint();
      same(await db.get('k'), 'meanwhile');
      goOn();
      await putting;
      same((await db.get('k'))?.length, piece * 12);
      check(((await db.ttl('k')) as number) > 3_000_000, 'it has a time to live');
    },
  },
  {
    name: 'a stream that fails, is refused or aborted leaves what was there, is cancelled, and leaves nothing in storage',
    async run(t) {
      const db = await withKeyValue(() => t.open());
      await db.put('k', 'kept');
      let sent = 0;
      const failing = new ReadableStream<Uint8Array>({
        pull(controller) {
          if (sent++ === 20) throw new Error('the source broke');
          controller.enqueue(bytesOf(piece, sent));
        },
      });
      let message = '';
      await db.putStream('k', failing).catch((error: Error) => {
        message = error.message;
      });
      same(message, 'the source broke');
      const mixed = streamOf<Uint8Array | string>([bytesOf(piece * 2, 1), 'text', bytesOf(piece, 2)]);
      await rejects(db.putStream('k', mixed.stream), 'INVALID_ARGUMENT', /Uint8Array/);
      check(mixed.cancelled(), 'the rest of a refused stream is cancelled');
      await rejects(db.putStream('k', streamOf(['half \ud83d', 'no']).stream), 'INVALID_ARGUMENT');
      await rejects(db.putStream('k', streamOf(['half \ud83d']).stream), 'INVALID_ARGUMENT');
      await rejects(db.putStream('k', streamOf([17 as never]).stream), 'INVALID_ARGUMENT');
      await rejects(db.putStream('k', 'no stream' as never), 'INVALID_ARGUMENT');
      await rejects(db.putStream('', new Blob(['x'])), 'INVALID_ARGUMENT');
      await rejects(db.putStream('k', new Blob(['x']), { ttlMs: -1 }), 'INVALID_ARGUMENT');
      await rejects(db.putStream('k', new Blob(['x']), { space: 'none' }), 'SPACE_NOT_FOUND');
      const endless = new ReadableStream<Uint8Array>({
        pull: (controller) => controller.enqueue(bytesOf(piece * 4, 1)),
      });
      await rejects(db.putStream('k', endless), 'INVALID_ARGUMENT', /67108864/);
      const abort = new AbortController();
      const never = new ReadableStream<Uint8Array>({
        async pull(controller) {
          controller.enqueue(bytesOf(piece * 2, 1));
          await new Promise((resolve) => setTimeout(resolve, 1));
          abort.abort();
        },
      });
      await rejects(db.putStream('k', never, { signal: abort.signal }), 'ABORTED');
      same(await db.get('k'), 'kept');
      // Deleted or cleared meanwhile: the upload ends, whoever clears does not wait for it.
      const idle = new ReadableStream<Uint8Array>({
        async pull(controller) {
          controller.enqueue(bytesOf(piece, 3));
          await new Promise((resolve) => setTimeout(resolve, 20));
        },
      });
      const outcome = db.putStream('k', idle).then(
        () => 'put',
        ({ code }: { code: string }) => code,
      );
      await new Promise((resolve) => setTimeout(resolve, 50));
      await db.clear();
      same(await db.size(), 0);
      await db.put('after', 'x');
      await db.checkpoint();
      same(await outcome, 'ABORTED');
      same([await db.exists('k'), await db.get('after')], [false, 'x']);
    },
  },
  {
    name: 'a stream being read fails once its value is replaced, and may be left at any time',
    async run(t) {
      const db = await withKeyValue(() => t.open());
      const value = bytesOf(piece * 20, 6);
      for (const change of [
        () => db.put('k', bytesOf(piece * 20, 7)),
        () => db.put('k', 'small'),
        () => db.delete('k'),
        () => db.clear(),
      ]) {
        await db.put('k', value);
        const reader = ((await db.getStream('k')) as ReadableStream<Uint8Array>).getReader();
        sameValue((await reader.read()).value, value.subarray(0, piece * 4), 'the first part');
        await change();
        await db.checkpoint();
        const rest = async (): Promise<void> => {
          while (!(await reader.read()).done);
        };
        await rejects(rest(), 'SNAPSHOT_LOST');
      }
      await db.put('k', value);
      for (let i = 0; i < 40; i++) {
        const stream = (await db.getStream('k')) as ReadableStream<Uint8Array>;
        await stream.cancel();
      }
      // Put again as it was it is another value, under its old name.
      sameValue(await bytesFrom(await db.getStream('k')), value, 'after others were left');
      const abort = new AbortController();
      const stream = (await db.getStream('k', { signal: abort.signal })) as ReadableStream<Uint8Array>;
      abort.abort();
      await rejects(bytesFrom(stream), 'ABORTED');
    },
  },
];
