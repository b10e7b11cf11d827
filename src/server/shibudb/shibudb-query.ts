/**
 * A query of ShibuDB's protocol as it stands on the wire: one JSON object, whose names are read in any case and whose unknown
 * fields are ignored. A field of the wrong type makes the query invalid.
 */

export type Json = { readonly [name: string]: unknown };

export interface ShibuDbUser {
  readonly username: string;
  readonly password: string;
  readonly role: string;
  readonly permissions: { readonly [space: string]: string };
}

export interface ShibuDbQuery {
  readonly type: string;
  readonly space: string;
  readonly key: string;
  readonly value: string;
  readonly data: string;
  readonly dimension: number;
  readonly radius: number;
  readonly engineType: string;
  readonly indexType: string;
  readonly metric: string;
  readonly enableWal: boolean | undefined;
  /** Of 1.2; checked where they are used. */
  readonly metadata: unknown;
  readonly filter: unknown;
  readonly metadataFields: unknown;
  readonly newUser: ShibuDbUser | undefined;
  readonly deleteUser: ShibuDbUser | undefined;
}

/** Not a query. */
export class InvalidQuery extends Error {}

export function objectIn(line: string): Json {
  let parsed: unknown;
  try {
    parsed = JSON.parse(line);
  } catch {
    throw new InvalidQuery();
  }
  return lowered(parsed);
}

function lowered(value: unknown): Json {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new InvalidQuery();
  return Object.fromEntries(Object.entries(value).map(([name, field]) => [name.toLowerCase(), field]));
}

/** Absent and null are empty. */
export function textOf(object: Json, name: string): string {
  const value = object[name] ?? '';
  if (typeof value !== 'string') throw new InvalidQuery();
  return value.toWellFormed();
}

function integerOf(object: Json, name: string): number {
  const value = object[name] ?? 0;
  if (typeof value !== 'number' || !Number.isInteger(value)) throw new InvalidQuery();
  return value;
}

function numberOf(object: Json, name: string): number {
  const value = object[name] ?? 0;
  if (typeof value !== 'number') throw new InvalidQuery();
  return value;
}

function userOf(value: unknown): ShibuDbUser | undefined {
  if (value === undefined || value === null) return undefined;
  const user = lowered(value);
  const given = user.permissions ?? {};
  if (typeof given !== 'object' || Array.isArray(given)) throw new InvalidQuery();
  const permissions = given as Record<string, unknown>;
  if (Object.values(permissions).some((permission) => typeof permission !== 'string'))
    throw new InvalidQuery();
  return {
    username: textOf(user, 'username'),
    password: textOf(user, 'password'),
    role: textOf(user, 'role'),
    permissions: permissions as Record<string, string>,
  };
}

export function queryIn(line: string): ShibuDbQuery {
  const object = objectIn(line);
  const wal = object.enable_wal ?? undefined;
  if (wal !== undefined && typeof wal !== 'boolean') throw new InvalidQuery();
  return {
    type: textOf(object, 'type'),
    space: textOf(object, 'space'),
    key: textOf(object, 'key'),
    value: textOf(object, 'value'),
    data: textOf(object, 'data'),
    dimension: integerOf(object, 'dimension'),
    radius: numberOf(object, 'radius'),
    engineType: textOf(object, 'engine_type'),
    indexType: textOf(object, 'index_type'),
    metric: textOf(object, 'metric'),
    enableWal: wal,
    metadata: object.metadata ?? undefined,
    filter: object.filter ?? undefined,
    metadataFields: object.indexed_metadata_fields ?? undefined,
    newUser: userOf(object.new_user),
    deleteUser: userOf(object.delete_user),
  };
}
