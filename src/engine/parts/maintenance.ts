export { Compaction } from '../compaction.ts';
export { MaintenanceCalls } from '../maintenance-calls.ts';
export { salvageSpace } from '../salvage.ts';
export { verifySpace } from '../verify.ts';
