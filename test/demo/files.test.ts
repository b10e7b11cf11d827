/** Reading what a person gives: what is taken, what is refused, and in which words. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  type Candidate,
  candidatesOfFiles,
  contentHash,
  decodeText,
  formatOfPaste,
  nameOfPaste,
  RefusedFile,
  readTextFile,
} from '../../demo/text/files.ts';

const candidate = (name: string, content: BlobPart): Candidate => ({
  name,
  inFolder: false,
  open: async () => new Blob([content]),
});

test('text and Markdown files are read, by any of their endings', async () => {
  assert.deepEqual(await readTextFile(candidate('a/Notes.MD', '# Hi')), {
    name: 'a/Notes.MD',
    text: '# Hi',
    format: 'markdown',
  });
  assert.equal((await readTextFile(candidate('x.markdown', 'x'))).format, 'markdown');
  assert.equal((await readTextFile(candidate('x.txt', 'x'))).format, 'plain');
});

test('byte order marks are understood and taken off', () => {
  assert.equal(decodeText(new Uint8Array([0xef, 0xbb, 0xbf, 0x68, 0x69])), 'hi');
  assert.equal(decodeText(new Uint8Array([0xff, 0xfe, 0x68, 0, 0x69, 0])), 'hi');
  assert.equal(decodeText(new Uint8Array([0xfe, 0xff, 0, 0x68, 0, 0x69])), 'hi');
});

test('what is not text is refused with a reason', async () => {
  const refused: [Candidate, RegExp][] = [
    [candidate('cat.png', 'x'), /not a text or Markdown file/],
    [candidate('README', 'x'), /not a text or Markdown file/],
    [candidate('empty.md', ''), /is empty/],
    [candidate('blank.txt', ' \n\uFEFF'), /is empty/],
    [candidate('renamed.txt', new Uint8Array([0x89, 0x50, 0x4e, 0x47, 0, 1])), /binary data/],
    [candidate('latin1.txt', new Uint8Array([0x63, 0x61, 0x66, 0xe9])), /not UTF-8/],
    [
      { name: 'gone.txt', inFolder: false, open: () => Promise.reject(new Error('gone')) },
      /could not be read/,
    ],
    [
      { name: 'huge.txt', inFolder: false, open: async () => ({ size: 70 * 2 ** 20 }) as Blob },
      /70 MB; at most 64 MB/,
    ],
  ];
  for (const [file, reason] of refused) {
    await assert.rejects(
      readTextFile(file),
      (error) => error instanceof RefusedFile && reason.test(error.message),
      file.name,
    );
  }
});

test('hidden files and dependencies of a chosen folder are left out', () => {
  const inFolder = (path: string): File =>
    Object.defineProperty(new File(['x'], path), 'webkitRelativePath', { value: path });
  const names = candidatesOfFiles(['v/a.md', 'v/.git/b.md', 'v/node_modules/p/README.md'].map(inFolder)).map(
    ({ name }) => name,
  );
  assert.deepEqual(names, ['v/a.md']);
});

test('a paste is named by how it begins', () => {
  assert.equal(nameOfPaste('\n## Shopping\n- milk'), 'Pasted: Shopping');
  assert.equal(
    nameOfPaste('one two three four five six seven eight nine ten eleven'),
    'Pasted: one two three four five six seven eight nine…',
  );
  assert.equal(formatOfPaste('# Title\ntext'), 'markdown');
  assert.equal(formatOfPaste('just a line'), 'plain');
});

test('the content hash tells texts apart that differ in one letter, in order or in length', () => {
  const texts = ['', 'a', 'b', 'ab', 'ba', 'aa', 'aaa', '\0', '\0\0', 'é', 'e\u0301'];
  assert.equal(new Set(texts.map(contentHash)).size, texts.length);
  const many = Array.from({ length: 50_000 }, (_, index) => contentHash(`note ${index}`));
  assert.equal(new Set(many).size, many.length);
  assert.match(contentHash('x'), /^[0-9a-f]{16}$/);
});
