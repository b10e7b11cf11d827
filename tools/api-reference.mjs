// Writes docs/api.md, the reference of all that can be called: `node tools/api-reference.mjs`. A test keeps it true.
//
// Every exported declaration of the files below, with its comment, in the order they stand there. The source is formatted,
// so a declaration begins in the first column and ends with a line that begins with `}` or ends with `;`.

import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';

const root = path.dirname(import.meta.dirname);
export const referenceFile = path.join(root, 'docs/api.md');

/** Titles and the files of their declarations; of a file that has others too, those named behind `#`. */
const sections = [
  [
    '`shibumi`: the page',
    ['src/index.ts', 'src/client/open-client.ts#ClientOptions', 'src/client/static-source.ts#StaticSource'],
  ],
  ['`shibumi/in-process`: a service worker', ['src/in-process.ts']],
  [
    '`shibumi/node`',
    ['src/node.ts', 'src/node/static-export.ts#StaticExportOptions,StaticExportReport,exportStatic'],
  ],
  [
    '`shibumi/edge`',
    ['src/edge.ts', 'src/edge/open-engine.ts#EdgeOptions', 'src/client/static-source.ts#FetchedSource'],
  ],
  [
    '`shibumi/server`',
    ['src/server/serve.ts', 'src/server/listeners/open-listeners.ts#ListenerOptions,ListenerName'],
  ],
  ['`shibumi/bridge`: the client', ['src/bridge.ts', 'src/bridge/client/connect.ts#ConnectOptions,connect']],
  ['`Database` and its types', ['src/api/database.ts', 'src/api/metadata.ts']],
  ['Users', ['src/api/users.ts']],
  ['Encryption', ['src/api/encryption.ts']],
  ['Events and the log', ['src/api/events.ts']],
  ['Pools', ['src/client/connection-pool.ts']],
  ['Errors', ['src/api/errors.ts']],
];

export function apiReference() {
  const parts = [
    '# API reference',
    '',
    'Made from the sources by `node tools/api-reference.mjs`; do not edit. How to begin is in the [README](../README.md).',
  ];
  for (const [title, files] of /** @type {[string, string[]][]} */ (sections)) {
    const declarations = files.flatMap((entry) => {
      const [file = '', names] = entry.split('#');
      const found = declarationsIn(readFileSync(path.join(root, file), 'utf8'));
      return names === undefined ? found : found.filter(({ name }) => names.split(',').includes(name));
    });
    if (declarations.length > 0) parts.push('', `## ${title}`);
    for (const { name, text } of declarations) parts.push('', `### \`${name}\``, '', '```ts', text, '```');
  }
  return `${parts.join('\n')}\n`;
}

/** @param {string} source */
function declarationsIn(source) {
  const lines = source.split('\n');
  const found = [];
  for (let at = 0; at < lines.length; at++) {
    const head = /^export (?:async )?(?:interface|type|function|class) (\w+)/.exec(lines[at] ?? '');
    if (head === null) continue;
    let from = at;
    if (/^ \*\/|^\/\*\*.*\*\/$/.test(lines[at - 1] ?? '')) {
      from--;
      while (!lines[from]?.startsWith('/**')) from--;
    }
    let to = at;
    // Functions and classes are told by their heads.
    const headOnly = /^export (?:async )?(?:function|class)/.test(lines[at] ?? '');
    const ends = headOnly ? /\{$/ : /^\}|;$/;
    while (
      !ends.test(lines[to] ?? '') ||
      (!headOnly && to > at && !/^(?:\}|\s+\|.*;$|\s.*;$)/.test(lines[to] ?? ''))
    )
      to++;
    if (!headOnly && lines[at]?.endsWith('{')) while (!lines[to]?.startsWith('}')) to++;
    const text = lines.slice(from, to + 1).join('\n');
    found.push({ name: head[1] ?? '', text: headOnly ? text.replace(/ \{$/, ';') : text });
  }
  return found;
}

if (process.argv[1] === import.meta.filename) writeFileSync(referenceFile, apiReference());
