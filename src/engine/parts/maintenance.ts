export { Compactor } from '../compactor.ts';
export { MaintenanceCalls } from '../maintenance-calls.ts';
export { salvageSpace } from '../salvage.ts';
export { verifyDatabase } from '../verify-database.ts';
