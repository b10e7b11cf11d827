/** The bundled sample: this project's own documents and a few notes, loaded only when someone asks for them. */

import { formatOf, type TextFile } from '../text/files.ts';

const texts: Record<string, () => Promise<string>> = import.meta.glob<string>(
  ['../../README.md', '../../ARCHITECTURE.md', '../../CHANGELOG.md', '../../docs/*.md', '../sample/*.md'],
  { query: '?raw', import: 'default' },
);

export async function* sampleFiles(): AsyncGenerator<TextFile> {
  for (const [path, load] of Object.entries(texts).sort()) {
    const name = path.replace(/^\.\.\/sample\//, 'notes/').replace(/^(\.\.\/)+/, 'shibumi/');
    yield { name, text: await load(), format: formatOf(name) ?? 'plain' };
  }
}
