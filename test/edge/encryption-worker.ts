/** The script of the encryption test: an object whose database is opened with what a test says. */

import { DurableObject } from 'cloudflare:workers';
import relaxed from 'shibumi-relaxed.wasm';
import { type Database, isShibuDbError, open } from '../../src/edge.ts';

interface Env {
  readonly VAULTS: { idFromName(name: string): unknown; get(id: unknown): Vault };
}

export interface VaultCall {
  readonly password?: string;
  /** 32 bytes of it. */
  readonly key?: number;
  readonly do: 'fill' | 'read' | 'change';
}

const secretText = 'dearest anna';

export class Vault extends DurableObject<Env> {
  async run(call: VaultCall): Promise<unknown> {
    const { password, key } = call;
    const encryption =
      password !== undefined
        ? { password }
        : key !== undefined
          ? { key: new Uint8Array(32).fill(key) }
          : undefined;
    let db: Database;
    try {
      db = await open(this.ctx.storage, {
        wasm: relaxed,
        ...(encryption === undefined ? {} : { encryption }),
      });
    } catch (error) {
      return isShibuDbError(error) ? error.code : String(error);
    }
    try {
      if (call.do === 'fill') return await this.#fill(db);
      if (call.do === 'change' && encryption !== undefined)
        return await db.changeEncryption(encryption, { key: new Uint8Array(32).fill(9) });
      const [hit] = await db.searchTopK([1, 2, 3], 1, { space: 'faces' });
      return [await db.get('letter', { space: 'letters' }), hit?.id];
    } finally {
      await db.close();
    }
  }

  /** @returns the tables' rows that can be read, which should be none */
  async #fill(db: Database): Promise<unknown> {
    await db.createSpace('letters', 'key-value');
    await db.createSpace('faces', 'vector', { dimension: 3 });
    await db.put('letter', secretText, { space: 'letters' });
    await db.insertVector(5, [1, 2, 3], { space: 'faces' });
    const readable = this.#readable();
    await db.checkpoint();
    return [...readable, ...this.#readable()];
  }

  #readable(): string[] {
    const { sql } = this.ctx.storage;
    const found: string[] = [];
    for (const { name } of sql.exec("SELECT name FROM sqlite_master WHERE type = 'table'").toArray())
      for (const row of sql.exec(`SELECT * FROM "${name}"`).toArray())
        for (const value of Object.values(row)) {
          const text = value instanceof ArrayBuffer ? new TextDecoder('latin1').decode(value) : String(value);
          if (text.includes(secretText) || text.includes('letters')) found.push(String(name));
        }
    return found;
  }
}

export default {
  async fetch(request: Request, { VAULTS }: Env): Promise<Response> {
    const name = new URL(request.url).pathname;
    const call = (await request.json()) as VaultCall;
    return Response.json((await VAULTS.get(VAULTS.idFromName(name)).run(call)) ?? null);
  },
};
