/** The script of the object tests: applications' objects, made of `shibumi/edge`, and a front that hands requests to them. */

import relaxed from 'shibumi-relaxed.wasm';
import {
  connectObject,
  type EdgeOptions,
  isShibuDbError,
  type ObjectStub,
  ShibumiObject,
} from '../../src/edge.ts';

export class Notes extends ShibumiObject<Env> {
  protected override options(): EdgeOptions {
    return { wasm: relaxed, admin: { username: 'admin', password: this.env.ADMIN_PASSWORD } };
  }

  readonly #instance: string = crypto.randomUUID();
  /** How many vectors were to be linked when each alarm came. */
  readonly #pendingAtAlarms: number[] = [];

  override async alarm(): Promise<void> {
    this.#pendingAtAlarms.push(await this.#pending());
    await super.alarm();
  }

  async #pending(): Promise<number> {
    const db = await this.database();
    const spaces = (await db.listSpaces()).filter(({ engine }) => engine === 'vector');
    const all = await Promise.all(spaces.map(({ name }) => db.describeSpace(name)));
    return all.reduce((sum, { index }) => sum + (index?.pending ?? 0), 0);
  }

  /** What the tests look at from below. */
  async inspect(): Promise<object> {
    const count = (table: string): number =>
      Number(this.ctx.storage.sql.exec(`SELECT count(*) AS n FROM ${table}`).toArray()[0]?.n);
    const rows = { blocks: count('shibumi_blocks'), log: count('shibumi_log') };
    const alarmAtMs = await this.ctx.storage.getAlarm();
    return {
      alarmAtMs,
      rows,
      pendingAtAlarms: this.#pendingAtAlarms,
      instance: this.#instance,
      sockets: this.ctx.getWebSockets().length,
    };
  }
}

/** Nobody thought of users. */
export class Open extends ShibumiObject<Env> {
  protected override options(): EdgeOptions {
    return { wasm: relaxed };
  }
}

interface Namespace<Stub> {
  idFromName(name: string): unknown;
  get(id: unknown): Stub;
}

type Stub = ObjectStub & { fetch(request: Request): Promise<Response>; inspect(): Promise<object> };

interface Env {
  readonly ADMIN_PASSWORD: string;
  readonly NOTES: Namespace<Stub>;
  readonly OPEN: Namespace<Stub>;
}

/** `/notes/<object>/<path>`; `/inspect/<object>`; `/rpc/<object>`: a few calls by RPC, told as JSON. */
export default {
  async fetch(request: Request, env: Env): Promise<Response> {
    const url = new URL(request.url);
    const [, kind = '', name = '', ...rest] = url.pathname.split('/');
    const namespace = kind === 'open' ? env.OPEN : env.NOTES;
    const stub = (): Stub => namespace.get(namespace.idFromName(name));
    if (kind === 'inspect') return Response.json(await stub().inspect());
    if (kind === 'rpc') return Response.json(await callByRpc(stub, env.ADMIN_PASSWORD));
    return stub().fetch(new Request(new URL(`/${rest.join('/')}${url.search}`, url), request));
  },
};

async function callByRpc(stub: () => ObjectStub, password: string): Promise<object> {
  const stranger = await connectObject(stub);
  const refused = await stranger.listSpaces().catch((error: unknown) => isShibuDbError(error) && error.code);
  await stranger.close();
  await using db = await connectObject(stub, { username: 'admin', password });
  await db.createSpace('words', 'vector', { dimension: 2, ids: 'string', metric: 'Cosine' });
  await db.useSpace('words');
  await db.insertVectors(['east', 'north'], Float32Array.of(1, 0, 0, 1));
  const hits = await db.searchTopK([0.9, 0.1], 2);
  const ids: unknown[] = [];
  for await (const { id } of db.scanVectors()) ids.push(id);
  return { refused, hits: hits.map(({ id }) => id), ids };
}
