/** The bundled sample: this project's own documents and a few notes, loaded only when someone asks for them. */

import { formatOf, type TextFile } from '../text/files.ts';

const texts: Record<string, () => Promise<string>> = import.meta.glob<string>(
  [
    '../../README.md',
    '../../ARCHITECTURE.md',
    '../../CHANGELOG.md',
    '../../docs/*.md',
    // A generated list of declarations: nothing to read, and it would be near every question.
    '!../../docs/api.md',
    '!../../docs/figures.md',
    '../sample/*.md',
  ],
  { query: '?raw', import: 'default' },
);

export async function* sampleFiles(): AsyncGenerator<TextFile> {
  for (const [path, load] of Object.entries(texts).sort()) {
    const name = path.replace(/^\.\.\/sample\//, 'notes/').replace(/^(\.\.\/)+/, 'shibumi/');
    yield { name, text: await load(), format: formatOf(name) ?? 'plain' };
  }
}

/** By a sample document's name: what it answers. */
export const sampleQuestions: Readonly<Record<string, string>> = {
  'notes/write-ahead-log.md': 'what happens to the log after a crash',
  'notes/tomatoes.md': 'how large a pot does a tomato need',
  'notes/sourdough.md': 'when is the dough ready',
  'notes/bicycle-care.md': 'when does a chain have to be changed',
  'notes/backups.md': 'is a synced folder a backup',
};
