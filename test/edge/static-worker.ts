/**
 * The script of the static snapshot's test: one database of the isolate, each call a request of its own; and one over a bucket of
 * R2, as docs/static.md has it.
 */

import relaxed from 'shibumi-relaxed.wasm';
import { type Database, isShibuDbError, open } from '../../src/edge.ts';

interface Env {
  readonly INDEX: {
    get(key: string, options: { range: Headers }): Promise<{ readonly body: ReadableStream } | null>;
  };
}

let db: Promise<Database> | undefined;

interface Call {
  /** Where to read: the host of `from`; the host by a database that is opened for this call; the bucket. */
  readonly by?: 'host' | 'host again' | 'bucket';
  readonly from: string;
  readonly space: string;
  readonly query?: readonly number[];
  readonly key?: string;
  /** Closes the database of the isolate, which another request has opened. */
  readonly closes?: boolean;
}

function openBucket(env: Env): Promise<Database> {
  return open(
    {
      from: 'https://index.invalid/',
      cache: false,
      async fetch(url, init) {
        const headers = new Headers(init?.headers);
        const object = await env.INDEX.get(new URL(url).pathname.slice(1), { range: headers });
        if (object === null) return new Response(null, { status: 404 });
        return new Response(object.body, { status: headers.has('range') ? 206 : 200 });
      },
    },
    { wasm: relaxed },
  );
}

async function answer(call: Call, env: Env): Promise<unknown> {
  const { by = 'host', from, space, query, key } = call;
  if (call.closes) {
    await (await db)?.close();
    db = undefined;
    return 'closed';
  }
  if (by === 'host') db ??= open({ from }, { wasm: relaxed });
  const fresh =
    by === 'bucket' ? openBucket(env) : by === 'host again' ? open({ from }, { wasm: relaxed }) : db;
  const used = await (fresh as Promise<Database>);
  try {
    if (query !== undefined) return await used.searchTopK([...query], 3, { space });
    if (key !== undefined) return (await used.get(key, { space })) ?? null;
    return await used.put('a', 'b', { space });
  } finally {
    if (by !== 'host') await used.close();
  }
}

export default {
  async fetch(request: Request, env: Env): Promise<Response> {
    try {
      return Response.json(await answer((await request.json()) as Call, env));
    } catch (error) {
      const code = isShibuDbError(error) ? error.code : String(error);
      return Response.json({ code });
    }
  },
};
