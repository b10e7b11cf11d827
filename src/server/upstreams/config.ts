/**
 * The config file of `serve --config`, in JSON:
 *
 *   { "upstreams": { "cache": "redis://127.0.0.1:6379", "main": "postgres://app:${PGPASSWORD}@db/app" },
 *     "spaces": { "sessions": "cache", "docs-*": "main", "*": "embedded" } }
 *
 * The first pattern that fits a space's name says where it lies; one that none fits is the engine's. `${NAME}` is taken from
 * the environment, so that passwords need not be in the file.
 */

import { invalid, shown } from '../../base/arguments.ts';
import { NubDbUpstream } from './nubdb-upstream.ts';
import { openPostgres } from './postgres-upstream.ts';
import { openRedis } from './redis-upstream.ts';
import { type Route, Routes } from './routes.ts';
import { ShibuDbUpstream } from './shibudb-upstream.ts';
import type { Upstream } from './upstream.ts';

export interface RoutingConfig {
  /** Addresses by a name of your own. */
  readonly upstreams: Readonly<Record<string, string>>;
  /** Names of spaces, with `*` for any text, to names of upstreams or `embedded`. */
  readonly spaces: Readonly<Record<string, string>>;
}

const embedded = 'embedded';

export function parseConfig(
  text: string,
  environment: Readonly<Record<string, string | undefined>>,
): RoutingConfig {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch (error) {
    throw invalid(`The config is not JSON: ${error instanceof Error ? error.message : error}`);
  }
  const { upstreams, spaces, ...rest } = (parsed ?? {}) as Record<string, unknown>;
  const [stranger] = Object.keys(rest);
  if (stranger !== undefined)
    throw invalid(`Got ${shown(stranger)} in the config, expected upstreams and spaces`);
  return {
    upstreams: Object.fromEntries(
      Object.entries(textsIn(upstreams, 'upstreams')).map(([name, address]) => [
        name,
        expanded(address, environment),
      ]),
    ),
    spaces: textsIn(spaces, 'spaces'),
  };
}

function textsIn(value: unknown, name: string): Record<string, string> {
  const isTexts =
    typeof value === 'object' &&
    value !== null &&
    Object.values(value).every((item) => typeof item === 'string');
  if (isTexts) return value as Record<string, string>;
  throw invalid(`Got ${shown(value)} for ${name} in the config, expected an object of texts`);
}

function expanded(address: string, environment: Readonly<Record<string, string | undefined>>): string {
  return address.replace(/\$\{(\w+)\}/g, (_, name: string) => {
    const value = environment[name];
    if (value === undefined) throw invalid(`The config names the environment's ${name}, which is not set`);
    return encodeURIComponent(value);
  });
}

/** Connects to all upstreams. @throws INVALID_ARGUMENT, BRIDGE_UNAVAILABLE, UNSUPPORTED where a package is missing */
export async function openRoutes({ upstreams, spaces }: RoutingConfig): Promise<Routes> {
  const open = new Map<string, Upstream>();
  try {
    for (const [name, address] of Object.entries(upstreams)) open.set(name, await openUpstream(address));
    const routes = Object.entries(spaces).map(([pattern, name]): Route => {
      const upstream = open.get(name);
      if (upstream === undefined && name !== embedded)
        throw invalid(
          `Got the upstream ${shown(name)} for ${shown(pattern)}, expected one of ${[...open.keys(), embedded].join(', ')}`,
        );
      return { pattern, upstream };
    });
    return new Routes(routes);
  } catch (error) {
    await Promise.all([...open.values()].map((upstream) => upstream.close()));
    throw error;
  }
}

/** By the scheme of its address. The address is never repeated in an error: there may be a password in it. */
export async function openUpstream(address: string): Promise<Upstream> {
  let url: URL;
  try {
    url = new URL(address);
  } catch {
    throw invalid('Got an upstream whose address is no URL');
  }
  switch (url.protocol) {
    case 'redis:':
    case 'rediss:':
    case 'redis-cluster:':
      return openRedis(url);
    case 'postgres:':
    case 'postgresql:':
      return openPostgres(url);
    case 'shibudb:':
      return ShibuDbUpstream.open(url);
    case 'nubdb:':
      return NubDbUpstream.open(url);
    default:
      throw invalid(
        `Got an upstream with the scheme ${url.protocol}, expected redis:, rediss:, redis-cluster:, postgres:, shibudb: or nubdb:`,
      );
  }
}
