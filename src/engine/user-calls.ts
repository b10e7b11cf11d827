/** The calls that sign in and that manage users. Who may make them, access.ts has said before. */

import type { ArgumentsOf, CallContext, SignedIn } from '../api/calls.ts';
import type { FirstAdmin, User } from '../api/users.ts';
import { wellFormedText } from '../base/arguments.ts';
import type { Access } from './access.ts';
import type { HandlersOf } from './handlers.ts';
import { publicUser, type UserAccounts } from './users/user-accounts.ts';
import type { UserDirectory } from './users/user-directory.ts';

export class UserCalls implements HandlersOf<'users'> {
  readonly #users: UserDirectory;
  readonly #accounts: UserAccounts;
  readonly #access: Access;

  constructor(users: UserDirectory, accounts: UserAccounts, access: Access) {
    this.#users = users;
    this.#accounts = accounts;
    this.#access = access;
  }

  async authenticate(
    { username, password }: ArgumentsOf<'authenticate'>,
    { signal }: CallContext,
  ): Promise<SignedIn> {
    return this.#access.signIn(await this.#accounts.authenticate(username, password, signal));
  }

  createFirstAdmin(admin: FirstAdmin): Promise<boolean> {
    return this.#accounts.createFirstAdmin(admin);
  }

  async createUser({ user }: ArgumentsOf<'createUser'>): Promise<undefined> {
    await this.#accounts.create(user);
  }

  async updateUserPassword({ username, password }: ArgumentsOf<'updateUserPassword'>): Promise<undefined> {
    this.#access.passwordChanged(await this.#accounts.updatePassword(username, password));
  }

  async updateUserRole({ username, role }: ArgumentsOf<'updateUserRole'>): Promise<undefined> {
    await this.#accounts.updateRole(username, role);
  }

  async updateUserPermissions(args: ArgumentsOf<'updateUserPermissions'>): Promise<undefined> {
    await this.#accounts.updatePermissions(args.username, args.permissions);
  }

  async deleteUser({ username }: ArgumentsOf<'deleteUser'>): Promise<undefined> {
    await this.#accounts.delete(username);
  }

  getUser({ username }: ArgumentsOf<'getUser'>): User | undefined {
    const user = this.#users.find(wellFormedText(username, 'the username'));
    return user === undefined ? undefined : publicUser(user);
  }

  listUsers(): User[] {
    return this.#accounts.list();
  }
}
