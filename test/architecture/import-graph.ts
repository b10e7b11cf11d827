// Reads which modules a source file imports. A scan of the text is enough: the formatter keeps every import in one of
// three shapes, and a walk that finds no imports at all fails the tests that use it.

import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';

export interface Import {
  /** As written: `./x.ts`, `idb`. */
  readonly specifier: string;
  /** Erased by the compiler: nothing is loaded. */
  readonly typeOnly: boolean;
  /** `import(…)`: loaded when it is reached, not with the file. */
  readonly dynamic: boolean;
}

const staticImport = /^(?:import|export)\s+(type\s)?(?:[^'";]*?\sfrom\s+)?['"]([^'"]+)['"]/gm;
const dynamicImport = /\bimport\(\s*['"]([^'"]+)['"]/g;

export function importsOf(file: string): Import[] {
  // Comments may show imports; line comments and block comments go, strings with `//` in imports do not occur.
  const text = readFileSync(file, 'utf8').replace(/\/\*[\s\S]*?\*\/|^\s*\/\/.*$/gm, '');
  return [
    ...Array.from(text.matchAll(staticImport), (match) => ({
      specifier: match[2] ?? '',
      typeOnly: match[1] !== undefined,
      dynamic: false,
    })),
    ...Array.from(text.matchAll(dynamicImport), (match) => ({
      specifier: match[1] ?? '',
      typeOnly: false,
      dynamic: true,
    })),
  ];
}

/** The files that `file` imports by relative path, each with its import. @throws where one does not exist */
export function localImportsOf(file: string): { file: string; found: Import }[] {
  return importsOf(file)
    .filter(({ specifier }) => specifier.startsWith('.'))
    .map((found) => {
      const target = path.resolve(path.dirname(file), found.specifier);
      if (!existsSync(target)) throw new Error(`${file} imports ${found.specifier}, which is not there`);
      return { file: target, found };
    });
}

/** Every file that is loaded together with `entry`, itself included. */
export function loadedWith(entry: string): Set<string> {
  const loaded = new Set([path.resolve(entry)]);
  for (const file of loaded) {
    for (const { file: target, found } of localImportsOf(file)) {
      if (!found.typeOnly && !found.dynamic) loaded.add(target);
    }
  }
  return loaded;
}
