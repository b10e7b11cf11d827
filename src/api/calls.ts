/**
 * The calls a `Database` makes of its engine, as data: what travels from a client to a session, in the same process or
 * through a worker. Arguments and results can be structured-cloned; callbacks and signals stay with the transport.
 */

import type {
  EngineKind,
  Entry,
  IndexType,
  KeyValueSpaceOptions,
  Progress,
  PutEntry,
  SearchHit,
  SpaceDescription,
  SpaceInfo,
  Stats,
  Value,
  VectorData,
  VectorEntry,
  VectorId,
  VectorIds,
  VectorInput,
  VectorSpaceOptions,
  VerifyReport,
} from './database.ts';
import type { Encryption } from './encryption.ts';
import { shibuDbError } from './errors.ts';
import type { LogLevel } from './events.ts';
import type { Metadata, Where } from './metadata.ts';
import type { FirstAdmin, NewUser, Permissions, Role, User } from './users.ts';

/** Every data call names its space; `undefined` means the session's current one. */
export interface InSpace {
  space: string | undefined;
}

export interface ScanArguments {
  prefix?: string;
  start?: string;
  end?: string;
  limit?: number;
  reverse?: boolean;
  cursor?: string;
}

export interface VectorScanArguments {
  where?: Where;
  limit?: number;
  cursor?: string;
}

/** How hard a search tries: SearchOptions. */
export interface EffortArguments {
  efSearch?: number;
  nprobe?: number;
  rerank?: boolean;
  oversample?: number;
}

/** Which vectors a search may answer with, and what of them. */
export interface HitArguments {
  where?: Where;
  includeVectors?: boolean;
  includeMetadata?: boolean;
  allowPartial?: boolean;
}

/** Hits of several queries, one query's behind another's: of the first `counts[0]` of them, of the next `counts[1]`, … */
export interface PackedHits {
  counts: Uint32Array;
  ids: VectorId[];
  distances: Float32Array;
  vectors?: VectorData[];
  metadata?: Metadata[];
}

/** A step of a scan. `cursor` stands behind its last item. */
export interface ScanStep<Item> {
  items: Item[];
  /** In the place of items, for a caller that takes them: what the step holds. */
  columns?: EntryColumns | undefined;
  done: boolean;
  cursor: string | undefined;
}

/** What a session has been told: all that must be known to bring another one to the same state. */
export interface SessionState {
  /** From the last `authenticate` or `resumeSession`. Absent: nobody is signed in. */
  readonly token?: string;
  /** From the last `useSpace`. */
  readonly space?: string;
}

export interface SignedIn {
  readonly user: User;
  /** Signs in again without the password (`resumeSession`), in any session of the database, until it is changed. */
  readonly token: string;
}

/**
 * Many values in two columns over one buffer: `heads` holds a u32 a value (what it is and how long), `bytes` the values
 * one after another. base/packed-values.ts packs and unpacks them.
 */
export interface PackedValues {
  readonly heads: Uint32Array<ArrayBuffer>;
  readonly bytes: Uint8Array<ArrayBuffer>;
}

/** Keys as one text (base/packed-keys.ts). */
export interface PackedKeys {
  readonly text: string;
  readonly count: number;
}

/** Entries of a step as columns, all of them in one buffer; keys are texts. base/entry-columns.ts unpacks them. */
export interface EntryColumns {
  readonly keys: PackedValues;
  readonly values: PackedValues;
}

/** Entries of one call as columns. */
export interface PackedEntries {
  readonly keys: readonly string[];
  readonly values: PackedValues;
}

/** A stretch of a value's bytes. */
export interface ValuePart {
  bytes: Uint8Array;
  /** Of the whole value. */
  length: number;
  /** Names what was put there: passed back with the next `getPart`, which fails once there is something else. */
  identity: string;
}

/** The next piece of an export. */
export interface ExportStep {
  bytes: Uint8Array;
  done: boolean;
  progress: Progress;
}

export interface ImportStep {
  progress: Progress;
  /** Spaces that are complete. */
  spaces: string[];
  users: string[];
}

/** Method name -> its arguments and its result. */
export interface Calls {
  createSpace: [
    { name: string; engine: EngineKind; options: KeyValueSpaceOptions | VectorSpaceOptions },
    undefined,
  ];
  deleteSpace: [{ name: string }, undefined];
  listSpaces: [Record<never, never>, SpaceInfo[]];
  useSpace: [{ name: string }, undefined];
  describeSpace: [{ name: string }, SpaceDescription];
  put: [InSpace & { key: string; value: Value; ttlMs?: number }, undefined];
  get: [InSpace & { key: string }, Value | undefined];
  delete: [InSpace & { key: string }, boolean];
  exists: [InSpace & { key: string }, boolean];
  size: [InSpace, number];
  clear: [InSpace, undefined];
  increment: [InSpace & { key: string; by: number | bigint }, number | bigint];
  putIf: [InSpace & { key: string; value: Value; expected: Value | undefined; ttlMs?: number }, boolean];
  expire: [InSpace & { key: string; ttlMs: number }, boolean];
  ttl: [InSpace & { key: string }, number | undefined];
  putMany: [InSpace & { entries: readonly PutEntry[] | PackedEntries }, undefined];
  /** `packed`: in the place of `keys`, which is then empty. */
  getMany: [InSpace & { keys: readonly string[]; packed?: PackedKeys }, PackedValues];
  /** Gets and puts of several callers that travel together; each is a call of its own all the same. */
  getEach: [InSpace & { keys: readonly string[]; packed?: PackedKeys }, PackedValues];
  putEach: [InSpace & PackedEntries, undefined];
  deleteMany: [InSpace & { keys: readonly string[] }, number];
  getPart: [InSpace & { key: string; from: number; identity?: string }, ValuePart | undefined];
  uploadOpen: [InSpace & { key: string; isText: boolean; ttlMs?: number }, string];
  uploadNext: [{ upload: string; bytes: Uint8Array; last: boolean }, undefined];
  uploadClose: [{ upload: string }, undefined];
  scanOpen: [InSpace & ScanArguments, number];
  scanVectorsOpen: [InSpace & VectorScanArguments, number];
  /** `packed`: the caller takes columns. */
  scanNext: [{ scan: number; packed?: boolean }, ScanStep<Entry | VectorEntry<VectorData>>];
  scanClose: [{ scan: number }, undefined];
  insertVector: [InSpace & { id: VectorId; vector: VectorInput; metadata?: Metadata }, undefined];
  insertVectors: [
    InSpace & { ids: VectorIds; vectors: VectorData; metadata?: readonly (Metadata | null | undefined)[] },
    undefined,
  ];
  getVector: [InSpace & { id: VectorId }, VectorData | undefined];
  deleteVector: [InSpace & { id: VectorId }, boolean];
  deleteVectors: [InSpace & { which: VectorIds | { where: Where } }, number];
  getMetadata: [InSpace & { id: VectorId }, Metadata | undefined];
  updateMetadata: [InSpace & { id: VectorId; metadata: Metadata; replace?: boolean }, boolean];
  countVectors: [InSpace & { where?: Where }, number];
  searchTopK: [
    InSpace & { query: VectorInput; k: number } & EffortArguments & HitArguments,
    SearchHit<VectorData>[],
  ];
  searchTopKBatch: [
    InSpace & { queries: VectorData; k: number } & EffortArguments & HitArguments,
    PackedHits,
  ];
  rangeSearch: [
    InSpace & {
      query: VectorInput;
      radius: number;
      limit?: number;
      after?: { id: VectorId; distance: number };
    } & HitArguments,
    SearchHit<VectorData>[],
  ];
  reindex: [InSpace & { indexType: IndexType; efConstruction?: number }, undefined];
  waitForIndex: [InSpace, undefined];
  authenticate: [{ username: string; password: string }, SignedIn];
  resumeSession: [SessionState, SignedIn | undefined];
  createFirstAdmin: [FirstAdmin, boolean];
  createUser: [{ user: NewUser }, undefined];
  updateUserPassword: [{ username: string; password: string }, undefined];
  updateUserRole: [{ username: string; role: Role }, undefined];
  updateUserPermissions: [{ username: string; permissions: Permissions }, undefined];
  deleteUser: [{ username: string }, undefined];
  getUser: [{ username: string }, User | undefined];
  listUsers: [Record<never, never>, User[]];
  nextEvents: [
    { listener: number; log?: LogLevel },
    readonly { readonly type: string; readonly detail: unknown }[],
  ];
  changeEncryption: [{ current: Encryption; next: Encryption }, undefined];
  checkpoint: [Record<never, never>, undefined];
  stats: [Record<never, never>, Stats];
  verify: [{ deep?: boolean }, VerifyReport];
  exportOpen: [{ spaces?: readonly string[]; users?: boolean }, number];
  exportNext: [{ transfer: number }, ExportStep];
  importOpen: [{ users?: boolean }, number];
  importNext: [{ transfer: number; bytes: Uint8Array; last: boolean }, ImportStep];
  transferClose: [{ transfer: number }, undefined];
  close: [Record<never, never>, undefined];
}

export type Method = keyof Calls;
export type ArgumentsOf<M extends Method> = Calls[M][0];
export type ResultOf<M extends Method> = Calls[M][1];

/** What a running call may use besides its arguments. */
export interface CallContext {
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((progress: Progress) => void) | undefined;
  /** Throws when the caller may not do it any more: for long calls, between two chunks. Absent: everybody may. */
  readonly allow?: (() => void) | undefined;
  /**
   * For a call that waited for its part of the script: it is told in its turn, before the calls behind it begin, that this one was refused
   * before it had its place, with the arguments as they were settled. The call fails with the error as well.
   */
  readonly onRefused?: ((error: unknown, args: unknown) => void) | undefined;
}

/** The calls that answer an abort themselves, with how much was acknowledged; all others give up at once. */
export const callsThatReportPrefix: ReadonlySet<Method> = new Set<Method>(['insertVectors']);

/** Calls that stand open until something happens. Nobody waits for them, so nothing is kept or held up for their sake. */
export const standingCalls: ReadonlySet<Method> = new Set<Method>(['nextEvents']);

/** Calls that only whoever opened the database itself may make: a server's clients could shut it out of its own data. */
const callsNotOverNetwork: ReadonlySet<string> = new Set<Method>(['changeEncryption']);

/** @throws UNSUPPORTED for a call that a server does not make for its clients */
export function assertOverNetwork(method: string): void {
  if (!callsNotOverNetwork.has(method)) return;
  throw shibuDbError(
    'UNSUPPORTED',
    `${method} can only be called where the database itself is open, not over a connection`,
  );
}

/**
 * The calls that change nothing: whoever loses its owner in the middle of one may send it again to the next owner. Any other
 * call that was sent and not answered fails with `OUTCOME_UNKNOWN`, because it may have taken effect.
 */
export const callsThatChangeNothing: ReadonlySet<Method> = new Set<Method>([
  'resumeSession',
  'nextEvents',
  'getUser',
  'listUsers',
  'listSpaces',
  'describeSpace',
  'get',
  'exists',
  'size',
  'ttl',
  'getMany',
  'getEach',
  'getPart',
  // It only takes away what was not stored.
  'uploadClose',
  'scanOpen',
  'scanVectorsOpen',
  // A later owner does not know the scan, and says so.
  'scanNext',
  'scanClose',
  // Nothing but the session's own state.
  'useSpace',
  'authenticate',
  'getVector',
  'getMetadata',
  'countVectors',
  'searchTopK',
  'searchTopKBatch',
  'rangeSearch',
  'waitForIndex',
  'checkpoint',
  'stats',
  'verify',
]);

const calledBy: ReadonlyMap<string, string> = new Map([
  ['scanOpen', 'scan'],
  ['scanVectorsOpen', 'scanVectors'],
  ['getPart', 'getStream'],
  ['uploadOpen', 'putStream'],
]);

/** The method of `Database` that makes a call, for errors that name it. */
export function callerOf(method: string): string {
  return calledBy.get(method) ?? method;
}
