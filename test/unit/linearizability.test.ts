/**
 * The checker that judges the histories of many tabs, itself judged: by histories whose verdict is plain, and by random small
 * ones against a search through every order.
 */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Action, nonLinearizable, type Operation, type Result } from '../support/linearizability.ts';
import { Random } from '../support/random.ts';

const put = (value: string): Action => ({ kind: 'put', value });
const get: Action = { kind: 'get' };
const increment: Action = { kind: 'increment' };
const remove: Action = { kind: 'delete' };

function done(beginMs: number, endMs: number, action: Action, result?: Result): Operation {
  return { beginMs, endMs, action, result };
}
function unknown(beginMs: number, action: Action): Operation {
  return { beginMs, endMs: undefined, action, result: undefined };
}

const good: Record<string, Operation[]> = {
  'nothing at all': [],
  'one after another': [
    done(0, 1, put('a')),
    done(2, 3, get, 'a'),
    done(4, 5, remove, true),
    done(6, 7, get),
  ],
  'a read beside a write sees either': [
    done(0, 1, put('a')),
    done(2, 9, put('b')),
    done(3, 4, get, 'a'),
    done(5, 6, get, 'b'),
  ],
  'writes side by side in either order': [done(0, 9, put('a')), done(0, 9, put('b')), done(10, 11, get, 'a')],
  'an unknown write that happened late': [
    done(0, 1, put('a')),
    unknown(2, put('b')),
    done(3, 4, get, 'a'),
    done(50, 51, get, 'b'),
  ],
  'an unknown write that never happened': [done(0, 1, put('a')), unknown(2, put('b')), done(3, 4, get, 'a')],
  'increments, one of them unknown and counted': [
    done(0, 1, increment, 1),
    unknown(2, increment),
    done(3, 4, increment, 3),
  ],
  'a condition that did not hold': [
    done(0, 1, put('a')),
    done(2, 3, { kind: 'putIf', value: 'b', expected: 'x' }, false),
    done(4, 5, { kind: 'putIf', value: 'c', expected: 'a' }, true),
    done(6, 7, get, 'c'),
  ],
};

const bad: Record<string, Operation[]> = {
  'an acknowledged write is lost': [done(0, 1, put('a')), done(2, 3, get)],
  'a read is stale': [done(0, 1, put('a')), done(2, 3, put('b')), done(4, 5, get, 'a')],
  'a read goes back behind an earlier one': [
    done(0, 1, put('a')),
    done(2, 20, put('b')),
    done(3, 4, get, 'b'),
    done(5, 6, get, 'a'),
  ],
  'a value nobody wrote': [done(0, 1, put('a')), done(2, 3, get, 'z')],
  'an increment is doubled': [done(0, 1, increment, 1), done(2, 3, get, '2')],
  'an increment is lost': [done(0, 1, increment, 1), done(2, 3, increment, 2), done(4, 5, increment, 2)],
  'two increments got one number': [done(0, 9, increment, 1), done(0, 9, increment, 1)],
  'an unknown write happens twice': [
    done(0, 1, put('a')),
    unknown(2, put('b')),
    done(3, 4, get, 'b'),
    done(5, 6, put('c')),
    done(7, 8, get, 'b'),
  ],
  'a value is read before it was written': [done(0, 1, get, 'a'), done(2, 3, put('a'))],
  'a deletion found nothing that was there': [done(0, 1, put('a')), done(2, 3, remove, false)],
  'a deleted key comes back': [done(0, 1, put('a')), done(2, 3, remove, true), done(4, 5, get, 'a')],
  'two conditions that excluded each other held': [
    done(0, 1, put('a')),
    done(2, 9, { kind: 'putIf', value: 'b', expected: 'a' }, true),
    done(2, 9, { kind: 'putIf', value: 'c', expected: 'a' }, true),
  ],
};

for (const [name, history] of Object.entries(good))
  test(`accepted: ${name}`, () => assert.equal(nonLinearizable(history), undefined));

for (const [name, history] of Object.entries(bad))
  test(`found: ${name}`, () => assert.notEqual(nonLinearizable(history), undefined));

test('random small histories get the verdict of a search through every order', () => {
  const seed = Number(process.env.SHIBUMI_TEST_SEED ?? Date.now() % 2 ** 31);
  const random = new Random(seed);
  const verdicts = { yes: 0, no: 0 };
  for (let round = 0; round < 4000; round++) {
    const history = randomHistory(random);
    const expected = hasOrder(history, undefined);
    verdicts[expected ? 'yes' : 'no']++;
    const found = nonLinearizable(history) === undefined;
    assert.equal(found, expected, `seed ${seed}, round ${round}: ${JSON.stringify(history)}`);
  }
  assert.ok(verdicts.yes > 400 && verdicts.no > 400, JSON.stringify(verdicts));
});

test('a long history of one key is judged at once, and one wrong answer in it is found', () => {
  const random = new Random(7);
  const history = atomicHistory(random, 20_000, 12);
  assert.equal(nonLinearizable(history), undefined);
  const reads = history.flatMap(({ action }, i) => (action.kind === 'get' && i > 10_000 ? [i] : []));
  const at = reads[0] as number;
  const early = history.find(({ action }) => action.kind === 'put')?.action as { value: string };
  history[at] = { ...(history[at] as Operation), result: early.value };
  assert.notEqual(nonLinearizable(history), undefined);
});

function randomHistory(random: Random): Operation[] {
  const values = ['1', '2', '3'];
  return Array.from({ length: 1 + random.below(6) }, () => {
    const kind = random.below(5);
    const value = values[random.below(3)] as string;
    const other = random.unit() < 0.3 ? undefined : values[random.below(3)];
    const beginMs = random.below(20);
    const endMs = random.unit() < 0.15 ? undefined : beginMs + 1 + random.below(15);
    if (kind === 0) return { action: get, beginMs, endMs, result: other };
    if (kind === 1) return { action: put(value), beginMs, endMs, result: undefined };
    if (kind === 2) return { action: remove, beginMs, endMs, result: random.unit() < 0.5 };
    if (kind === 3) return { action: increment, beginMs, endMs, result: 1 + random.below(3) };
    const action: Action = { kind: 'putIf', value, expected: other };
    return { action, beginMs, endMs, result: random.unit() < 0.5 };
  });
}

/** The definition, word for word: any order that keeps who ended before whom, unknown ones left out or not. */
function hasOrder(left: readonly Operation[], value: string | undefined): boolean {
  if (left.every(({ endMs }) => endMs === undefined)) return true;
  return left.some((operation, i) => {
    const rest = left.filter((_, other) => other !== i);
    if (rest.some(({ endMs }) => endMs !== undefined && endMs < operation.beginMs)) return false;
    const next = run(operation, value);
    return next !== impossible && hasOrder(rest, next as string | undefined);
  });
}

const impossible: unique symbol = Symbol('impossible');

/** Written apart from the checker's own. */
function run(
  { action, result, endMs }: Operation,
  value: string | undefined,
): string | undefined | typeof impossible {
  let returned: Result;
  let after = value;
  if (action.kind === 'get') returned = value;
  else if (action.kind === 'put') after = action.value;
  else if (action.kind === 'delete') [returned, after] = [value !== undefined, undefined];
  else if (action.kind === 'increment') {
    returned = Number(value ?? 0) + 1;
    after = String(returned);
  } else if (value === action.expected) [returned, after] = [true, action.value];
  else returned = false;
  return endMs === undefined || action.kind === 'put' || returned === result ? after : impossible;
}

/** What an atomic register would answer to `callers` that call one after another each. */
function atomicHistory(random: Random, count: number, callers: number): Operation[] {
  const freeAt = new Array<number>(callers).fill(0);
  const pending = Array.from({ length: count }, (_, i) => {
    const caller = i % callers;
    const beginMs = (freeAt[caller] as number) + random.below(5);
    const atMs = beginMs + random.unit() * 10;
    freeAt[caller] = atMs + random.unit() * 10;
    const action = random.unit() < 0.5 ? get : put(`v${i}`);
    return { action, beginMs, endMs: freeAt[caller] as number, atMs };
  });
  let value: string | undefined;
  return pending
    .sort((a, b) => a.atMs - b.atMs)
    .map(({ action, beginMs, endMs }) => {
      if (action.kind === 'put') value = action.value;
      return { action, beginMs, endMs, result: action.kind === 'get' ? value : undefined };
    });
}
