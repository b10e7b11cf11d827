/** The users of a database as far as every call needs them: whether there are any, and finding one. All else is user-accounts.ts. */

import { shibuDbError } from '../../api/errors.ts';
import type { FirstAdmin } from '../../api/users.ts';
import type { Catalog, StoredUser } from '../../storage/catalog.ts';
import { secretsPart } from '../parts.ts';
import type { AccountMeans, UserAccounts } from './user-accounts.ts';

/** The catalog, as far as users go. */
export interface UserStore {
  current(): Catalog;
  /** Runs after the changes before it; durable when it resolves. */
  change(edit: (catalog: Catalog) => Catalog): Promise<void>;
}

export class UserDirectory {
  readonly #means: AccountMeans;
  #source: readonly StoredUser[] | undefined;
  #byName: ReadonlyMap<string, StoredUser> = new Map();
  #accounts: UserAccounts | undefined;
  #closed = false;

  constructor(means: AccountMeans) {
    this.#means = means;
  }

  /** Whether there are users, and calls need somebody who is signed in. */
  get any(): boolean {
    return this.#means.store.current().users !== undefined;
  }

  find(username: string): StoredUser | undefined {
    const { users } = this.#means.store.current();
    if (users !== this.#source) {
      this.#source = users;
      this.#byName = new Map(users?.map((user) => [user.username, user]));
    }
    return this.#byName.get(username);
  }

  /** What signs in and changes users. @throws SCRIPT_UNAVAILABLE */
  async accounts(): Promise<UserAccounts> {
    const { UserAccounts } = await secretsPart.load();
    this.#accounts ??= new UserAccounts(this, this.#means);
    if (this.#closed) this.#accounts.close();
    return this.#accounts;
  }

  /** @throws NOT_AUTHENTICATED */
  authenticateByToken(token: unknown): StoredUser {
    const user = this.#accounts?.userOf(token);
    if (user !== undefined) return user;
    throw shibuDbError(
      'NOT_AUTHENTICATED',
      'The session has ended: it expired, or the user was deleted or has a new password; call authenticate again',
    );
  }

  /** Requires: `user` is one of them; whoever opened a database with users, or made the first, has loaded `accounts`. */
  issueToken(user: StoredUser): string {
    if (this.#accounts === undefined) throw new Error('a user in a database without accounts');
    return this.#accounts.issueToken(user);
  }

  /** Resolves with whether there were no users, and now is this one. */
  async createFirstAdmin(admin: FirstAdmin): Promise<boolean> {
    return !this.any && (await this.accounts()).createFirstAdmin(admin);
  }

  /** As they are stored: for an export. */
  stored(): readonly StoredUser[] {
    return this.#means.store.current().users ?? [];
  }

  /** Nobody signs in any more; whoever waits for a turn fails with CLOSED. */
  close(): void {
    this.#closed = true;
    this.#accounts?.close();
  }
}

/** The catalog's users without any permission for a space that goes. */
export function withoutSpace(users: readonly StoredUser[], space: string): StoredUser[] {
  return users.map((user) => {
    const kept = Object.entries(user.permissions).filter(([name]) => name !== space);
    return { ...user, permissions: Object.fromEntries(kept) };
  });
}
