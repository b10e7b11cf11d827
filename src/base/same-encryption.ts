import { shibuDbError } from '../api/errors.ts';

/** What a database is and how it is opened must agree. @throws ENCRYPTED, NOT_ENCRYPTED */
export function assertSameEncryption(isEncrypted: boolean, hasSecret: boolean, name: string): void {
  if (isEncrypted === hasSecret) return;
  throw isEncrypted
    ? shibuDbError('ENCRYPTED', `"${name}" is encrypted: pass { encryption } to open it`)
    : shibuDbError('NOT_ENCRYPTED', `"${name}" is not encrypted: open it without { encryption }`);
}
