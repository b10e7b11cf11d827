/** The calls that sign in and that manage users. Who may make them, access.ts has said before. */

import type { ArgumentsOf, CallContext, SignedIn } from '../api/calls.ts';
import type { FirstAdmin, User } from '../api/users.ts';
import { wellFormedText } from '../base/arguments.ts';
import type { Access } from './access.ts';
import type { HandlersOf } from './handlers.ts';
import { publicUser, type UserDirectory } from './users/user-directory.ts';

export class UserCalls implements HandlersOf<'users'> {
  readonly #users: UserDirectory;
  readonly #access: Access;

  constructor(users: UserDirectory, access: Access) {
    this.#users = users;
    this.#access = access;
  }

  async authenticate(
    { username, password }: ArgumentsOf<'authenticate'>,
    { signal }: CallContext,
  ): Promise<SignedIn> {
    return this.#access.signIn(await this.#users.authenticate(username, password, signal));
  }

  createFirstAdmin(admin: FirstAdmin): Promise<boolean> {
    return this.#users.createFirstAdmin(admin);
  }

  async createUser({ user }: ArgumentsOf<'createUser'>): Promise<undefined> {
    await this.#users.create(user);
  }

  async updateUserPassword({ username, password }: ArgumentsOf<'updateUserPassword'>): Promise<undefined> {
    this.#access.passwordChanged(await this.#users.updatePassword(username, password));
  }

  async updateUserRole({ username, role }: ArgumentsOf<'updateUserRole'>): Promise<undefined> {
    await this.#users.updateRole(username, role);
  }

  async updateUserPermissions(args: ArgumentsOf<'updateUserPermissions'>): Promise<undefined> {
    await this.#users.updatePermissions(args.username, args.permissions);
  }

  async deleteUser({ username }: ArgumentsOf<'deleteUser'>): Promise<undefined> {
    await this.#users.delete(username);
  }

  getUser({ username }: ArgumentsOf<'getUser'>): User | undefined {
    const user = this.#users.find(wellFormedText(username, 'the username'));
    return user === undefined ? undefined : publicUser(user);
  }

  listUsers(): User[] {
    return this.#users.list();
  }
}
