/**
 * A semantic search API on a Worker: documents go in, the nearest ones in meaning come out.
 *
 *   PUT /documents/<id>   { "title", "text" }     with Authorization: Bearer <API_TOKEN>
 *   GET /search?q=…&k=5   { "hits": [{ "id", "title", "distance" }] }
 *
 * One Durable Object holds the index. The embedder is the demo's: it needs no model; put your own in its place.
 */

import { type EdgeOptions, ShibumiObject } from 'shibumi/edge';
import wasm from 'shibumi/shibumi-relaxed.wasm';
import { createLexicalEmbedder } from '../../../demo/embed/lexical.ts';

interface Env {
  readonly INDEX: { idFromName(name: string): unknown; get(id: unknown): SearchIndex };
  /** Secrets: `wrangler secret put …`. */
  readonly ADMIN_PASSWORD: string;
  readonly API_TOKEN: string;
}

interface Found {
  readonly id: string;
  readonly title: string;
  readonly distance: number;
}

const embedder = createLexicalEmbedder();

export class SearchIndex extends ShibumiObject<Env> {
  protected override options(): EdgeOptions {
    return { wasm, admin: { username: 'admin', password: this.env.ADMIN_PASSWORD } };
  }

  async add(id: string, title: string, text: string): Promise<void> {
    const db = await this.database();
    const spaces = new Set((await db.listSpaces()).map(({ name }) => name));
    if (!spaces.has('titles')) await db.createSpace('titles', 'key-value');
    if (!spaces.has('documents')) {
      const { dimension } = embedder;
      await db.createSpace('documents', 'vector', {
        dimension,
        ids: 'string',
        metric: 'Cosine',
        indexType: 'HNSW16',
      });
    }
    await db.put(id, title, { space: 'titles' });
    await db.insertVector(id, await embedder.embed([`${title}\n${text}`]), { space: 'documents' });
  }

  async search(question: string, k: number): Promise<Found[]> {
    const db = await this.database();
    if (!(await db.listSpaces()).some(({ name }) => name === 'documents')) return [];
    const hits = await db.searchTopK(await embedder.embed([question]), k, { space: 'documents' });
    const titles = await db.getMany(
      hits.map(({ id }) => String(id)),
      { space: 'titles' },
    );
    return hits.map(({ id, distance }, i) => ({ id: String(id), title: String(titles[i] ?? ''), distance }));
  }
}

export default {
  async fetch(request: Request, env: Env): Promise<Response> {
    const { pathname, searchParams } = new URL(request.url);
    const index = env.INDEX.get(env.INDEX.idFromName('main'));
    const [, resource, id] = pathname.split('/');
    if (request.method === 'GET' && resource === 'search') {
      const question = searchParams.get('q');
      const k = Number(searchParams.get('k') ?? 5);
      if (!question || !Number.isInteger(k) || k < 1 || k > 100)
        return Response.json({ error: 'expected q, a question, and k from 1 to 100' }, { status: 400 });
      return Response.json({ hits: await index.search(question, k) });
    }
    if (request.method === 'PUT' && resource === 'documents' && id) {
      if (request.headers.get('authorization') !== `Bearer ${env.API_TOKEN}`)
        return Response.json({ error: 'expected the API token' }, { status: 401 });
      const { title, text } = (await request.json().catch(() => ({}))) as { title?: unknown; text?: unknown };
      if (typeof title !== 'string' || typeof text !== 'string')
        return Response.json({ error: 'expected { "title", "text" }, two texts' }, { status: 400 });
      await index.add(decodeURIComponent(id), title, text);
      return new Response(null, { status: 204 });
    }
    return Response.json({ error: 'there is nothing here' }, { status: 404 });
  },
};
