/** What a user may be called, be, and be allowed. */

import type { Permissions, Role } from '../../api/users.ts';
import { invalid, oneOf, shown, wellFormedText } from '../../base/arguments.ts';

const nameLengthMax = 255;

export function checkUsername(username: unknown): string {
  const text = wellFormedText(username, 'the username');
  if (text.length === 0 || text.length > nameLengthMax)
    throw invalid(`Got a username of ${text.length} characters, expected 1 to ${nameLengthMax}`);
  return text;
}

export function checkRole(role: unknown): Role {
  return oneOf<Role>(role, ['admin', 'user'], 'role');
}

export function checkPermissions(permissions: unknown): Permissions {
  if (typeof permissions !== 'object' || permissions === null || Array.isArray(permissions))
    throw invalid(`Got ${shown(permissions)} for permissions, expected an object: space -> read or write`);
  const entries = Object.entries(permissions).map(([space, permission]) => [
    wellFormedText(space, 'the name of a space'),
    oneOf(permission, ['read', 'write'], `the permission for ${shown(space)}`),
  ]);
  // Defines properties rather than setting them: a space may be called `__proto__`.
  return Object.fromEntries(entries) as Permissions;
}
