/** `shibumi users …`: who may use a database. */

import type { Database, Permission, Permissions, Role, User } from '../api/database.ts';
import { invalid, shown } from '../base/arguments.ts';
import { newPasswordOf } from './password.ts';
import { ok, type Reply, table } from './reply.ts';

export interface UsersOptions {
  readonly role?: string | undefined;
}

interface Action {
  /** What stands behind the folder. */
  readonly usage: string;
  readonly words: readonly [least: number, most: number];
  readonly options?: readonly (keyof UsersOptions)[];
  run(db: Database, words: readonly string[], options: UsersOptions): Promise<Reply>;
}

const actions: Readonly<Record<string, Action>> = {
  list: {
    usage: '',
    words: [0, 0],
    async run(db) {
      const users = await db.listUsers();
      return { value: users, text: usersTable(users) };
    },
  },
  show: {
    usage: '<name>',
    words: [1, 1],
    async run(db, [name = '']) {
      const user = await db.getUser(name);
      if (user === undefined) throw invalid(`There is no user ${shown(name)}`);
      return { value: user, text: usersTable([user]) };
    },
  },
  create: {
    usage: '<name> [--role admin|user] [<space>=read|write …]',
    words: [1, Number.POSITIVE_INFINITY],
    options: ['role'],
    async run(db, [username = '', ...permits], { role = 'user' }) {
      const permissions = permissionsFrom(permits);
      const password = await newPasswordOf(username);
      await db.createUser({ username, password, role: role as Role, permissions });
      return ok;
    },
  },
  password: {
    usage: '<name>',
    words: [1, 1],
    async run(db, [name = '']) {
      await db.updateUserPassword(name, await newPasswordOf(name));
      return ok;
    },
  },
  role: {
    usage: '<name> admin|user',
    words: [2, 2],
    async run(db, [name = '', role]) {
      await db.updateUserRole(name, role as Role);
      return ok;
    },
  },
  permit: {
    usage: '<name> [<space>=read|write …]',
    words: [1, Number.POSITIVE_INFINITY],
    async run(db, [name = '', ...permits]) {
      await db.updateUserPermissions(name, permissionsFrom(permits));
      return ok;
    },
  },
  delete: {
    usage: '<name>',
    words: [1, 1],
    async run(db, [name = '']) {
      await db.deleteUser(name);
      return ok;
    },
  },
};

/**
 * Understands what stands behind `users`: an action, a folder, the action's words.
 * @returns the folder, and what to do with the database in it; @throws INVALID_ARGUMENT
 */
export function parseUsers(
  positionals: readonly string[],
  options: UsersOptions,
): { folder: string; run: (db: Database) => Promise<Reply> } {
  const [name = '', folder, ...words] = positionals;
  const action = Object.hasOwn(actions, name) ? actions[name] : undefined;
  if (action === undefined)
    throw invalid(`Got ${shown(name)}, expected shibumi users ${Object.keys(actions).join('|')} <folder> …`);
  const [least, most] = action.words;
  const stranger = (Object.keys(options) as (keyof UsersOptions)[]).find(
    (option) => options[option] !== undefined && !action.options?.includes(option),
  );
  if (folder === undefined || words.length < least || words.length > most || stranger !== undefined)
    throw invalid(`Expected: ${`shibumi users ${name} <folder> ${action.usage}`.trimEnd()}`);
  return { folder, run: (db) => action.run(db, words, options) };
}

/** `books=read`; the last `=` counts, for names may hold one. What each may be is the database's to check. */
export function permissionsFrom(words: readonly string[]): Permissions {
  return Object.fromEntries(
    words.map((word) => {
      const [, space, permission] = /^(.+)=([^=]*)$/s.exec(word) ?? [];
      if (space === undefined || permission === undefined)
        throw invalid(`Got ${shown(word)} for a permission, expected <space>=read or <space>=write`);
      return [space, permission as Permission];
    }),
  );
}

export function usersTable(users: readonly User[]): string {
  const rows = users.map(({ username, role, permissions }) => {
    const permits = Object.entries(permissions).map(([space, permission]) => `${space}=${permission}`);
    return [username, role, permits.join(' ')];
  });
  return table(['name', 'role', 'permissions'], rows);
}
