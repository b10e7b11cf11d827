/**
 * ShibuDB's protocol: the first line signs in, each further one is a query (docs/server.md lists them). Words and errors are those
 * of the real server, as recorded; what it gets wrong is not copied: here a write is visible and durable when it is
 * acknowledged, rights that were taken away are gone at once, and no hash of a password is sent.
 */

import type {
  Filter,
  Metadata,
  MetadataField,
  MetricName,
  SearchHit,
  VectorData,
} from '../../api/database.ts';
import { isShibuDbError } from '../../api/errors.ts';
import type { Permission, Permissions, Role, User } from '../../api/users.ts';
import type { LineAnswer, LineHandler } from '../listeners/line-conversation.ts';
import type { ListenerClient } from '../listeners/listener-client.ts';
import {
  InvalidQuery,
  objectIn,
  queryIn,
  type ShibuDbQuery,
  type ShibuDbUser,
  textOf,
} from './shibudb-query.ts';

/** What the client is told in place of an answer. */
class Refusal extends Error {}

type Answer = { readonly message: string } | { readonly value: string };
type Run = (client: ListenerClient, query: ShibuDbQuery) => Promise<Answer>;

export class ShibuDbHandler implements LineHandler {
  readonly lineBytesMax: number = 64 * 1024 * 1024;
  readonly #client: ListenerClient;

  constructor(client: ListenerClient) {
    this.#client = client;
  }

  async answer(line: string): Promise<LineAnswer> {
    if (this.#client.user === undefined) return this.#signIn(line);
    let type = '';
    try {
      const query = queryIn(line);
      type = query.type;
      const run = queries[type];
      if (run === undefined) throw new Refusal('unsupported query type');
      return answered({ ...(await run(this.#client, query)), status: 'OK' });
    } catch (error) {
      return answered({ status: 'ERROR', message: messageOf(error, type) });
    }
  }

  async #signIn(line: string): Promise<LineAnswer> {
    try {
      const object = objectIn(line);
      const user = await this.#client.signIn(textOf(object, 'username'), textOf(object, 'password'));
      return answered({ status: 'OK', user: { ...user, password: '' } });
    } catch (error) {
      // Which of the two was wrong is not told.
      const isFormat = error instanceof InvalidQuery;
      const message = isFormat ? 'invalid login format' : messageOf(error, '');
      return { ...answered({ status: 'ERROR', message }), isLast: true };
    }
  }
}

function answered(answer: object): LineAnswer {
  return { text: `${JSON.stringify(answer)}\n` };
}

/** What only an admin may do, in ShibuDB's words; of other queries it says that admin access is required. */
const adminOnly: Readonly<Record<string, string | undefined>> = {
  DELETE_SPACE: 'only admin can delete spaces',
  CREATE_USER: 'only admin can create users',
  UPDATE_USER_PASSWORD: 'only admin can update users',
  UPDATE_USER_ROLE: 'only admin can update users',
  UPDATE_USER_PERMISSIONS: 'only admin can update users',
  DELETE_USER: 'only admin can delete users',
  GET_USER: 'only admin can get user info',
};

function messageOf(error: unknown, type: string): string {
  if (error instanceof Refusal) return error.message;
  if (error instanceof InvalidQuery) return 'invalid query';
  if (!isShibuDbError(error)) return 'the server failed';
  switch (error.code) {
    case 'SPACE_NOT_FOUND':
      return 'space does not exist';
    case 'SPACE_EXISTS':
      return 'space already exists';
    case 'INVALID_CREDENTIALS':
      return 'invalid password';
    case 'INVALID_ARGUMENT':
      return type === '' ? 'invalid password' : error.message;
    case 'USER_EXISTS':
      return 'user already exists';
    case 'USER_NOT_FOUND':
      return 'user not found';
    case 'WRONG_ENGINE':
      return `operation not supported: not a ${/needs a (\S+) space/.exec(error.message)?.[1] ?? 'fitting'} space`;
    case 'PERMISSION_DENIED': {
      const [, need] = /needs (read|write) permission/.exec(error.message) ?? [];
      if (need === undefined) return adminOnly[type] ?? 'admin access required';
      return `${type === 'INSERT_VECTOR' ? 'write' : need} permission denied`;
    }
    default:
      return error.message;
  }
}

const done = (message: string): Answer => ({ message });

// --- keys ---------------------------------------------------------------------------------------------------------

function keySpaceOf({ space }: ShibuDbQuery): string {
  if (space === '') throw new Refusal('no table selected');
  return space;
}

const put: Run = async (client, query) => {
  await client.call('put', { space: keySpaceOf(query), key: query.key, value: query.value });
  return done('OK');
};

const get: Run = async (client, query) => {
  const value = await client.call('get', { space: keySpaceOf(query), key: query.key });
  if (value === undefined) throw new Refusal('key not found');
  return { value: typeof value === 'string' ? value : Buffer.from(value).toString() };
};

const remove: Run = async (client, query) => {
  if (await client.call('delete', { space: keySpaceOf(query), key: query.key })) return done('DELETED');
  throw new Refusal('key not found');
};

// --- spaces -------------------------------------------------------------------------------------------------------

const createSpace: Run = async (client, query) => {
  const { space: name, engineType, enableWal } = query;
  if (name === '') throw new Refusal('space name required');
  // Without a log a ShibuDB keeps what it has written now and then; that is what `none` promises, and no more is asked for.
  const durability = enableWal === false ? { durability: 'relaxed' as const } : {};
  if (engineType === '' || engineType === 'key-value') {
    await client.call('createSpace', { name, engine: 'key-value', options: durability });
  } else if (engineType === 'vector') {
    const { dimension, indexType, metric, metadataFields } = query;
    const options = {
      dimension,
      indexType: (indexType || 'Flat') as 'Flat',
      metric: metric as MetricName,
      ...(metadataFields === undefined ? {} : { metadataFields: metadataFields as MetadataField[] }),
      ...durability,
    };
    await Promise.resolve(client.call('createSpace', { name, engine: 'vector', options })).catch(
      (error: unknown) => refuseKind(error, query),
    );
  } else throw new Refusal(`unknown engine type: ${engineType}`);
  return done('SPACE_CREATED');
};

/** @throws Refusal in ShibuDB's words, where it is the kind of index or of distance that there is not */
function refuseKind(error: unknown, { indexType, metric }: ShibuDbQuery): never {
  if (isShibuDbError(error) && error.code === 'INVALID_ARGUMENT') {
    if (/indexType/.test(error.message)) throw new Refusal(`index type '${indexType}' is not allowed`);
    if (/metric/.test(error.message)) throw new Refusal(`metric '${metric}' is not allowed`);
  }
  throw error;
}

const listSpaces: Run = async (client) => {
  const spaces = (await client.call('listSpaces', {})).map(({ name }) => name);
  return done(JSON.stringify({ status: 'OK', spaces }));
};

const deleteSpace: Run = async (client, { data: name }) => {
  if (name === '') throw new Refusal('space name required');
  await client.call('deleteSpace', { name });
  return done('SPACE_DELETED');
};

const useSpace: Run = async (client, { space: name }) => {
  if (name === '') throw new Refusal('space name required');
  try {
    await client.call('useSpace', { name });
  } catch (error) {
    if (isShibuDbError(error) && error.code === 'SPACE_NOT_FOUND') throw new Refusal('space not found');
    throw error;
  }
  return done('SPACE_CHANGED');
};

// --- vectors ------------------------------------------------------------------------------------------------------

function vectorSpaceOf({ space }: ShibuDbQuery): string {
  if (space === '') throw new Refusal('no space selected');
  return space;
}

const float = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i;

/** @throws Refusal when it is no vector, or not of the space's dimension */
async function vectorOf(client: ListenerClient, query: ShibuDbQuery): Promise<Float32Array> {
  const parts = query.value.split(',');
  const { engine, dimension } = await client.call('describeSpace', { name: vectorSpaceOf(query) });
  if (engine !== 'vector') throw new Refusal('operation not supported: not a vector space');
  if (parts.length !== dimension)
    throw new Refusal(`vector dimension mismatch: expected ${dimension}, got ${parts.length}`);
  return Float32Array.from(parts, (part, i) => {
    const text = part.trim();
    const value = Math.fround(float.test(text) ? Number(text) : Number.NaN);
    if (!Number.isFinite(value)) throw new Refusal(`invalid float at position ${i}: "${text}"`);
    return value;
  });
}

function idOf({ key }: ShibuDbQuery): bigint {
  if (!/^[+-]?\d{1,19}$/.test(key)) throw new Refusal('invalid vector id');
  const id = BigInt(key.replace('+', ''));
  if (BigInt.asIntN(64, id) !== id) throw new Refusal('invalid vector id');
  return id;
}

const insertVector: Run = async (client, query) => {
  const id = idOf(query);
  const vector = await vectorOf(client, query);
  const metadata = query.metadata === undefined ? {} : { metadata: query.metadata as Metadata };
  await client.call('insertVector', { space: vectorSpaceOf(query), id, vector, ...metadata });
  return done('VECTOR_INSERTED');
};

/** As C's %f: a number that lies halfway goes to the even one, where `toFixed` goes up. */
function sixPlaces(x: number): string {
  const rounded = x.toFixed(6);
  // All digits there are: a float of 32 bits that lies halfway at the sixth place has no more.
  const exact = x.toFixed(40);
  const isHalfway = /50{33}$/.test(exact);
  return isHalfway && /[13579]$/.test(rounded) ? exact.slice(0, -34) : rounded;
}

/** `[{"id": 7, "distance": 0.203125}, …]`, six places as C's %f. */
function hitsText(hits: readonly SearchHit<VectorData>[]): Answer {
  return done(
    `[${hits.map(({ id, distance }) => `{"id": ${id}, "distance": ${sixPlaces(distance)}}`).join(', ')}]`,
  );
}

/** Its filters are objects as ours are. */
function whereOf({ filter }: ShibuDbQuery): { where?: Filter } {
  return filter === undefined ? {} : { where: filter as Filter };
}

const searchTopK: Run = async (client, query) => {
  const vector = await vectorOf(client, query);
  const k = query.dimension <= 0 ? 1 : query.dimension;
  return hitsText(
    await client.call('searchTopK', { space: vectorSpaceOf(query), query: vector, k, ...whereOf(query) }),
  );
};

const rangeSearch: Run = async (client, query) => {
  const vector = await vectorOf(client, query);
  const radius = query.radius <= 0 ? 1 : query.radius;
  return hitsText(
    await client.call('rangeSearch', {
      space: vectorSpaceOf(query),
      query: vector,
      radius,
      ...whereOf(query),
    }),
  );
};

const getVector: Run = async (client, query) => {
  const vector = await client.call('getVector', { space: vectorSpaceOf(query), id: idOf(query) });
  if (vector === undefined) throw new Refusal(`ID ${query.key} not found`);
  return done(Array.from(vector, sixPlaces).join(','));
};

const deleteVector: Run = async (client, query) => {
  if (await client.call('deleteVector', { space: vectorSpaceOf(query), id: idOf(query) }))
    return done('VECTOR_DELETED');
  throw new Refusal(`ID ${query.key} not found`);
};

// --- users --------------------------------------------------------------------------------------------------------

function userDataOf(user: ShibuDbUser | undefined, missing = 'user data missing'): ShibuDbUser {
  if (user === undefined) throw new Refusal(missing);
  return user;
}

const createUser: Run = async (client, { newUser }) => {
  const { username, password, role, permissions } = userDataOf(newUser, 'new user data missing');
  const user = { username, password, permissions: permissions as Record<string, Permission> };
  await client.call('createUser', { user: role === '' ? user : { ...user, role: role as Role } });
  return done('USER_CREATED');
};

const updatePassword: Run = async (client, { newUser }) => {
  const { username, password } = userDataOf(newUser);
  await client.call('updateUserPassword', { username, password });
  return done('USER_PASSWORD_UPDATED');
};

const updateRole: Run = async (client, { newUser }) => {
  const { username, role } = userDataOf(newUser);
  await client.call('updateUserRole', { username, role: role as Role });
  return done('USER_ROLE_UPDATED');
};

const updatePermissions: Run = async (client, { newUser }) => {
  const { username, permissions } = userDataOf(newUser);
  await client.call('updateUserPermissions', { username, permissions: permissions as Permissions });
  return done('USER_ROLE_UPDATED');
};

const deleteUser: Run = async (client, { deleteUser: given }) => {
  await client.call('deleteUser', { username: userDataOf(given).username });
  return done('USER_DELETED');
};

const getUser: Run = async (client, { data: username }) => {
  if (username === '') throw new Refusal('query data missing');
  const user = await client.call('getUser', { username });
  if (user === undefined) throw new Refusal('not found');
  return done(`Username: ${user.username} | Role: ${user.role} | Permissions: ${permissionsText(user)}`);
};

function permissionsText({ permissions }: User): string {
  return (
    Object.entries(permissions)
      .map(([space, right]) => `${space}=${right}`)
      .join(', ') || 'None'
  );
}

const queries: Readonly<Record<string, Run | undefined>> = {
  __proto__: null as never,
  PUT: put,
  GET: get,
  DELETE: remove,
  CREATE_SPACE: createSpace,
  LIST_SPACES: listSpaces,
  DELETE_SPACE: deleteSpace,
  USE_SPACE: useSpace,
  INSERT_VECTOR: insertVector,
  SEARCH_TOPK: searchTopK,
  RANGE_SEARCH: rangeSearch,
  GET_VECTOR: getVector,
  DELETE_VECTOR: deleteVector,
  CREATE_USER: createUser,
  UPDATE_USER_PASSWORD: updatePassword,
  UPDATE_USER_ROLE: updateRole,
  UPDATE_USER_PERMISSIONS: updatePermissions,
  DELETE_USER: deleteUser,
  GET_USER: getUser,
};
