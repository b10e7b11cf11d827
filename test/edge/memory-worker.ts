/** The script of the memory test: objects that fill themselves with vectors until they are refused. */

import { DurableObject } from 'cloudflare:workers';
import relaxed from 'shibumi-relaxed.wasm';
import { type Database, isShibuDbError, open } from '../../src/edge.ts';

interface Env {
  readonly MEMORY_BYTES_MAX: string;
  readonly SPACES: { idFromName(name: string): unknown; get(id: unknown): Spaces };
}

const dimension = 256;
const chunk = 100;

export class Spaces extends DurableObject<Env> {
  #db: Database | undefined;
  #scan: AsyncIterator<unknown> | undefined;

  async #database(): Promise<Database> {
    this.#db ??= await open(this.ctx.storage, {
      wasm: relaxed,
      memoryBytesMax: Number(this.env.MEMORY_BYTES_MAX),
    });
    return this.#db;
  }

  async run(call: string): Promise<object> {
    let code: string | undefined;
    try {
      if (call === 'fill') await this.#fill();
      // An open scan: the space is in use until it is closed.
      if (call === 'hold') {
        this.#scan = (await this.#database()).scanVectors({ space: 'v' })[Symbol.asyncIterator]();
        await this.#scan.next();
      }
      if (call === 'finish') {
        let found = 1;
        while (!(await this.#scan?.next())?.done) found++;
        return { found };
      }
      return { code, ...(await this.#look()) };
    } catch (error) {
      if (!isShibuDbError(error)) throw error;
      code = error.code;
      return { code, ...(call === 'fill' ? await this.#look() : {}) };
    }
  }

  async #look(): Promise<object> {
    const db = await this.#database();
    const count = await db.countVectors({ space: 'v' });
    const [hit] = count === 0 ? [] : await db.searchTopK(vectorOf(count - 1), 1, { space: 'v' });
    const { memoryBytes } = await db.stats();
    return { memoryBytes, count, found: hit?.id };
  }

  /** @throws OUT_OF_MEMORY in the end */
  async #fill(): Promise<void> {
    const db = await this.#database();
    if ((await db.listSpaces()).length === 0) await db.createSpace('v', 'vector', { dimension });
    for (;;) {
      const from = await db.countVectors({ space: 'v' });
      const ids = Array.from({ length: chunk }, (_, i) => from + i);
      const vectors = new Float32Array(chunk * dimension);
      for (const [i, id] of ids.entries()) vectors.set(vectorOf(id), i * dimension);
      await db.insertVectors(ids, vectors, { space: 'v' });
    }
  }
}

function vectorOf(id: number): Float32Array {
  return Float32Array.from({ length: dimension }, (_, i) => Math.fround(Math.sin(id + i * (1 + (id % 17)))));
}

export default {
  async fetch(request: Request, { SPACES }: Env): Promise<Response> {
    const [, object = '', call = ''] = new URL(request.url).pathname.split('/');
    return Response.json(await SPACES.get(SPACES.idFromName(object)).run(call));
  },
};
