/** Builds one of the examples as an application is built. */

import path from 'node:path';
import { build } from 'vite';

const root = path.resolve(import.meta.dirname, '../..');

export async function buildExample(name: string, outDir: string): Promise<void> {
  const source = (entry: string): { find: RegExp; replacement: string } => ({
    find: new RegExp(`^${entry}$`),
    replacement: path.join(root, `src/${entry === 'shibumi' ? 'index' : path.basename(entry)}.ts`),
  });
  await build({
    configFile: false,
    root: path.join(root, 'examples', name),
    base: './',
    logLevel: 'warn',
    resolve: { alias: [source('shibumi'), source('shibumi/bridge')] },
    worker: { format: 'es' },
    build: { outDir, emptyOutDir: true, target: 'es2022' },
  });
}
