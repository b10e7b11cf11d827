// Postgres with pgvector in this process, over its socket: PGlite, which package.json in this folder names and the first run installs.

import { createRequire } from 'node:module';
import path from 'node:path';
import type { TestContext } from 'node:test';
import { pathToFileURL } from 'node:url';
import { missingPackages } from '../support/npm-install.ts';

/** Why there is no PGlite here. */
export const noPglite: string | false = missingPackages(import.meta.dirname);

/** What is used of the three packages: they are not there when the types are checked. */
interface Pglite {
  query<Row>(text: string, values?: unknown[]): Promise<{ rows: Row[] }>;
  close(): Promise<void>;
}
interface Packages {
  readonly PGlite: { create(options: { extensions: object }): Promise<Pglite> };
  readonly vector: object;
  readonly PGLiteSocketServer: new (options: {
    db: Pglite;
    port: number;
    host: string;
  }) => {
    start(): Promise<void>;
    stop(): Promise<void>;
    getServerConn(): string;
  };
}

async function load(): Promise<Packages> {
  const require = createRequire(path.join(import.meta.dirname, 'package.json'));
  const names = ['@electric-sql/pglite', '@electric-sql/pglite-pgvector', '@electric-sql/pglite-socket'];
  const loaded = await Promise.all(names.map((name) => import(pathToFileURL(require.resolve(name)).href)));
  return Object.assign({}, ...loaded) as Packages;
}

/** It takes one connection. `query` goes past the socket. */
export async function startPglite(t: TestContext): Promise<{ url: string; query: Pglite['query'] }> {
  const { PGlite, vector, PGLiteSocketServer } = await load();
  const db = await PGlite.create({ extensions: { vector } });
  const server = new PGLiteSocketServer({ db, port: 0, host: '127.0.0.1' });
  await server.start();
  t.after(async () => {
    await server.stop();
    await db.close();
  });
  const [host, port] = server.getServerConn().split(':');
  return {
    url: `postgres://postgres:postgres@${host}:${port}/postgres?pool_max=1&sslmode=disable`,
    query: (text, values) => db.query(text, values),
  };
}
