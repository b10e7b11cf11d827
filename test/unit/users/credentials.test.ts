/** Passwords and the throttle: the vectors of the RFC, equal work for unknown users, and attempts that slow down. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { PasswordCost, Scrypt } from '../../../src/base/password.ts';
import { hashPassword, verifyPassword } from '../../../src/engine/users/credentials.ts';
import { LoginThrottle } from '../../../src/engine/users/login-throttle.ts';
import { portableScrypt } from '../../../src/engine/users/portable-scrypt.ts';
import { nativeScrypt } from '../../../src/node/native-scrypt.ts';

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const cost: PasswordCost = { N: 64, r: 2, p: 2 };

test('both scrypts give the first half of the test vector of RFC 7914, section 12', async () => {
  const expected = 'fdbabe1c9d3472007856e7190d01e9fe7c6ad7cbc8237830e77376634b373162';
  for (const scrypt of [portableScrypt, nativeScrypt]) {
    const hash = await scrypt(bytes('password'), bytes('NaCl'), { N: 1024, r: 8, p: 16 });
    assert.equal(Buffer.from(hash).toString('hex'), expected);
  }
});

test('a password stored in one runtime is known in another, at the cost it was stored with', async () => {
  const stored = await hashPassword(nativeScrypt, bytes('pw'), cost);
  const higher: PasswordCost = { N: 128, r: 2, p: 1 };
  assert.equal(await verifyPassword(portableScrypt, bytes('pw'), stored, higher), true);
  assert.equal(await verifyPassword(portableScrypt, bytes('px'), stored, higher), false);
  const other = await hashPassword(nativeScrypt, bytes('pw'), cost);
  assert.notEqual(stored.hash, other.hash, 'equal passwords have salts of their own');
});

test('an unknown user costs the same hash as a known one, and is never let in', async () => {
  const asked: PasswordCost[] = [];
  // Answers with what an unknown user's hash is compared to.
  const zeros: Scrypt = async (_password, _salt, { N, r, p }) => {
    asked.push({ N, r, p });
    return new Uint8Array(32);
  };
  assert.equal(await verifyPassword(zeros, bytes('pw'), undefined, cost), false);
  assert.deepEqual(asked, [cost]);
});

/** A clock that stands still unless somebody waits for it. */
class ManualClock {
  nowMs = 0;
  readonly waits: number[] = [];
  now = (): number => this.nowMs;
  wait = async (ms: number): Promise<void> => {
    this.waits.push(ms);
    this.nowMs += ms;
  };
}
const wrong = async (): Promise<boolean> => false;
const right = async (): Promise<boolean> => true;

test('after three failures attempts wait, twice as long each time, up to eight seconds', async () => {
  const clock = new ManualClock();
  const throttle = new LoginThrottle(clock);
  for (let i = 0; i < 11; i++) assert.equal(await throttle.attempt('ann', wrong), false);
  assert.deepEqual(clock.waits, [250, 500, 1000, 2000, 4000, 8000, 8000, 8000]);
  // Another name does not wait, and time that passed by itself counts.
  await throttle.attempt('bob', wrong);
  clock.nowMs += 10_000;
  assert.equal(await throttle.attempt('ann', right), true);
  assert.equal(clock.waits.length, 8);
  // A success is a new beginning.
  for (let i = 0; i < 3; i++) await throttle.attempt('ann', wrong);
  assert.equal(clock.waits.length, 8);
});

test('failures are forgotten after a quarter of an hour', async () => {
  const clock = new ManualClock();
  const throttle = new LoginThrottle(clock);
  for (let i = 0; i < 5; i++) await throttle.attempt('ann', wrong);
  clock.nowMs += 15 * 60_000 + 1;
  const before = clock.waits.length;
  for (let i = 0; i < 3; i++) await throttle.attempt('ann', wrong);
  assert.equal(clock.waits.length, before);
});

test('attempts for one name run one after another, and too many at once are refused', async () => {
  const throttle = new LoginThrottle(new ManualClock());
  let running = 0;
  let most = 0;
  const check = async (): Promise<boolean> => {
    most = Math.max(most, ++running);
    await new Promise(setImmediate);
    running--;
    return true;
  };
  const attempts = Array.from({ length: 20 }, () => throttle.attempt('ann', check));
  const outcomes = await Promise.allSettled(attempts);
  assert.equal(most, 1);
  const refused = outcomes.filter(({ status }) => status === 'rejected');
  assert.equal(refused.length, 12);
  for (const each of refused) assert.equal((each as PromiseRejectedResult).reason.code, 'TOO_MANY_ATTEMPTS');
  assert.equal(await throttle.attempt('ann', check), true, 'and afterwards it goes on');
});

test('whoever waits for a turn when the database is closed is told so, and nobody is checked any more', async () => {
  let waiting: AbortSignal | undefined;
  const throttle = new LoginThrottle({
    now: () => 0,
    wait: (_ms, signal) => {
      waiting = signal;
      return new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
    },
  });
  for (let i = 0; i < 3; i++) await throttle.attempt('ann', wrong);
  let checked = 0;
  const attempts = Array.from({ length: 4 }, () =>
    throttle.attempt('ann', async () => {
      checked++;
      return true;
    }),
  );
  const settled = Promise.allSettled(attempts);
  while (waiting === undefined) await new Promise(setImmediate);
  throttle.close();
  for (const each of await settled) assert.equal((each as PromiseRejectedResult).reason.code, 'CLOSED');
  assert.equal(checked, 0);
  await assert.rejects(throttle.attempt('bob', right), { code: 'CLOSED' });
});

test('the names of a dictionary do not fill the memory, and a check that fails counts as a failure', async () => {
  const clock = new ManualClock();
  const throttle = new LoginThrottle(clock);
  const broken = (): Promise<boolean> => Promise.reject(new Error('aborted'));
  for (let i = 0; i < 4; i++) await assert.rejects(throttle.attempt('ann', broken), /aborted/);
  assert.deepEqual(clock.waits, [250]);
  for (let i = 0; i < 10_500; i++) await throttle.attempt(`name ${i}`, wrong);
  // By now `ann` is forgotten: nothing is kept for ever.
  await throttle.attempt('ann', wrong);
  assert.deepEqual(clock.waits, [250]);
});
