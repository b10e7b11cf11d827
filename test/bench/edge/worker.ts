/** Inside workerd: a probe, a call a request; and an object with a database in its own storage. */

import { DurableObject } from 'cloudflare:workers';
import relaxed from 'shibumi-relaxed.wasm';
import type { VectorSpaceOptions } from '../../../src/api/database.ts';
import { type Database, open } from '../../../src/edge.ts';
import { Probe, type ProbeCall, spaceName } from './probe.ts';

const probe = new Probe((from) =>
  open({ from, cache: false }, { wasm: relaxed, memoryBytesMax: 128_000_000 }),
);

interface Env {
  readonly VECTORS?: { idFromName(name: string): unknown; get(id: unknown): Vectors };
}

export class Vectors extends DurableObject<Env> {
  #db: Promise<Database> | undefined;

  /** With the bounds that an application gets by default. */
  #database(): Promise<Database> {
    this.#db ??= open(this.ctx.storage, { wasm: relaxed });
    return this.#db;
  }

  async make(options: VectorSpaceOptions): Promise<void> {
    await (await this.#database()).createSpace(spaceName, 'vector', options);
  }

  async insert(from: number, packed: ArrayBuffer, dimension: number): Promise<void> {
    const vectors = new Float32Array(packed);
    const ids = BigInt64Array.from({ length: vectors.length / dimension }, (_, i) => BigInt(from + i));
    await (await this.#database()).insertVectors(ids, vectors, { space: spaceName });
  }

  async finish(): Promise<object> {
    const db = await this.#database();
    await db.waitForIndex({ space: spaceName });
    await db.checkpoint();
    return db.describeSpace(spaceName);
  }

  async search(query: ArrayBuffer): Promise<unknown[]> {
    const hits = await (await this.#database()).searchTopK(new Float32Array(query), 10, { space: spaceName });
    return hits.map(({ id }) => id);
  }
}

async function inObject(
  object: Vectors,
  { pathname, searchParams }: URL,
  body: ArrayBuffer,
): Promise<unknown> {
  switch (pathname) {
    case '/object/make':
      return object.make(JSON.parse(new TextDecoder().decode(body)) as VectorSpaceOptions);
    case '/object/insert':
      return object.insert(Number(searchParams.get('from')), body, Number(searchParams.get('dimension')));
    case '/object/finish':
      return object.finish();
    default:
      return object.search(body);
  }
}

export default {
  async fetch(request: Request, { VECTORS }: Env): Promise<Response> {
    const url = new URL(request.url);
    if (VECTORS !== undefined && url.pathname.startsWith('/object/')) {
      const object = VECTORS.get(VECTORS.idFromName('bench'));
      return Response.json((await inObject(object, url, await request.arrayBuffer())) ?? null);
    }
    return Response.json((await probe.answer((await request.json()) as ProbeCall)) ?? null);
  },
};
