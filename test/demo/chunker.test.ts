/** Cutting texts into passages: Markdown's structure, sizes, overlap, positions, and texts nobody expects. */

import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { embeddingText, type Passage, passagesOf } from '../../demo/text/chunker.ts';
import { readableHeading, readableMarkdown } from '../../demo/text/markdown.ts';
import { countWords, sentencesOf } from '../../demo/text/sentences.ts';

const markdown = (source: string): Passage[] => [...passagesOf(source, 'markdown')];
const plain = (source: string): Passage[] => [...passagesOf(source, 'plain')];

/** A sentence of ten words that names its number. */
const sentence = (n: number): string => `Sentence ${n} goes on for ten words and then stops.`;
const sentences = (from: number, to: number): string =>
  Array.from({ length: to - from }, (_, i) => sentence(from + i)).join(' ');

test('a passage knows the headings above it, outermost first', () => {
  const [one, two, three] = markdown(
    `# Book\n\n${sentences(0, 9)}\n\n## Chapter *one*\n\n${sentences(10, 19)}\n\nChapter two\n-----------\n\n${sentences(20, 29)}`,
  );
  assert.deepEqual(one?.headings, ['Book']);
  assert.deepEqual(two?.headings, ['Book', 'Chapter one']);
  assert.deepEqual(three?.headings, ['Book', 'Chapter two']);
  assert.ok(three?.text.startsWith('Sentence 20'));
});

test('a skipped heading level does not confuse the path', () => {
  const passages = markdown(`# A\n### B\n${sentences(0, 13)}\n## C\n${sentences(20, 33)}`);
  assert.deepEqual(
    passages.map(({ headings }) => headings),
    [
      ['A', 'B'],
      ['A', 'C'],
    ],
  );
});

test('a long paragraph is cut at sentences, neighbours share one, none exceeds 140 words', () => {
  const passages = plain(sentences(0, 60));
  assert.ok(passages.length >= 3);
  for (const { text } of passages) {
    assert.ok(countWords(text) <= 140, `${countWords(text)} words`);
    assert.match(text, /^Sentence .* stops\.$/s);
  }
  for (let i = 1; i < passages.length; i++) {
    const first = /^Sentence \d+/.exec(passages[i]!.text)?.[0] ?? '';
    assert.ok(
      passages[i - 1]!.text.includes(`${first} `),
      `passage ${i} begins with a sentence of the one before`,
    );
    assert.ok(passages[i]!.start < passages[i - 1]!.end);
  }
});

test('short sections that follow each other share a passage that names them', () => {
  const passages = markdown('# Log\n## 1.1\nFaster search.\n## 1.0\nFirst release.\n');
  assert.deepEqual(
    passages.map(({ headings }) => headings),
    [['Log']],
  );
  assert.equal(passages[0]?.text, '1.1\nFaster search.\n1.0\nFirst release.');
});

test('every word of every sample note is in a passage, and positions hold what is shown', () => {
  for (const file of globSync('demo/sample/*.md')) {
    const source = readFileSync(file, 'utf8');
    const passages = markdown(source);
    const shown = new Set(passages.flatMap(({ text, headings }) => words([text, ...headings].join(' '))));
    for (const word of words(source)) assert.ok(shown.has(word), `${file}: “${word}”`);
    for (const { start, end, text } of passages) {
      const slice = new Set(words(source.slice(start, end)));
      const body = text.split('\n').at(-1) ?? '';
      for (const word of words(body)) assert.ok(slice.has(word), `${file} ${start}–${end}: “${word}”`);
    }
  }
});

const words = (text: string): string[] => text.match(/[\p{L}\p{N}]{2,}/gu) ?? [];

test('Markdown marks go, what they mark stays', () => {
  const readable: Record<string, string> = {
    'a **bold** and _slanted_ ~~old~~ word': 'a bold and slanted old word',
    'see [the docs](https://x.org/a_(b)) and ![a cat](cat.png)': 'see the docs and a cat',
    'call `snake_case_name` and `a*b*c`': 'call snake_case_name and a*b*c',
    'snake_case_name stays, 2 * 3 * 4 too': 'snake_case_name stays, 2 * 3 * 4 too',
    '- [x] done': '• done',
    '12) twelfth': '12. twelfth',
    '> quoted\n> twice': 'quoted twice',
    '| a | b \\| c |': 'a · b | c',
    'Tom &amp; Jerry &lt;3 <b>loud</b> <https://x.org>': 'Tom & Jerry <3 loud https://x.org',
    '\\*not slanted\\*': '*not slanted*',
  };
  for (const [source, expected] of Object.entries(readable))
    assert.equal(readableMarkdown(source), expected, source);
  assert.equal(readableHeading('## `put` and *get* ##'), 'put and get');
});

test('code is kept line by line, front matter, comments, rules and link definitions are not text', () => {
  const passages = markdown(
    '---\ntitle: hidden\n---\nBefore.\n\n```ts\nconst a = 1;\n\nif (a) {\n  b();\n}\n```\n<!-- a\ncomment -->\n***\n[x]: https://x.org\nAfter.\n',
  );
  assert.equal(passages.length, 1);
  assert.equal(passages[0]?.text, 'Before.\nconst a = 1;\nif (a) {\n  b();\n}\nAfter.');
});

test('indented code keeps its lines, an indented paragraph of a list is text', () => {
  assert.equal(
    markdown('Before:\n\n    a_b    = *p\n      c\n\nAfter.')[0]?.text,
    'Before:\na_b  = *p\n  c\nAfter.',
  );
  assert.equal(markdown('1. one\n\n    still *one*\n2. two')[0]?.text, '1. one\nstill one\n2. two');
});

test('text behind a comment on the same line is kept', () => {
  assert.equal(markdown('<!-- hidden --> shown')[0]?.text, 'shown');
});

test('an unclosed fence and a rule in a text do not swallow it', () => {
  assert.match(markdown('# T\n```\nopen code\n').at(-1)?.text ?? '', /open code/);
  assert.equal(
    markdown('---\nno front matter here, only a rule').at(0)?.text,
    'no front matter here, only a rule',
  );
});

test('headings alone are text of their own', () => {
  assert.deepEqual(
    markdown('# Only a title').map(({ text }) => text),
    ['Only a title'],
  );
  assert.match(markdown('# A\n## To do\n## Done\n').at(0)?.text ?? '', /To do[\s\S]*Done/);
});

test('plain text keeps its marks and joins wrapped lines', () => {
  assert.equal(
    plain('# not a heading\nwrapped\nline\n\nnext *paragraph*')[0]?.text,
    '# not a heading wrapped line\nnext *paragraph*',
  );
});

test('empty texts give no passage', () => {
  for (const source of ['', ' \n\t\n', '---\n', '<!-- nothing -->'])
    assert.deepEqual(markdown(source), [], JSON.stringify(source));
});

test('one huge line is cut into passages in linear time', () => {
  const startedMs = performance.now();
  const passages = [...plain('a'.repeat(4_000_000)), ...markdown(`# ${'*word '.repeat(400_000)}\n===`)];
  assert.ok(passages.length > 2000);
  for (const { text } of passages) assert.ok(text.length <= 1700, `${text.length} characters`);
  assert.ok(performance.now() - startedMs < 5000, 'took over five seconds');
});

test('text without spaces is cut at its own full stops', () => {
  const passages = plain('数据库把数据写进日志。'.repeat(400));
  assert.ok(passages.length > 1);
  for (const { text } of passages) assert.match(text, /。$/);
});

test('abbreviations, initials and decimals do not end a sentence', () => {
  const source = 'Dr. Smith met J. Doe at 3.5 km, i.e. Far away. Then he left! “Why?” Nobody knows.';
  const found = [...sentencesOf(source, 0, source.length)].map(({ start, end }) => source.slice(start, end));
  assert.deepEqual(found, [
    'Dr. Smith met J. Doe at 3.5 km, i.e. Far away.',
    'Then he left!',
    '“Why?”',
    'Nobody knows.',
  ]);
});

test('line ends of Windows change nothing but positions', () => {
  const source = `# A\n\n${sentences(0, 13)}\n\n- one\n- two\n`;
  const shape = ({ text, headings }: Passage) => ({ text, headings });
  assert.deepEqual(markdown(source.replaceAll('\n', '\r\n')).map(shape), markdown(source).map(shape));
});

test('what is embedded names the file and the headings', () => {
  assert.equal(
    embeddingText('notes/sourdough.md', { headings: ['Baking'], text: 'Heat a pot.' }),
    'sourdough\nBaking\nHeat a pot.',
  );
});
