/**
 * What the page's address chooses, so that a bug report is a link:
 *
 *     ?db=notes            name of the database (default `notes`)
 *     ?index=Flat          index type of new vector spaces (default `HNSW16`)
 *     ?storage=memory      where data is kept: `indexeddb` (default) or `memory`, forgotten with the page
 *     ?build=simd128       WASM build (default: the best the browser has)
 *     ?embedder=words      `words` or `minilm` (default: what was used last, else what the machine can have)
 */

import type { IndexType } from 'shibumi';

export type EmbedderChoice = 'words' | 'minilm';

export interface Settings {
  readonly database: string;
  readonly indexType: IndexType;
  readonly storage: 'indexeddb' | 'memory' | undefined;
  readonly build: 'simd128' | 'relaxed' | undefined;
  readonly embedder: EmbedderChoice | undefined;
  /** What the address said that could not be understood, in plain words. */
  readonly problems: readonly string[];
}

export function readSettings(search: string): Settings {
  const parameters = new URLSearchParams(search);
  const problems: string[] = [];

  const choose = <T extends string>(name: string, pattern: RegExp, expected: string): T | undefined => {
    const value = parameters.get(name);
    if (value === null || pattern.test(value)) return (value ?? undefined) as T | undefined;
    problems.push(`The address says ${name}=${value}; expected ${expected}. The default is used.`);
    return undefined;
  };

  return {
    database: choose('db', /^[\w.-]{1,64}$/, 'letters, digits, dots and dashes') ?? 'notes',
    indexType:
      choose<IndexType>(
        'index',
        /^(Flat|HNSW([2-9]|\d{2}|1\d{2}|2[0-4]\d|25[0-6]))$/,
        'Flat or HNSW2 to HNSW256',
      ) ?? 'HNSW16',
    storage: choose('storage', /^(indexeddb|memory)$/, 'indexeddb or memory'),
    build: choose('build', /^(simd128|relaxed)$/, 'simd128 or relaxed'),
    embedder: choose('embedder', /^(words|minilm)$/, 'words or minilm'),
    problems,
  };
}
