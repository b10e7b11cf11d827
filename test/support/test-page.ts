/** Builds the page of the browser tests as an application would be built, and serves it on a free port. */

import { mkdtemp, rm } from 'node:fs/promises';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { build, type InlineConfig, type Plugin, preview } from 'vite';
import { chosenMutant, mutated } from '../crash/mutants.ts';

const root: string = path.resolve(import.meta.dirname, '../..');

const isolation = {
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Cross-Origin-Embedder-Policy': 'require-corp',
};

export interface PageServer {
  readonly url: string;
  /** The paths that were asked for, in order. */
  readonly asked: string[];
  close(): Promise<void>;
}

/** A build that says it is another one than it is. */
export interface OtherBuild {
  readonly version: string;
  readonly protocol: number;
  readonly format: number;
  /** The version of its IndexedDB databases. Default: as here. */
  readonly layout?: number;
}

/**
 * @param others further builds of the same page, each in a folder of its name
 * @param isolated serve it as a page that is cross-origin isolated, which may share memory among threads
 */
export async function serveTestPage(
  others: Record<string, OtherBuild> = {},
  { isolated = false }: { isolated?: boolean } = {},
): Promise<PageServer> {
  const outDir = await mkdtemp(path.join(tmpdir(), 'shibumi-test-page-'));
  // Made anew for each build: Vite writes into what it is given.
  const config = (folder: string, plugins: () => Plugin[]): InlineConfig => ({
    configFile: false,
    root: path.join(import.meta.dirname, 'page'),
    logLevel: 'warn',
    // A file that is not there is a 404, not the page.
    appType: 'mpa',
    resolve: { alias: [{ find: /^shibumi$/, replacement: path.join(root, 'src/index.ts') }] },
    base: `/${folder}`,
    plugins: plugins(),
    worker: { format: 'es', plugins },
    build: { outDir: path.join(outDir, folder), emptyOutDir: true, target: 'es2022' },
    // Also under names that a test's browser resolves by itself.
    preview: {
      host: '127.0.0.1',
      port: 0,
      open: false,
      allowedHosts: true,
      headers: isolated ? isolation : {},
    },
  });
  await build(config('', () => [mutate()]));
  for (const [folder, other] of Object.entries(others))
    await build(config(`${folder}/`, () => [pretend(other)]));
  const asked: string[] = [];
  const server = await preview(config('', () => [noteRequests(asked)]));
  const address = server.httpServer.address();
  if (address === null || typeof address === 'string') throw new Error(`Expected a port, found ${address}`);
  return {
    url: `http://127.0.0.1:${address.port}/`,
    asked,
    async close() {
      await server.close();
      await rm(outDir, { recursive: true, force: true });
    },
  };
}

/** Makes the page the mutant that this process is to be (test/crash/mutants.ts), if any. */
function mutate(): Plugin {
  const mutant = chosenMutant();
  return {
    name: 'mutate',
    enforce: 'pre',
    transform(code, id) {
      return mutant !== undefined && id.endsWith(`/src/${mutant.file}`) ? mutated(mutant, code) : undefined;
    },
  };
}

/** Which files a page needs is a matter of what it asks for: requests of nested workers are seen nowhere else. */
function noteRequests(asked: string[]): Plugin {
  return {
    name: 'note-requests',
    configurePreviewServer: ({ middlewares }) => {
      middlewares.use((request: IncomingMessage, _response: ServerResponse, next: () => void) => {
        asked.push(request.url ?? '');
        next();
      });
    },
  };
}

/** Changes what src/base/build.ts says of the build, the version of its databases if that is another, and nothing else. */
function pretend({ version, protocol, format, layout }: OtherBuild): Plugin {
  return {
    name: 'pretend-build',
    enforce: 'pre',
    transform(code, id) {
      if (layout !== undefined && id.endsWith('/src/storage/indexeddb-backend.ts'))
        return code.replace(/layoutVersion = \d+/, `layoutVersion = ${layout}`);
      if (!id.endsWith('/src/base/build.ts')) return undefined;
      const changed = code
        .replace(/formatVersion(: number)? = \d+/, `formatVersion$1 = ${format}`)
        .replace(/version: '[^']+', protocol: \d+/, `version: '${version}', protocol: ${protocol}`);
      if (!changed.includes(`protocol: ${protocol}`) || !changed.includes(`formatVersion = ${format}`))
        throw new Error('src/base/build.ts is not written as this test expects');
      return changed;
    },
  };
}
