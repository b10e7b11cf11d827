/** The script of the static snapshot's test: one database of the isolate, each call a request of its own. */

import relaxed from 'shibumi-relaxed.wasm';
import { type Database, isShibuDbError, open } from '../../src/edge.ts';

let db: Promise<Database> | undefined;

interface Call {
  readonly from: string;
  readonly space: string;
  readonly query?: readonly number[];
  readonly key?: string;
}

async function answer({ from, space, query, key }: Call): Promise<unknown> {
  db ??= open({ from }, { wasm: relaxed });
  if (query !== undefined) return (await db).searchTopK([...query], 3, { space });
  if (key !== undefined) return (await (await db).get(key, { space })) ?? null;
  return (await db).put('a', 'b', { space });
}

export default {
  async fetch(request: Request): Promise<Response> {
    try {
      return Response.json(await answer((await request.json()) as Call));
    } catch (error) {
      const code = isShibuDbError(error) ? error.code : String(error);
      return Response.json({ code });
    }
  },
};
