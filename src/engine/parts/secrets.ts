export { checkEncryption } from '../../base/encryption-secret.ts';
export { EncryptedBackend } from '../../storage/encryption/encrypted-backend.ts';
export { parseKeyRecord, unlockKey } from '../../storage/encryption/key-record.ts';
export { Access } from '../access.ts';
export { UserCalls } from '../user-calls.ts';
export { parseUsers } from '../users/imported-users.ts';
export { portableScrypt } from '../users/portable-scrypt.ts';
export { UserAccounts } from '../users/user-accounts.ts';
