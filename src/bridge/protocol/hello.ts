/** The first frame of each side: what they speak, what they bear, who the caller is, and which session goes on. */

import { shibuDbError } from '../../api/errors.ts';
import { shown } from '../../base/arguments.ts';
import { malformed } from './value-reader.ts';

/** Every version this build speaks, best first. */
export const versions: readonly number[] = [1];

/** Of the WebSocket; a ticket travels as a second one, because browsers allow no header. */
export const subprotocol = 'shibumi.1';
export const ticketProtocolPrefix = 'shibumi.ticket.';

/** The most either side sends in one message. */
export const messageBytesMax: number = 1024 * 1024;
/** The most either side takes as one frame, in parts. A value has at most 64 MiB. */
export const frameBytesMax: number = 128 * 1024 * 1024;
/** Credit at the beginning. */
export const windowBytes: number = 16 * 1024 * 1024;

export interface Hello {
  readonly versions: readonly number[];
  /** What the client can do beyond the version. Unknown names are ignored. */
  readonly features: readonly string[];
  /** For logs: program and version. */
  readonly client: string;
  readonly window: number;
  readonly credentials?: { readonly username: string; readonly password: string };
  /** The session to go on with, and the proof that it is this client's. */
  readonly resume?: { readonly session: string; readonly token: string };
  /** What a new session is to begin with where the one asked for is gone: its user, by a token, and its space. */
  readonly state?: { readonly token?: string; readonly space?: string };
}

export interface Welcome {
  readonly version: number;
  readonly features: readonly string[];
  readonly server: string;
  readonly session: string;
  /** Shown again to go on with the session after a reconnect. */
  readonly token: string;
  /** Whether the session asked for goes on: its calls, scans, space and user are still there. */
  readonly resumed: boolean;
  /** Of the user that the hello signed in, for a later hello's `state`. */
  readonly userToken?: string;
  readonly window: number;
  /** How often to send a ping; whoever hears nothing for three times as long may give the connection up. */
  readonly heartbeatMs: number;
}

export function parseHello(value: unknown): Hello {
  const hello = record(value, 'hello');
  const { credentials, resume, state } = hello;
  return {
    versions: listOf(hello.versions, 'number', 'versions'),
    features: listOf(hello.features, 'string', 'features'),
    client: text(hello.client, 'client'),
    window: windowOf(hello.window),
    ...(credentials === undefined ? {} : { credentials: texts(credentials, ['username', 'password']) }),
    ...(resume === undefined ? {} : { resume: texts(resume, ['session', 'token']) }),
    ...(state === undefined ? {} : { state: optionalTexts(state, ['token', 'space']) }),
  };
}

export function parseWelcome(value: unknown): Welcome {
  const welcome = record(value, 'welcome');
  const { version, resumed, heartbeatMs } = welcome;
  if (typeof version !== 'number' || !versions.includes(version))
    throw shibuDbError(
      'VERSION_MISMATCH',
      `The server speaks version ${shown(version)}, expected ${versions}`,
    );
  if (typeof heartbeatMs !== 'number' || !(heartbeatMs >= 10)) throw malformed('heartbeatMs is no time');
  return {
    version,
    features: listOf(welcome.features, 'string', 'features'),
    server: text(welcome.server, 'server'),
    ...texts(welcome, ['session', 'token']),
    resumed: resumed === true,
    ...optionalTexts(welcome, ['userToken']),
    window: windowOf(welcome.window),
    heartbeatMs,
  };
}

/** The best version both speak. @throws VERSION_MISMATCH */
export function commonVersion(theirs: readonly number[]): number {
  const best = versions.find((version) => theirs.includes(version));
  if (best === undefined)
    throw shibuDbError(
      'VERSION_MISMATCH',
      `Got protocol versions ${theirs.slice(0, 8).join(', ') || 'none'}, expected one of ${versions.join(', ')}`,
    );
  return best;
}

function record(value: unknown, what: string): Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value) || ArrayBuffer.isView(value))
    throw malformed(`${what} is ${shown(value)}, expected an object`);
  return value as Record<string, unknown>;
}

function text(value: unknown, what: string): string {
  if (typeof value !== 'string' || value.length > 4096) throw malformed(`${what} is no short text`);
  return value;
}

function texts<const Name extends string>(value: unknown, names: readonly Name[]): Record<Name, string> {
  const fields = record(value, names.join(' and '));
  return Object.fromEntries(names.map((name) => [name, text(fields[name], name)])) as Record<Name, string>;
}

function optionalTexts<const Name extends string>(
  value: unknown,
  names: readonly Name[],
): Partial<Record<Name, string>> {
  const fields = record(value, names.join(' and '));
  const given = names.filter((name) => fields[name] !== undefined);
  return Object.fromEntries(given.map((name) => [name, text(fields[name], name)])) as Partial<
    Record<Name, string>
  >;
}

function windowOf(value: unknown): number {
  if (typeof value !== 'number' || !Number.isInteger(value) || value < 1024 || value > 2 ** 31)
    throw malformed('window is no number of bytes from 1024 to 2147483648');
  return value;
}

function listOf<Kind extends 'number' | 'string'>(
  value: unknown,
  kind: Kind,
  what: string,
): (Kind extends 'number' ? number : string)[] {
  if (!Array.isArray(value) || value.length > 64 || value.some((item) => typeof item !== kind))
    throw malformed(`${what} is no short list of ${kind}s`);
  return value;
}
