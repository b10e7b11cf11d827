/** The session's commands on users; `shibumi users` takes its passwords from elsewhere than the line. */

import type { Role } from '../api/database.ts';
import { invalid, shown } from '../base/arguments.ts';
import { ok } from './reply.ts';
import type { Command } from './shell.ts';
import { permissionsFrom, usersTable } from './users-command.ts';

const anyNumber = Number.POSITIVE_INFINITY;

export const userCommands: readonly Command[] = [
  {
    name: 'LOGIN',
    usage: 'name password',
    summary: 'signs in; what follows needs its rights',
    words: [2, 2],
    async run({ db }, { words: [name = '', password = ''] }) {
      await db.authenticate(name, password);
      return ok;
    },
  },
  {
    name: 'LIST-USERS',
    usage: '',
    summary: 'who may use the database',
    words: [0, 0],
    async run({ db }) {
      const users = await db.listUsers();
      return { value: users, text: usersTable(users) };
    },
  },
  {
    name: 'GET-USER',
    usage: 'name',
    summary: 'role and permissions of one',
    words: [1, 1],
    async run({ db }, { words: [name = ''] }) {
      const user = await db.getUser(name);
      if (user === undefined) throw invalid(`There is no user ${shown(name)}`);
      return { value: user, text: usersTable([user]) };
    },
  },
  {
    name: 'CREATE-USER',
    usage: 'name password [--role admin|user] [space=read|write ...]',
    summary: 'the first must be an admin; from then on every command needs LOGIN',
    words: [2, anyNumber],
    options: ['role'],
    async run({ db }, { words: [username = '', password = '', ...permits], options }) {
      const role = (options.get('role') ?? 'user') as Role;
      await db.createUser({ username, password, role, permissions: permissionsFrom(permits) });
      return ok;
    },
  },
  {
    name: 'UPDATE-USER-PASSWORD',
    usage: 'name password',
    summary: 'ends the open sessions of that user',
    words: [2, 2],
    async run({ db }, { words: [name = '', password = ''] }) {
      await db.updateUserPassword(name, password);
      return ok;
    },
  },
  {
    name: 'UPDATE-USER-ROLE',
    usage: 'name admin|user',
    summary: 'admins may do everything',
    words: [2, 2],
    async run({ db }, { words: [name = '', role] }) {
      await db.updateUserRole(name, role as Role);
      return ok;
    },
  },
  {
    name: 'UPDATE-USER-PERMISSIONS',
    usage: 'name [space=read|write ...]',
    summary: 'in place of what was permitted before',
    words: [1, anyNumber],
    async run({ db }, { words: [name = '', ...permits] }) {
      await db.updateUserPermissions(name, permissionsFrom(permits));
      return ok;
    },
  },
  {
    name: 'DELETE-USER',
    usage: 'name',
    summary: 'and ends the open sessions of that user',
    words: [1, 1],
    async run({ db }, { words: [name = ''] }) {
      await db.deleteUser(name);
      return ok;
    },
  },
];

/** Lines that hold a password: no history keeps them. */
export const holdsPassword: RegExp = /^\s*(LOGIN|CREATE-USER|UPDATE-USER-PASSWORD)\b/i;
