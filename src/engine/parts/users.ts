export { UserCalls } from '../user-calls.ts';
export { portableScrypt } from '../users/portable-scrypt.ts';
export { UserAccounts } from '../users/user-accounts.ts';
