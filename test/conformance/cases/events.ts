/** Events and the log: what is told, to whom, and what never is. */

import type { Database, DatabaseEventType, LogRecord } from '../../../src/api/database.ts';
import { check, rejects, same } from '../../support/check.ts';
import type { Case, CaseContext } from '../case.ts';
import { untyped, withKeyValue } from './spaces.ts';

/** Resolves with the detail of the next event of the type; listens from the moment it is called. */
function next<Type extends DatabaseEventType>(db: Database, type: Type): Promise<unknown> {
  return new Promise((resolve) => {
    db.addEventListener(type, ({ detail }) => resolve(detail), { once: true });
  });
}

/** A database whose log goes into the list. */
async function logged(t: CaseContext, level: LogRecord['level'], records: LogRecord[]): Promise<Database> {
  const db = await t.open('', { log: { level, write: (record) => records.push(record) } });
  // The engine tells what happens after it was first asked.
  await db.listSpaces();
  return db;
}

export const eventCases: Case[] = [
  {
    name: 'a checkpoint is told, with the space and what is stored',
    async run(t) {
      const db = await withKeyValue(() => t.open());
      const told = next(db, 'checkpoint');
      await db.put('k', 'v'.repeat(1000));
      await db.checkpoint();
      const { space, storedBytes, durationMs } = (await told) as Record<string, number | string>;
      same(space, 'kv');
      check(Number(storedBytes) >= 1000, `${storedBytes} bytes are stored`);
      check(Number(durationMs) >= 0, `it took ${durationMs} ms`);
    },
  },
  {
    name: 'expired keys are told when they are removed',
    async run(t) {
      const db = await withKeyValue(() => t.open());
      const told = next(db, 'expired');
      await db.putMany([
        { key: 'a', value: '1', ttlMs: 5 },
        { key: 'b', value: '2', ttlMs: 5 },
        { key: 'c', value: '3' },
      ]);
      while ((await db.exists('a')) || (await db.exists('b')));
      same(await db.size(), 1);
      same(await told, { space: 'kv', count: 2 });
    },
  },
  {
    name: 'a listener is taken off by its signal and by removeEventListener, and called once with once',
    async run(t) {
      const db = await withKeyValue(() => t.open());
      const calls: string[] = [];
      const controller = new AbortController();
      const removed = (): unknown => calls.push('removed');
      db.addEventListener('checkpoint', () => calls.push('aborted'), { signal: controller.signal });
      db.addEventListener('checkpoint', removed);
      db.addEventListener('checkpoint', () => calls.push('once'), { once: true });
      controller.abort();
      db.removeEventListener('checkpoint', removed);
      for (let round = 0; round < 2; round++) {
        const told = next(db, 'checkpoint');
        await db.put('k', `v${round}`);
        await db.checkpoint();
        await told;
      }
      same(calls, ['once']);
      for (const type of ['checkpoints', '', undefined]) {
        await rejects(
          async () => db.addEventListener(untyped(type), () => {}),
          'INVALID_ARGUMENT',
          /type of the event/,
        );
      }
    },
  },
  {
    name: 'whoever may not read a space does not learn what happens in it',
    async run(t) {
      const admin = { username: 'root', password: 'pw' };
      const db = await t.open('', { admin });
      const heard: unknown[] = [];
      db.addEventListener('checkpoint', ({ detail }) => heard.push(detail.space));
      await db.authenticate('root', 'pw');
      await db.createSpace('secret', 'key-value');
      await db.createSpace('shared', 'key-value');
      await db.createUser({ username: 'ann', password: 'pw', permissions: { shared: 'write' } });
      // What is written now is checkpointed after it was idle for a while, by when another one is signed in. On a busy machine it
      // may be sooner: what root still heard is taken out.
      const entries = Array.from({ length: 4 }, (_, i) => ({ key: `k${i}`, value: 'v'.repeat(200_000) }));
      await db.putMany(entries, { space: 'secret' });
      await db.authenticate('ann', 'pw');
      await new Promise((resolve) => setTimeout(resolve));
      heard.length = 0;
      const told = next(db, 'checkpoint');
      await db.putMany(entries, { space: 'shared' });
      await told;
      same(heard, ['shared']);
    },
  },
  {
    name: 'the log tells of calls and of the engine by its level, never of data or secrets',
    async run(t) {
      const records: LogRecord[] = [];
      const db = await logged(t, 'debug', records);
      await db.createSpace('kv', 'key-value');
      await db.createSpace('vec', 'vector', { dimension: 2 });
      await db.put('secret-key', 'secret-value', { space: 'kv' });
      await db.insertVector(4711, [0.1234567, 0.375], { space: 'vec' });
      await rejects(db.put('', 'secret-value', { space: 'kv' }), 'INVALID_ARGUMENT');
      await rejects(db.authenticate('secret-user', 'secret-password'), 'NO_USERS');
      const told = next(db, 'checkpoint');
      await db.checkpoint();
      await told;
      await db.close();
      // Times may have any digits.
      const text = JSON.stringify(records.map((record) => ({ ...record, timeMs: 0, durationMs: 0 })));
      for (const secret of ['secret', '4711', '0.123456'])
        check(!text.includes(secret), `${secret} is in the log`);
      for (const { level, timeMs, event } of records) {
        check(['debug', 'info', 'warn', 'error'].includes(level), `level ${level}`);
        check(timeMs > 1.6e12 && typeof event === 'string', `${event} at ${timeMs}`);
      }
      const calls = records.filter(({ event }) => event === 'call');
      const put = calls.filter(({ method }) => method === 'put');
      same(
        put.map(({ level, space, code }) => ({ level, space, code })),
        [
          { level: 'debug', space: 'kv', code: undefined },
          { level: 'warn', space: 'kv', code: 'INVALID_ARGUMENT' },
        ],
      );
      check((put[0]?.durationMs ?? -1) >= 0, 'a call has its duration');
      for (const event of ['open', 'checkpoint', 'close'])
        check(
          records.some((record) => record.event === event && record.level === 'info'),
          `no record ${event}`,
        );
    },
  },
  {
    name: 'a higher level tells less, and a senseless log is refused',
    async run(t) {
      const records: LogRecord[] = [];
      const db = await logged(t, 'warn', records);
      await db.createSpace('kv', 'key-value');
      await db.checkpoint();
      same(records, []);
      await rejects(db.get('', { space: 'kv' }), 'INVALID_ARGUMENT');
      same(records.length, 1);
      for (const log of ['loud', 7, {}, { level: 'debug', write: 'console' }])
        await rejects(t.open('other', { log: untyped(log) }), 'INVALID_ARGUMENT', /log/);
    },
  },
];
