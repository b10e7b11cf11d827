/**
 * Makes the index of a folder of Markdown files, as files for a static host:
 *
 *   node examples/static/build-index.ts <folder> <index>
 */

import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { exportStatic, open } from 'shibumi/node';
import { createLexicalEmbedder } from '../../demo/embed/lexical.ts';

export async function buildIndex(folder: string, index: string): Promise<number> {
  await using db = await open('index', { storage: 'memory' });
  const embedder = createLexicalEmbedder();
  const { dimension } = embedder;
  const indexType = 'HNSW16,SQ8';
  await db.createSpace('passages', 'vector', { dimension, indexType, metric: 'Cosine', ids: 'string' });
  await db.createSpace('texts', 'key-value');
  for (const file of (await readdir(folder)).filter((name) => name.endsWith('.md'))) {
    const text = await readFile(path.join(folder, file), 'utf8');
    const passages = text.split(/\n{2,}/).filter((passage) => passage.trim() !== '');
    const ids = passages.map((_, i) => `${file} ${i}`);
    await db.insertVectors(ids, await embedder.embed(passages), { space: 'passages' });
    await db.putMany(
      ids.map((key, i) => ({ key, value: passages[i] as string })),
      { space: 'texts' },
    );
  }
  const { files } = await exportStatic(db, index, { prune: true });
  return files.length;
}

const [script = '', folder, index] = process.argv.slice(1);
if (import.meta.url === pathToFileURL(script).href) {
  if (folder === undefined || index === undefined) throw new Error('Expected a folder and where to write');
  console.log(`${await buildIndex(folder, index)} files in ${index}`);
}
