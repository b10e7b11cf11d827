import assert from 'node:assert/strict';
import { test } from 'node:test';
import { holds, parseExpression } from '../../src/server/resp/filter-expression.ts';
import { whereOf } from '../../src/server/resp/filter-where.ts';

const attributes = {
  year: 1980,
  price: -2.5,
  genre: 'action',
  director: "O'Hara",
  sold: true,
  tags: ['a', 'b'],
  mixed: [1, { no: 'tuple' }],
  text: '12',
  nothing: null,
  object: { year: 1 },
};

/** Whether each holds, by the rules of Redis' documentation. */
const cases: readonly (readonly [string, boolean])[] = [
  ['.year >= 1980 and .year < 1990', true],
  ['.year==1980&&!(.genre=="drama")', true],
  ['.genre == "action" and .price > 8.0', false],
  ['.genre in ["drama", "action"]', true],
  ['"tio" in .genre', true],
  ['"b" in .tags and not "c" in .tags', false],
  ['not ("c" in .tags)', true],
  ['(.year - 1970) ** 2 == 100 and .price / 2 < -1', true],
  ['2 ** 3 ** 2 == 512', true],
  ['1 + 2 * 3 == 7 and 10 % 4 == 2', true],
  ['.sold', true],
  ['.sold == 1 or .year == 0', true],
  ["!.sold || .director == 'O\\'Hara'", true],
  ['.text > 11 and .text == 12', true],
  ['.genre > 1', false],
  ['.genre != 5', true],
  ['.price == -2.5', true],
  ['.year in [1, 1980, "x"]', true],
  // What is not there makes all of it fail, also where the rest would do.
  ['.missing == 1 or .year == 1980', false],
  ['not .missing', false],
  ['.nothing == 0', false],
  ['.object', false],
  ['1 in .mixed', false],
  ['.toString', false],
];

test('expressions mean what they mean in Redis', () => {
  for (const [text, expected] of cases)
    assert.equal(holds(parseExpression(text), attributes), expected, text);
});

test('what is no expression is told with its place', () => {
  for (const text of [
    '',
    '.year >',
    '.year 5',
    '(.year',
    '.year)',
    '"open',
    '.a..b == 1',
    '.year = 1',
    '[1, .x]',
    '-"a"',
    '@x',
  ])
    assert.throws(() => parseExpression(text), /^Error: ERR syntax error in FILTER expression near:/, text);
  assert.throws(() => parseExpression(`${'('.repeat(100)}1${')'.repeat(100)}`), /nested too deeply/);
  assert.throws(() => parseExpression(' '.repeat(20_000)), /at most/);
});

test('what fits typed fields becomes a where, and nothing else does', () => {
  const fields = [
    { name: 'year', type: 'int' },
    { name: 'price', type: 'float' },
    { name: 'genre', type: 'string' },
    { name: 'sold', type: 'bool' },
    { name: 'tags', type: 'string[]' },
  ] as const;
  const where = (text: string): unknown => whereOf(parseExpression(text), fields);
  assert.deepEqual(where('1980 <= .year and not (.genre in ["a", "b"] or "x" in .tags)'), {
    op: 'and',
    filters: [
      { op: 'exists', field: 'year' },
      { op: 'exists', field: 'genre' },
      { op: 'exists', field: 'tags' },
      {
        op: 'and',
        filters: [
          { op: 'gte', field: 'year', value: 1980 },
          {
            op: 'not',
            filters: [
              {
                op: 'or',
                filters: [
                  { op: 'in', field: 'genre', values: ['a', 'b'] },
                  { op: 'eq', field: 'tags', value: 'x' },
                ],
              },
            ],
          },
        ],
      },
    ],
  });
  assert.deepEqual(where('.sold == 1'), {
    op: 'and',
    filters: [
      { op: 'exists', field: 'sold' },
      { op: 'eq', field: 'sold', value: true },
    ],
  });
  for (const text of [
    '.other == 1',
    '.year + 1 == 1981',
    '.genre > "a"',
    '.genre == 5',
    '.year == 1980.5',
    '.sold > 0',
    '"ct" in .genre',
    '.year in []',
    '.year',
    '.year == .price',
    '.tags == "a"',
    '.year == 1980 and .other == 1',
  ])
    assert.equal(where(text), undefined, text);
});
