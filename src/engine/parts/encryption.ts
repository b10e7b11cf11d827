export { EncryptedBackend } from '../../storage/encryption/encrypted-backend.ts';
export { parseKeyRecord, unlockKey } from '../../storage/encryption/key-record.ts';
