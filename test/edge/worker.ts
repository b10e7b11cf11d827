/**
 * The script that the edge tests run inside workerd: a Durable Object that runs conformance cases on its own storage, and one
 * that uses `shibumi/edge` as an application would.
 */

import { DurableObject } from 'cloudflare:workers';
import relaxed from 'shibumi-relaxed.wasm';
import simd128 from 'shibumi-simd128.wasm';
import { deleteDatabase, open } from '../../src/edge.ts';
import { runCase, suite } from '../conformance/suite.ts';

const modules = { relaxed, simd128 };
/** More than the default: some cases put 16 MiB at once, and what holds at the limit has a test of its own. */
const memoryBytesMax = 127_000_000;

/** Each database of a case gets tables of its own. */
function prefixOf(name: string): string {
  return `t${name.replace(/[^A-Za-z0-9]/g, '_')}`;
}

export class CaseRunner extends DurableObject {
  /** Runs a case by its name; answers with what went wrong, if anything. */
  async runCase(name: string, build: 'relaxed' | 'simd128'): Promise<string | undefined> {
    const entry = suite.find((one) => one.name === name);
    if (entry === undefined) return `there is no case "${name}"`;
    try {
      await runCase(entry, {
        build,
        storage: 'durable-object',
        open: (db, options) =>
          open(this.ctx.storage, { wasm: modules[build], prefix: prefixOf(db), memoryBytesMax, ...options }),
        deleteDatabase: (db) => deleteDatabase(this.ctx.storage, { prefix: prefixOf(db) }),
      });
      return undefined;
    } catch (error) {
      return error instanceof Error ? `${error.stack}` : String(error);
    }
  }
}

interface Env {
  readonly CASES: {
    idFromName(name: string): unknown;
    get(id: unknown): Pick<CaseRunner, 'runCase'>;
  };
}

export default {
  async fetch(request: Request, env: Env): Promise<Response> {
    const { name, build } = (await request.json()) as { name: string; build: 'relaxed' | 'simd128' };
    const stub = env.CASES.get(env.CASES.idFromName(build));
    return Response.json({ failure: await stub.runCase(name, build) });
  },
};
