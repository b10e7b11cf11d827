export { BufferPool } from '../../base/buffer-pool.ts';
export { unpackEntries } from '../../base/entry-columns.ts';
export { putManyOperations } from '../../space/key-value-batch.ts';
export {
  checkKey,
  continueBehind,
  deadlineOf,
  KeyValueSpace,
  putOperation,
  readDeadline,
  readStored,
} from '../../space/key-value-space.ts';
export { cutIfLarge } from '../../space/large-bytes.ts';
export { PendingKeys } from '../../space/pending-keys.ts';
export { KeyValueCalls } from '../key-value-calls.ts';
export { LargeValues } from '../large-values.ts';
export { StreamCalls } from '../stream-calls.ts';
export { Sweeper } from '../sweeper.ts';
