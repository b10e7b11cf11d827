/**
 * Who may call what. Every call of a session passes `check` before anything of it is looked at, here and nowhere else; the
 * table below must name every call, or nothing compiles.
 *
 * Rights are looked up at every call: what was taken away is gone for open sessions too, from the moment it is durable.
 */

import type { ArgumentsOf, Calls, InSpace, Method, SessionState, SignedIn } from '../api/calls.ts';
import { shibuDbError } from '../api/errors.ts';
import type { Permission } from '../api/users.ts';
import type { StoredUser } from '../storage/catalog.ts';
import { publicUser } from './users/user-accounts.ts';
import type { UserDirectory } from './users/user-directory.ts';

/**
 * What a call needs once there are users:
 *   anyone         nothing: it is how one comes in, or goes
 *   user           somebody who is signed in
 *   admin          an admin
 *   read, write    that permission for the space the call works on
 *   read named     read permission for the space called `name`
 *   read scanned   read permission for the space that is being scanned
 *   write uploaded write permission for the space that an upload goes to
 */
type Right = 'anyone' | 'user' | 'admin' | Permission | 'read named' | 'read scanned' | 'write uploaded';

/** What a call may be given: one on a space can never be left to everybody. */
type RightFor<Args> = Args extends InSpace
  ? Permission | 'admin'
  : Args extends { scan: number }
    ? 'read scanned' | 'anyone'
    : Args extends { upload: string }
      ? 'write uploaded' | 'anyone'
      : Args extends { name: string }
        ? 'admin' | 'read named'
        : 'anyone' | 'user' | 'admin';

type RightsTable = { readonly [M in keyof Calls]: RightFor<ArgumentsOf<M>> };

const rights: RightsTable = {
  authenticate: 'anyone',
  resumeSession: 'anyone',
  createFirstAdmin: 'anyone',
  createUser: 'admin',
  updateUserPassword: 'admin',
  updateUserRole: 'admin',
  updateUserPermissions: 'admin',
  deleteUser: 'admin',
  getUser: 'admin',
  listUsers: 'admin',
  createSpace: 'admin',
  deleteSpace: 'admin',
  listSpaces: 'admin',
  useSpace: 'read named',
  describeSpace: 'read named',
  put: 'write',
  get: 'read',
  delete: 'write',
  exists: 'read',
  size: 'read',
  clear: 'write',
  increment: 'write',
  putIf: 'write',
  expire: 'write',
  ttl: 'read',
  putMany: 'write',
  getMany: 'read',
  getEach: 'read',
  putEach: 'write',
  deleteMany: 'write',
  getPart: 'read',
  uploadOpen: 'write',
  uploadNext: 'write uploaded',
  // Like scanClose.
  uploadClose: 'anyone',
  scanOpen: 'read',
  scanVectorsOpen: 'read',
  scanNext: 'read scanned',
  // It only frees what the session itself has opened.
  scanClose: 'anyone',
  insertVector: 'write',
  insertVectors: 'write',
  getVector: 'read',
  deleteVector: 'write',
  deleteVectors: 'write',
  getMetadata: 'read',
  updateMetadata: 'write',
  countVectors: 'read',
  searchTopK: 'read',
  searchTopKBatch: 'read',
  rangeSearch: 'read',
  reindex: 'admin',
  waitForIndex: 'read',
  // What is told is what whoever is signed in at that moment may see.
  nextEvents: 'anyone',
  changeEncryption: 'admin',
  checkpoint: 'admin',
  stats: 'user',
  verify: 'admin',
  exportOpen: 'admin',
  exportNext: 'admin',
  importOpen: 'admin',
  importNext: 'admin',
  transferClose: 'anyone',
  close: 'anyone',
};

/** The spaces a session's call could mean, where its arguments do not say. */
export interface SpacesOfSession {
  current(): string | undefined;
  scanned(scan: number): string | undefined;
  uploaded(upload: string): string | undefined;
}

export class Access {
  readonly #users: UserDirectory;
  readonly #spaces: SpacesOfSession;
  /** Who is signed in, by name and by the password that let them in: with either of them changed they are not. */
  #signedIn: { username: string; hash: string } | undefined;

  constructor(users: UserDirectory, spaces: SpacesOfSession) {
    this.#users = users;
    this.#spaces = spaces;
  }

  /**
   * Lets a call through, or throws. Gives what a long call repeats between two chunks; nothing where there are no users.
   * @throws NOT_AUTHENTICATED, PERMISSION_DENIED
   */
  check(method: Method, args: unknown): (() => void) | undefined {
    if (!this.#users.any) return undefined;
    const right: Right = rights[method];
    // Which space is the current one may change while the call runs: what it works on is settled now.
    const space = this.#spaceOf(right, args);
    const allow = (): void => this.#allow(method, right, space);
    allow();
    return allow;
  }

  #allow(method: Method, right: Right, space: string | undefined): void {
    if (right === 'anyone') return;
    const user = this.#user(method);
    if (right === 'user' || user.role === 'admin') return;
    if (right === 'admin')
      throw denied(`${method} needs the role admin, but "${user.username}" has the role ${user.role}`);
    // Without a space the call itself says what is missing.
    if (space === undefined) return;
    const need: Permission = right.startsWith('write') ? 'write' : 'read';
    const has = Object.hasOwn(user.permissions, space) ? user.permissions[space] : undefined;
    if (has === 'write' || has === need) return;
    // The same for a space that does not exist: who may not read it does not learn that.
    throw denied(
      `${method} needs ${need} permission for the space "${space}", but "${user.username}" has ${has ?? 'none'}`,
    );
  }

  /** Whether what happens in a space, or in the database as a whole, may be told. */
  maySee(space: string | undefined): boolean {
    if (!this.#users.any) return true;
    const user = this.#signedInUser();
    if (user === undefined || space === undefined || user.role === 'admin') return user !== undefined;
    return Object.hasOwn(user.permissions, space);
  }

  signIn(user: StoredUser): SignedIn {
    this.#signedIn = { username: user.username, hash: user.password.hash };
    return { user: publicUser(user), token: this.#users.issueToken(user) };
  }

  /** Brings the session to the state that was told. @throws NOT_AUTHENTICATED for a token that is not good any more */
  resume({ token }: SessionState): SignedIn | undefined {
    if (token !== undefined) return this.signIn(this.#users.authenticateByToken(token));
    this.#signedIn = undefined;
    return undefined;
  }

  /** Keeps the session signed in although its user has a new password: it is the one that changed it. */
  passwordChanged(user: StoredUser): void {
    if (this.#signedIn?.username === user.username) this.signIn(user);
  }

  #spaceOf(right: Right, args: unknown): string | undefined {
    const given = args as { space?: unknown; name?: unknown; scan: number; upload: string };
    if (right === 'write uploaded') return this.#spaces.uploaded(given.upload);
    if (right === 'read scanned') return this.#spaces.scanned(given.scan);
    const name = right === 'read named' ? given.name : (given.space ?? this.#spaces.current());
    return name === undefined ? undefined : String(name);
  }

  #user(method: Method): StoredUser {
    if (this.#signedIn === undefined)
      throw shibuDbError('NOT_AUTHENTICATED', `${method} needs authenticate(username, password) first`);
    const user = this.#signedInUser();
    if (user !== undefined) return user;
    throw shibuDbError(
      'NOT_AUTHENTICATED',
      'The session has ended: the user was deleted or has a new password; call authenticate again',
    );
  }

  #signedInUser(): StoredUser | undefined {
    if (this.#signedIn === undefined) return undefined;
    const user = this.#users.find(this.#signedIn.username);
    return user?.password.hash === this.#signedIn.hash ? user : undefined;
  }
}

function denied(message: string): Error {
  return shibuDbError('PERMISSION_DENIED', message);
}
