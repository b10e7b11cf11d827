/**
 * The users of a database: signing them in and changing them. They are part of the catalog, so a change is durable before
 * it counts, and what takes a space away takes the permissions for it away in the same transaction.
 *
 * Invariants: no users at all, or at least one admin; names are unique.
 */

import { shibuDbError } from '../../api/errors.ts';
import type { FirstAdmin, NewUser, User } from '../../api/users.ts';
import { invalid, shown, wellFormedText } from '../../base/arguments.ts';
import { checkPassword, type PasswordCost, type Scrypt } from '../../base/password.ts';
import type { StoredUser } from '../../storage/catalog.ts';
import { hashPassword, issueToken, newSessionKey, verifyPassword, verifyToken } from './credentials.ts';
import { LoginThrottle } from './login-throttle.ts';
import { portableScrypt } from './portable-scrypt.ts';
import { checkPermissions, checkRole, checkUsername } from './user-checks.ts';
import type { UserDirectory, UserStore } from './user-directory.ts';

export interface AccountSettings {
  readonly passwordCost: PasswordCost;
  readonly sessionTokenMs: number;
}

/** What changing and checking users takes. */
export interface AccountMeans {
  readonly store: UserStore;
  readonly settings: AccountSettings;
  /** Monotonic milliseconds. */
  readonly now: () => number;
  /** Milliseconds since 1970. */
  readonly wallClock: () => number;
  /** Default: one in JavaScript. */
  readonly scrypt?: Scrypt | undefined;
}

export class UserAccounts {
  readonly #users: UserDirectory;
  readonly #store: UserStore;
  readonly #settings: AccountSettings;
  readonly #scrypt: Scrypt;
  readonly #wallClock: () => number;
  readonly #throttle: LoginThrottle;

  constructor(
    users: UserDirectory,
    { store, settings, now, wallClock, scrypt = portableScrypt }: AccountMeans,
  ) {
    this.#users = users;
    this.#store = store;
    this.#settings = settings;
    this.#scrypt = scrypt;
    this.#wallClock = wallClock;
    this.#throttle = new LoginThrottle({ now, wait: waitFor });
  }

  list(): User[] {
    const users = [...(this.#store.current().users ?? [])];
    return users.map(publicUser).sort((a, b) => (a.username < b.username ? -1 : 1));
  }

  // --- signing in -------------------------------------------------------------------------------------------------

  /** @throws NO_USERS, INVALID_CREDENTIALS, TOO_MANY_ATTEMPTS, ABORTED, CLOSED */
  async authenticate(username: unknown, password: unknown, signal?: AbortSignal): Promise<StoredUser> {
    const name = wellFormedText(username, 'the username');
    const bytes = checkPassword(password);
    if (!this.#users.any) {
      throw shibuDbError(
        'NO_USERS',
        'The database has no users: every call works without authenticate; open(…, { admin }) creates the first',
      );
    }
    const right = await this.#throttle.attempt(name, () => {
      signal?.throwIfAborted();
      return verifyPassword(
        this.#scrypt,
        bytes,
        this.#users.find(name)?.password,
        this.#settings.passwordCost,
      );
    });
    const user = this.#users.find(name);
    if (!right || user === undefined)
      throw shibuDbError('INVALID_CREDENTIALS', 'There is no such user, or the password is another');
    return user;
  }

  /** Whose token it is, if it is still good. */
  userOf(token: unknown): StoredUser | undefined {
    const { sessionKey } = this.#store.current();
    const find = (username: string): StoredUser | undefined => this.#users.find(username);
    return sessionKey === undefined ? undefined : verifyToken(sessionKey, token, find, this.#wallClock());
  }

  issueToken(user: StoredUser): string {
    const { sessionKey } = this.#store.current();
    if (sessionKey === undefined) throw new Error('a user without a session key');
    return issueToken(sessionKey, user, this.#wallClock() + this.#settings.sessionTokenMs);
  }

  /** Nobody signs in any more; whoever waits for a turn fails with CLOSED. */
  close(): void {
    this.#throttle.close();
  }

  // --- changes ----------------------------------------------------------------------------------------------------

  /** Resolves with whether there were no users, and now is this one. */
  async createFirstAdmin({ username, password }: FirstAdmin): Promise<boolean> {
    if (this.#users.any) return false;
    try {
      await this.#create({ username, password, role: 'admin' }, true);
      return true;
    } catch (error) {
      // Somebody was quicker.
      if (this.#users.any) return false;
      throw error;
    }
  }

  create(user: NewUser): Promise<void> {
    return this.#create(user, false);
  }

  async #create(user: NewUser, mustBeFirst: boolean): Promise<void> {
    if (typeof user !== 'object' || user === null)
      throw invalid(`Got ${shown(user)} for the user, expected an object`);
    const { username, password: text, role: givenRole, permissions: given, ...rest } = user;
    const [stranger] = Object.keys(rest);
    if (stranger !== undefined) {
      throw invalid(
        `Got ${shown(stranger)} in the user, expected only username, password, role, permissions`,
      );
    }
    const name = checkUsername(username);
    const role = checkRole(givenRole ?? 'user');
    const permissions = checkPermissions(given ?? {});
    const bytes = checkPassword(text);
    this.#refuseTaken(name);
    if (!this.#users.any && role !== 'admin')
      throw invalid(`Got the role ${role} for the first user, expected admin`);
    const password = await hashPassword(this.#scrypt, bytes, this.#settings.passwordCost);
    await this.#store.change((catalog) => {
      if (mustBeFirst && catalog.users !== undefined)
        throw shibuDbError('USER_EXISTS', 'The database has users already');
      this.#refuseTaken(name);
      return {
        ...catalog,
        users: [...(catalog.users ?? []), { username: name, role, permissions, password }],
        sessionKey: catalog.sessionKey ?? newSessionKey(),
      };
    });
  }

  /** Whether users of an export may be added now. @throws USER_EXISTS, INVALID_ARGUMENT */
  checkAddition(users: readonly StoredUser[]): void {
    for (const { username } of users) this.#refuseTaken(username);
    if (!this.#users.any && !users.some(({ role }) => role === 'admin'))
      throw invalid('Got no admin among the users, expected one: the database has no users yet');
  }

  /** Adds users that are stored elsewhere, all or none. @throws USER_EXISTS, INVALID_ARGUMENT */
  add(users: readonly StoredUser[]): Promise<void> {
    return this.#store.change((catalog) => {
      this.checkAddition(users);
      return {
        ...catalog,
        users: [...(catalog.users ?? []), ...users],
        sessionKey: catalog.sessionKey ?? newSessionKey(),
      };
    });
  }

  /** Resolves with the user as it is now. */
  async updatePassword(username: unknown, password: unknown): Promise<StoredUser> {
    const name = this.#known(username).username;
    const bytes = checkPassword(password);
    const hashed = await hashPassword(this.#scrypt, bytes, this.#settings.passwordCost);
    await this.#change(name, (user) => ({ ...user, password: hashed }));
    return this.#known(name);
  }

  async updateRole(username: unknown, role: unknown): Promise<void> {
    const checked = checkRole(role);
    await this.#change(username, (user) => ({ ...user, role: checked }));
  }

  async updatePermissions(username: unknown, permissions: unknown): Promise<void> {
    const checked = checkPermissions(permissions);
    await this.#change(username, (user) => ({ ...user, permissions: checked }));
  }

  async delete(username: unknown): Promise<void> {
    await this.#change(username, () => undefined);
  }

  #change(username: unknown, edit: (user: StoredUser) => StoredUser | undefined): Promise<void> {
    return this.#store.change((catalog) => {
      const { username: name } = this.#known(username);
      const users = (catalog.users ?? []).flatMap((user) =>
        user.username === name ? (edit(user) ?? []) : user,
      );
      if (!users.some(({ role }) => role === 'admin')) {
        throw shibuDbError(
          'LAST_ADMIN',
          `"${name}" is the last admin: make another user an admin before this one is changed`,
        );
      }
      return { ...catalog, users };
    });
  }

  #known(username: unknown): StoredUser {
    const name = wellFormedText(username, 'the username');
    const user = this.#users.find(name);
    if (user === undefined) throw shibuDbError('USER_NOT_FOUND', `There is no user ${shown(name)}`);
    return user;
  }

  #refuseTaken(username: string): void {
    if (this.#users.find(username) !== undefined)
      throw shibuDbError('USER_EXISTS', `There is a user ${shown(username)} already`);
  }
}

export function publicUser({ username, role, permissions }: StoredUser): User {
  return { username, role, permissions: { ...permissions } };
}

/** A timer that goes with its signal: an engine that is closed leaves none behind. */
function waitFor(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const end = (): void => {
      clearTimeout(timer);
      reject(signal.reason);
    };
    const timer = setTimeout(() => {
      signal.removeEventListener('abort', end);
      resolve();
    }, ms);
    signal.addEventListener('abort', end, { once: true });
  });
}
