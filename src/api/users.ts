/**
 * Users and what they may do. Types only. A database without users needs no login: in a browser the origin is the boundary.
 * Once there is a user, every call needs `authenticate`, and what it may do depends on the user's role and permissions.
 */

import type { CallOptions } from './database.ts';

/**
 * `admin` may do everything. `user` may do what its permissions say, space by space; spaces, users, checkpoints, exports and
 * imports are for admins alone.
 */
export type Role = 'admin' | 'user';

/** `write` implies `read`. */
export type Permission = 'read' | 'write';

/** By the name of a space, which need not exist yet. Deleting a space takes the permissions for it away. */
export type Permissions = Readonly<Record<string, Permission>>;

/** Who may do what. */
export interface User {
  /** 1 to 255 characters. */
  username: string;
  /** Only ever passed in (`createUser`); what comes back never has it. */
  password?: string;
  /** What the user may do beside what `permissions` say. */
  role: Role;
  /** For the spaces it may work on. */
  permissions: Permissions;
}

/** Of `createUser`. */
export interface NewUser {
  /** 1 to 255 characters. */
  username: string;
  /** 1 to 1024 bytes of UTF-8. Composed and decomposed spellings of a character count as one (NFC). */
  password: string;
  /** Default `'user'`. */
  role?: Role;
  /** Default: none. */
  permissions?: Permissions;
}

/** The user that `open` makes when there is none. */
export interface FirstAdmin {
  /** 1 to 255 characters. */
  username: string;
  /** 1 to 1024 bytes of UTF-8. There is no default. */
  password: string;
}

/** Every call but `authenticate` is for admins, or for anybody while there are no users. */
export interface UserCalls {
  /**
   * Signs this object (and the handles made from it) in, and resolves with who that is. Another user may be signed in
   * before; if this fails, that one stays.
   *
   * Attempts slow down: after 3 failures for a name each further one waits, from 250 ms on twice as long each time, up to
   * 8 s, whoever makes it. The count is forgotten after a success, or 15 minutes without a failure.
   *
   * @throws NO_USERS when the database has no users, INVALID_CREDENTIALS for a wrong name or password (which of the two is
   *   not told, by time neither), TOO_MANY_ATTEMPTS when 8 attempts for the name wait already
   */
  authenticate(username: string, password: string, options?: CallOptions): Promise<User>;
  /**
   * Creates a user. The first one must be an admin; from then on every call needs `authenticate`.
   * @throws USER_EXISTS, INVALID_ARGUMENT, PERMISSION_DENIED
   */
  createUser(user: NewUser, options?: CallOptions): Promise<void>;
  /** Open sessions of the user end, except the one that made this call. @throws USER_NOT_FOUND */
  updateUserPassword(username: string, password: string, options?: CallOptions): Promise<void>;
  /** Counts at once, in open sessions too. @throws USER_NOT_FOUND, LAST_ADMIN when no admin would be left */
  updateUserRole(username: string, role: Role, options?: CallOptions): Promise<void>;
  /** Replaces all permissions of the user. Counts at once, in open sessions too. @throws USER_NOT_FOUND */
  updateUserPermissions(username: string, permissions: Permissions, options?: CallOptions): Promise<void>;
  /** Ends the user's open sessions. @throws USER_NOT_FOUND, LAST_ADMIN when no admin would be left */
  deleteUser(username: string, options?: CallOptions): Promise<void>;
  /** The user, without password; `undefined` if there is none. */
  getUser(username: string, options?: CallOptions): Promise<User | undefined>;
  /** All users in the order of their names, without passwords. */
  listUsers(options?: CallOptions): Promise<User[]>;
}
