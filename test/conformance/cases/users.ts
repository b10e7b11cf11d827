/** Users: the first admin, signing in, roles and permissions, and that a refusal changes nothing. */

import type { Database, Permissions } from '../../../src/api/database.ts';
import { check, rejects, same } from '../../support/check.ts';
import type { Case, CaseContext } from '../case.ts';
import { all, untyped } from './spaces.ts';

const admin = { username: 'root', password: 'correct horse' };

/** A database with an admin, signed in, and the spaces `notes`, `secrets` and `vec`. */
async function withAdmin(t: CaseContext): Promise<Database> {
  const db = await t.open('', { admin });
  await db.authenticate(admin.username, admin.password);
  await db.createSpace('notes', 'key-value');
  await db.createSpace('secrets', 'key-value');
  await db.createSpace('vec', 'vector', { dimension: 2 });
  await db.put('k', 'note', { space: 'notes' });
  await db.put('k', 'secret', { space: 'secrets' });
  await db.insertVector(1, [1, 0], { space: 'vec' });
  return db;
}

async function signInAs(db: Database, permissions: Permissions): Promise<void> {
  await db.createUser({ username: 'ann', password: 'pw', permissions });
  await db.authenticate('ann', 'pw');
}

export const userCases: Case[] = [
  {
    name: 'without users every call works and authenticate fails with NO_USERS',
    async run(t) {
      const db = await t.open();
      await rejects(db.authenticate('root', 'pw'), 'NO_USERS', /no users/);
      same(await db.listUsers(), []);
      same(await db.getUser('root'), undefined);
      await db.createSpace('kv', 'key-value');
      await db.put('k', 'v', { space: 'kv' });
      await rejects(db.deleteUser('root'), 'USER_NOT_FOUND', /"root"/);
      await rejects(
        db.createUser({ username: 'ann', password: 'pw' }),
        'INVALID_ARGUMENT',
        /first user.*admin/,
      );
      same(await db.get('k', { space: 'kv' }), 'v', 'a refused user changes nothing');
    },
  },
  {
    name: 'open({ admin }) makes the first admin, and from then on every call needs authenticate',
    reopens: true,
    async run(t) {
      let db = await t.open('', { admin });
      await rejects(db.listSpaces(), 'NOT_AUTHENTICATED', /listSpaces.*authenticate/);
      await rejects(db.stats(), 'NOT_AUTHENTICATED');
      same(await db.authenticate('root', 'correct horse'), {
        username: 'root',
        role: 'admin',
        permissions: {},
      });
      await db.createSpace('kv', 'key-value');
      await db.close();
      // Users are there after reopening, and another admin in the options does not become one.
      db = await t.open('', { admin: { username: 'intruder', password: 'x' } });
      await rejects(db.put('k', 'v', { space: 'kv' }), 'NOT_AUTHENTICATED');
      await rejects(db.authenticate('intruder', 'x'), 'INVALID_CREDENTIALS');
      await db.authenticate('root', 'correct horse');
      same((await db.listUsers()).length, 1);
      same((await db.listSpaces()).length, 1);
    },
  },
  {
    name: 'a wrong password and an unknown user are told alike, and whoever was signed in stays',
    async run(t) {
      const db = await withAdmin(t);
      const wrong = await rejects(db.authenticate('root', 'wrong'), 'INVALID_CREDENTIALS');
      const unknown = await rejects(db.authenticate('nobody', 'wrong'), 'INVALID_CREDENTIALS');
      same(wrong.message, unknown.message);
      check(!wrong.message.includes('wrong'), 'the message does not show the password');
      same((await db.listUsers()).length, 1);
      for (const [username, password] of [
        [undefined, 'pw'],
        ['root', undefined],
        ['root', ''],
        [7, 'pw'],
        ['root', 'p'.repeat(1025)],
      ])
        await rejects(db.authenticate(untyped(username), untyped(password)), 'INVALID_ARGUMENT');
    },
  },
  {
    name: 'a user reads and writes what the permissions say, and nothing else',
    async run(t) {
      const db = await withAdmin(t);
      await signInAs(db, { notes: 'write', vec: 'read' });
      await db.put('k', 'changed', { space: 'notes' });
      same(await db.space('notes').get('k'), 'changed');
      same((await db.searchTopK([1, 0], 1, { space: 'vec' }))[0]?.id, 1);
      same((await db.describeSpace('vec')).count, 1);
      await rejects(
        db.insertVector(2, [0, 1], { space: 'vec' }),
        'PERMISSION_DENIED',
        /insertVector.*write.*"vec".*"ann".*read/,
      );
      const secrets = db.space('secrets');
      await rejects(secrets.get('k'), 'PERMISSION_DENIED', /get.*read.*"secrets".*none/);
      await rejects(secrets.put('k', 'mine'), 'PERMISSION_DENIED');
      await rejects(all(secrets.scan()), 'PERMISSION_DENIED');
      await rejects(db.useSpace('secrets'), 'PERMISSION_DENIED');
      await rejects(db.describeSpace('secrets'), 'PERMISSION_DENIED');
      // A space that is not there looks the same as one that may not be seen.
      const denied = await rejects(secrets.size(), 'PERMISSION_DENIED');
      const absent = await rejects(db.size({ space: 'absent' }), 'PERMISSION_DENIED');
      same(absent.message.replace('absent', 'secrets'), denied.message);
      await db.useSpace('notes');
      same(await db.get('k'), 'changed');
      await db.authenticate(admin.username, admin.password);
      same(await db.get('k', { space: 'secrets' }), 'secret');
      same(await db.countVectors({ space: 'vec' }), 1);
    },
  },
  {
    name: 'spaces, users and checkpoints are for admins',
    async run(t) {
      const db = await withAdmin(t);
      await signInAs(db, { notes: 'write' });
      for (const call of [
        () => db.createSpace('mine', 'key-value'),
        () => db.deleteSpace('notes'),
        () => db.listSpaces(),
        () => db.createUser({ username: 'eve', password: 'pw', role: 'admin' }),
        () => db.updateUserPassword('root', 'taken over'),
        () => db.updateUserRole('ann', 'admin'),
        () => db.updateUserPermissions('ann', { secrets: 'write' }),
        () => db.deleteUser('root'),
        () => db.getUser('root'),
        () => db.listUsers(),
        () => db.checkpoint(),
      ])
        await rejects(call, 'PERMISSION_DENIED', /needs the role admin, but "ann"/);
      await db.stats();
      await db.authenticate(admin.username, admin.password);
      same(await db.listUsers(), [
        { username: 'ann', role: 'user', permissions: { notes: 'write' } },
        { username: 'root', role: 'admin', permissions: {} },
      ]);
    },
  },
  {
    name: 'users are created, changed and deleted, and never show a password',
    reopens: true,
    async run(t) {
      let db = await withAdmin(t);
      const permissions = { notes: 'read', 'not there yet': 'write' } as const;
      await db.createUser({ username: 'bob', password: 'pw', permissions });
      same(await db.getUser('bob'), { username: 'bob', role: 'user', permissions });
      await rejects(db.createUser({ username: 'bob', password: 'other' }), 'USER_EXISTS', /"bob"/);
      await db.updateUserPermissions('bob', { secrets: 'write' });
      await db.updateUserPassword('bob', 'grün');
      await db.close();
      db = await t.open();
      // Composed and decomposed spellings are one password.
      same(await db.authenticate('bob', 'gru\u0308n'), {
        username: 'bob',
        role: 'user',
        permissions: { secrets: 'write' },
      });
      await db.authenticate(admin.username, admin.password);
      await db.updateUserRole('bob', 'admin');
      same((await db.getUser('bob'))?.role, 'admin');
      await db.deleteUser('bob');
      same(await db.getUser('bob'), undefined);
      await rejects(db.deleteUser('bob'), 'USER_NOT_FOUND');
      await rejects(db.updateUserRole('bob', 'user'), 'USER_NOT_FOUND');
      await rejects(db.updateUserPassword('bob', 'pw'), 'USER_NOT_FOUND');
      await rejects(db.updateUserPermissions('bob', {}), 'USER_NOT_FOUND');
    },
  },
  {
    name: 'bad users are refused with what was expected, and the users stay as they were',
    async run(t) {
      const db = await withAdmin(t);
      const good = { username: 'u', password: 'pw' };
      for (const [user, message] of [
        [undefined, /the user/],
        [{ ...good, username: '' }, /username of 0/],
        [{ ...good, username: 'x'.repeat(256) }, /username of 256/],
        [{ ...good, username: '\ud800' }, /surrogate/],
        [{ ...good, password: '' }, /password of 0/],
        [{ ...good, password: undefined }, /password/],
        [{ ...good, role: 'banana' }, /"banana".*admin, user/],
        [{ ...good, permissions: { s: 'own' } }, /"own".*read, write/],
        [{ ...good, permissions: ['s'] }, /permissions/],
        [{ ...good, rights: {} }, /"rights"/],
      ] as const)
        await rejects(db.createUser(untyped(user)), 'INVALID_ARGUMENT', message);
      await rejects(db.updateUserRole('root', untyped('banana')), 'INVALID_ARGUMENT');
      await rejects(db.updateUserPermissions('root', untyped({ s: 1 })), 'INVALID_ARGUMENT');
      await rejects(db.updateUserPassword('root', untyped(7)), 'INVALID_ARGUMENT');
      await rejects(db.getUser(untyped(7)), 'INVALID_ARGUMENT');
      same((await db.listUsers()).length, 1);
    },
  },
  {
    name: 'the last admin can be neither deleted nor demoted',
    async run(t) {
      const db = await withAdmin(t);
      await rejects(db.deleteUser('root'), 'LAST_ADMIN', /"root"/);
      await rejects(db.updateUserRole('root', 'user'), 'LAST_ADMIN');
      await db.createUser({ username: 'second', password: 'pw', role: 'admin' });
      // Of two that go at the same time one stays.
      const outcomes = await Promise.allSettled([db.deleteUser('second'), db.deleteUser('root')]);
      same(outcomes.map(({ status }) => status).sort(), ['fulfilled', 'rejected']);
    },
  },
  {
    name: 'a new password ends the old one, and the session that set its own goes on',
    async run(t) {
      const db = await withAdmin(t);
      await db.updateUserPassword('root', 'another');
      same((await db.listUsers()).length, 1);
      await rejects(db.authenticate('root', admin.password), 'INVALID_CREDENTIALS');
      await db.authenticate('root', 'another');
    },
  },
  {
    name: 'permissions for a deleted space do not hold for the next one of that name',
    async run(t) {
      const db = await withAdmin(t);
      await db.createUser({
        username: 'ann',
        password: 'pw',
        permissions: { notes: 'write', secrets: 'read' },
      });
      await db.deleteSpace('notes');
      await db.createSpace('notes', 'key-value');
      // Clearing is not deleting.
      await db.clear({ space: 'secrets' });
      same((await db.getUser('ann'))?.permissions, { secrets: 'read' });
      await db.authenticate('ann', 'pw');
      await rejects(db.get('k', { space: 'notes' }), 'PERMISSION_DENIED');
      same(await db.size({ space: 'secrets' }), 0);
    },
  },
  {
    name: 'names that mean something to JavaScript are names like others',
    async run(t) {
      const db = await withAdmin(t);
      const name = '__proto__';
      await db.createSpace(name, 'key-value');
      await db.createUser({
        username: 'constructor',
        password: 'pw',
        permissions: JSON.parse('{"__proto__":"read"}'),
      });
      await db.authenticate('constructor', 'pw');
      same(await db.size({ space: name }), 0);
      await rejects(db.put('k', 'v', { space: name }), 'PERMISSION_DENIED');
      for (const space of ['toString', 'constructor', 'hasOwnProperty'])
        await rejects(db.size({ space }), 'PERMISSION_DENIED');
      await rejects(db.authenticate('toString', 'pw'), 'INVALID_CREDENTIALS');
    },
  },
];
