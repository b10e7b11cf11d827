// The script of a page's worker in parts: the worker's own file, and one file for each part (src/engine/parts.ts), loaded when something
// first needs it.
//
// A worker of several modules that import one another is what bundlers refuse (Vite before 8 makes one script of it) or leave behind. So
// none of these files imports another. What parts have in common with the worker is all in the worker's file, which hands it over on
// the global object; and a part is named as the core is, `new URL('./worker-users.js', import.meta.url)`, the form in which bundlers carry any
// file along as it is. The worker imports it by that address (src/base/part.ts), which a policy of `'self'` allows.

import { createHash } from 'node:crypto';
import path from 'node:path';

/** @typedef {import('rolldown').Plugin} Plugin */

const partsFiles = ['src/space/parts.ts', 'src/engine/parts.ts'];
const partImport = /\(\) =>\s*import\((['"])(\.\/parts\/([\w-]+)\.ts)\1\)/g;

/** The name of a part's file. @param {string} name as in src/engine/parts and src/space/parts */
export const fileOfPart = (name) => `worker-${name}.js`;

/**
 * All parts inside the file that is bundled: where nothing can be loaded later, or whoever takes it expects one file.
 * @param {string} root
 * @returns {Plugin}
 */
export function partsInside(root) {
  return {
    name: 'parts-inside',
    transform(code, id) {
      if (!partsFiles.includes(path.relative(root, id))) return undefined;
      const found = [...code.matchAll(partImport)];
      if (found.length === 0) throw new Error(`No parts were found in ${id}`);
      const imports = found.map(([, , specifier], i) => `import * as part${i} from '${specifier}';`);
      let i = 0;
      // On the first line, so that the others stay where they are.
      return { code: imports.join('') + code.replace(partImport, () => `async () => part${i++}`), map: null };
    },
  };
}

/**
 * Each part in a file of its own, all else in the entry's: `group` says so to rolldown. Requires: no file imports another's bindings
 * that change.
 * @param {string} entry
 * @returns {{ plugin: Plugin, group: { name: string, test: (id: string) => boolean } }}
 */
export function partsBeside(entry) {
  /** @type {Set<string>} */
  const inParts = new Set();
  /** @type {Set<string>} */
  const changing = new Set();
  let build = '';
  /** @type {Plugin} */
  const plugin = {
    name: 'parts-beside',
    buildEnd() {
      /** @param {string} from @param {ReadonlySet<string>} [without] */
      const reached = (from, without = new Set()) => {
        const found = new Set([from]);
        for (const id of found)
          for (const next of this.getModuleInfo(id)?.importedIds ?? [])
            if (!without.has(next)) found.add(next);
        return found;
      };
      const [file] = [...this.getModuleIds()].filter((id) => this.getModuleInfo(id)?.isEntry);
      if (file === undefined) throw new Error('There is no entry');
      const shared = reached(file);
      const parts = new Set(
        [...shared].flatMap((id) => this.getModuleInfo(id)?.dynamicallyImportedIds ?? []),
      );
      /** @type {Set<string>} */
      const seen = new Set();
      for (const part of parts)
        for (const id of reached(part, shared)) {
          // What is in two parts is the entry's.
          if (seen.has(id)) inParts.delete(id);
          else inParts.add(id);
          seen.add(id);
        }
      const hash = createHash('sha256');
      for (const id of [...this.getModuleIds()].sort()) hash.update(this.getModuleInfo(id)?.code ?? '');
      build = hash.digest('base64url').slice(0, 12);
    },
    renderChunk(code, chunk) {
      const handedOver = `globalThis[Symbol.for("shibumi ${build}")]`;
      let rewritten = code;
      // From the end, so that what is before it stays where it is. Everything stays on its line, for the source map.
      for (const node of this.parse(code).body.reverse()) {
        /** @param {string} text */
        const replace = (text) => {
          rewritten = rewritten.slice(0, node.start) + text + rewritten.slice(node.end);
        };
        if (node.type === 'ImportDeclaration') {
          if (node.source.value !== `./${entry}`)
            throw new Error(`${chunk.fileName} imports ${node.source.value}, expected only ./${entry}`);
          const names = node.specifiers.map((each) => `${nameOf(each, 'imported')}: ${each.local.name}`);
          // A part that a cache has kept from another build would find other things under these names.
          const stranger = '(() => { throw new Error("it belongs to another build of the worker"); })()';
          replace(`const { ${names.join(', ')} } = ${handedOver} ?? ${stranger};`);
        } else if (node.type === 'ExportNamedDeclaration' && chunk.isEntry) {
          const names = node.specifiers.map(
            (each) => `${nameOf(each, 'exported')}: ${nameOf(each, 'local')}`,
          );
          replace(`${handedOver} = { ${names.join(', ')} };`);
        } else if (chunk.isEntry && node.type === 'VariableDeclaration' && node.kind === 'let') {
          for (const { id } of node.declarations) if (id.type === 'Identifier') changing.add(id.name);
        }
      }
      if (!chunk.isEntry) return { code: rewritten, map: null };
      const given = /** @type {RegExpExecArray} */ (/\] = \{ (.*) \};\s*$/.exec(rewritten));
      for (const pair of (given[1] ?? '').split(', ')) {
        const name = pair.split(': ')[1] ?? '';
        if (changing.has(name)) throw new Error(`A part uses ${name}, a variable that may change`);
      }
      return {
        code: rewritten.replace(
          /\bimport\((["'])(\.\/worker-[\w-]+\.js)\1\)/g,
          'new URL("$2", import.meta.url)',
        ),
        map: null,
      };
    },
  };
  return { plugin, group: { name: path.parse(entry).name, test: (id) => !inParts.has(id) } };
}

/**
 * @param {any} specifier
 * @param {'imported' | 'exported' | 'local'} side
 * @returns {string}
 */
function nameOf(specifier, side) {
  const name = specifier[side]?.name;
  if (typeof name !== 'string') throw new Error(`Cannot hand over ${specifier.type}`);
  return name;
}
