/** `shibumi serve <folder>`: the bridge, until a signal ends it. */

import { readFile } from 'node:fs/promises';
import { invalid } from '../base/arguments.ts';
import type { ListenerName } from '../server/listeners/open-listeners.ts';
import { type ServeOptions, serve } from '../server/serve.ts';
import { parseConfig } from '../server/upstreams/config.ts';
import { encryptionFromEnvironment } from './password.ts';
import type { serveOptions } from './serve-options.ts';
import { parseInteger } from './vector-text.ts';

type Values = { readonly [Name in keyof typeof serveOptions]?: string | string[] | undefined };

type Writable<Type> = { -readonly [Name in keyof Type]: Type[Name] };

const clientsOf = { resp: 'Redis', shibudb: 'ShibuDB', nubdb: 'NubDB' } as const;

const defaultPort = 4321;

/** Resolves when `signal` has fired and everything is closed. */
export async function runServe(folder: string, values: Values, signal: AbortSignal): Promise<void> {
  await using server = await serve(folder, await optionsFrom(values));
  process.stdout.write(`Serving ${folder} at ${server.url}\n`);
  for (const [name, port] of Object.entries(server.listeners))
    process.stdout.write(`Listening for clients of ${clientsOf[name as ListenerName]} on port ${port}\n`);
  if (server.createdAdmin !== undefined) {
    const { username, password } = server.createdAdmin;
    process.stdout.write(`Created the user "${username}" with the password ${password} (told only now)\n`);
  }
  if (!signal.aborted)
    await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
}

async function optionsFrom(values: Values): Promise<ServeOptions> {
  const text = (name: keyof typeof serveOptions): string | undefined => values[name] as string | undefined;
  const number = (name: keyof typeof serveOptions, least: number): number | undefined => {
    const given = text(name);
    return given === undefined ? undefined : parseInteger(given, `--${name}`, least);
  };
  const [key, cert] = [text('tls-key'), text('tls-cert')];
  if ((key === undefined) !== (cert === undefined))
    throw invalid('Got one of --tls-key and --tls-cert, expected both');
  const options: Writable<ServeOptions> = {
    port: number('port', 0) ?? defaultPort,
    origins: (values.origin as string[] | undefined) ?? [],
    log: (line) => process.stderr.write(`${new Date().toISOString()} ${line}\n`),
  };
  const host = text('host');
  if (host !== undefined) options.host = host;
  if (key !== undefined && cert !== undefined)
    options.tls = { key: await readFile(key), cert: await readFile(cert) };
  const connections = number('connections', 1);
  if (connections !== undefined) options.connectionsMax = connections;
  for (const name of ['resp', 'shibudb', 'nubdb'] as const) {
    const port = number(name, 0);
    if (port !== undefined) options[name] = port;
  }
  const [guest, nubdbSpace] = [text('guest'), text('nubdb-space')];
  if (guest !== undefined) options.guest = guest;
  if (nubdbSpace !== undefined) options.nubdbSpace = nubdbSpace;
  if (values['resp-space'] !== undefined) options.respSpaces = respSpacesIn(values['resp-space'] as string[]);
  const [upstream, config] = [text('upstream'), text('config')];
  if (upstream !== undefined && config !== undefined)
    throw invalid('Got --upstream and --config, expected one of them');
  if (upstream !== undefined) options.routing = { upstreams: { upstream }, spaces: { '*': 'upstream' } };
  if (config !== undefined) options.routing = parseConfig(await readFile(config, 'utf8'), process.env);
  const encryption = await encryptionFromEnvironment();
  if (encryption !== undefined) options.encryption = encryption;
  const calls = number('calls-per-second', 1);
  if (calls !== undefined) options.callsPerSecond = calls;
  return options;
}

/** `0=cache`, `1=sessions`. */
function respSpacesIn(given: readonly string[]): Record<number, string> {
  return Object.fromEntries(
    given.map((text) => {
      const [, number, space] = /^(\d+)=(.+)$/.exec(text) ?? [];
      if (number === undefined || space === undefined)
        throw invalid(`Got ${text} for --resp-space, expected a number and a space, as in 0=cache`);
      return [Number(number), space];
    }),
  );
}
