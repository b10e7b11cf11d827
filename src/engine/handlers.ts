/** Which part of a session answers which call. What is not named here cannot be called from outside. */

import type { ArgumentsOf, CallContext, Method, ResultOf } from '../api/calls.ts';

export type Handlers = {
  [M in Method]: (args: ArgumentsOf<M>, context: CallContext) => ResultOf<M> | Promise<ResultOf<M>>;
};

export const partOf = {
  createSpace: 'session',
  deleteSpace: 'session',
  listSpaces: 'session',
  useSpace: 'session',
  describeSpace: 'session',
  put: 'keyValue',
  get: 'keyValue',
  delete: 'keyValue',
  exists: 'keyValue',
  size: 'keyValue',
  clear: 'keyValue',
  increment: 'keyValue',
  putIf: 'keyValue',
  expire: 'keyValue',
  ttl: 'keyValue',
  putMany: 'keyValue',
  getMany: 'keyValue',
  getEach: 'keyValue',
  putEach: 'keyValue',
  deleteMany: 'keyValue',
  getPart: 'streams',
  uploadOpen: 'streams',
  uploadNext: 'streams',
  uploadClose: 'streams',
  scanOpen: 'keyValue',
  scanVectorsOpen: 'vectors',
  scanNext: 'scans',
  scanClose: 'scans',
  insertVector: 'vectors',
  insertVectors: 'vectors',
  getVector: 'vectors',
  deleteVector: 'vectors',
  deleteVectors: 'vectors',
  getMetadata: 'vectors',
  updateMetadata: 'vectors',
  countVectors: 'vectors',
  searchTopK: 'vectors',
  searchTopKBatch: 'vectors',
  rangeSearch: 'vectors',
  reindex: 'vectors',
  waitForIndex: 'vectors',
  authenticate: 'users',
  resumeSession: 'session',
  createFirstAdmin: 'users',
  createUser: 'users',
  updateUserPassword: 'users',
  updateUserRole: 'users',
  updateUserPermissions: 'users',
  deleteUser: 'users',
  getUser: 'users',
  listUsers: 'users',
  nextEvents: 'events',
  changeEncryption: 'maintenance',
  checkpoint: 'session',
  stats: 'session',
  verify: 'maintenance',
  exportOpen: 'maintenance',
  exportNext: 'maintenance',
  importOpen: 'maintenance',
  importNext: 'maintenance',
  transferClose: 'maintenance',
  close: 'session',
} as const;

export type SessionPart = (typeof partOf)[Method];
/** The handlers one part has to have. */
export type HandlersOf<P extends SessionPart> = {
  [M in Method as (typeof partOf)[M] extends P ? M : never]: Handlers[M];
};
