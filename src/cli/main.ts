/**
 * The command `shibumi`: reads the command line, opens the database, runs what was asked for, closes it.
 *
 * Ends with 0 when everything was done; 1 when a command, an import or an export failed; 2 when nothing was begun: the
 * command line is wrong, or the database cannot be opened. On SIGINT and SIGTERM the database is closed first, with 128
 * and the signal's number; a second signal ends the process at once, which costs nothing that was acknowledged.
 */

import { readFileSync, rmSync } from 'node:fs';
import { constants } from 'node:os';
import { parseArgs } from 'node:util';
import type { Database } from '../api/database.ts';
import type { Encryption } from '../api/encryption.ts';
import { invalid } from '../base/arguments.ts';
import { type BatchOutcome, linesFrom, runBatch } from './batch.ts';
import { commands } from './commands.ts';
import { type AddressOptions, openAddress } from './database-address.ts';
import { linesOf } from './lines.ts';
import { makePipes, NamedPipes } from './named-pipes.ts';
import { Output, ReaderGone } from './output.ts';
import { runPrompt } from './prompt.ts';
import { printed, type Reply } from './reply.ts';
import { serveOptions } from './serve-options.ts';
import { Shell } from './shell.ts';
import type { StaticOptionValues } from './static-command.ts';
import { type OptionValues, runExport, runImport } from './transfer-commands.ts';
import { usage } from './usage.ts';
import { parseUsers } from './users-command.ts';
import { parseInteger } from './vector-text.ts';
import { verify } from './verify-command.ts';

const done = 0;
const someFailed = 1;
const notBegun = 2;

const stopSignals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

const transferOptions = {
  format: { type: 'string' },
  'first-id': { type: 'string' },
  index: { type: 'string' },
  metric: { type: 'string' },
  ids: { type: 'string' },
  'ef-construction': { type: 'string' },
} as const;

/** Whom to sign in. */
const userOption = { type: 'string' } as const;

/** Where each applies; `shell` is the command without a name of its own. */
const optionsOf = {
  import: { ...transferOptions, user: userOption },
  export: {
    format: transferOptions.format,
    static: { type: 'string' },
    'pack-bytes': { type: 'string' },
    prune: { type: 'boolean' },
    user: userOption,
  },
  stats: { json: { type: 'boolean' }, user: userOption },
  verify: { json: { type: 'boolean' }, shallow: { type: 'boolean' }, user: userOption },
  bench: {
    json: { type: 'boolean' },
    vectors: { type: 'string' },
    dimension: { type: 'string' },
    user: userOption,
  },
  users: { json: { type: 'boolean' }, user: userOption, role: { type: 'string' } },
  move: {
    to: { type: 'string' },
    durability: { type: 'string' },
    state: { type: 'string' },
    'delete-source': { type: 'boolean' },
    user: userOption,
  },
  serve: serveOptions,
  shell: {
    command: { type: 'string', short: 'c', multiple: true },
    json: { type: 'boolean' },
    'stop-on-error': { type: 'boolean' },
    user: userOption,
    'pipe-in': { type: 'string' },
    'pipe-out': { type: 'string' },
    help: { type: 'boolean', short: 'h' },
    version: { type: 'boolean' },
  },
} as const;

/** `open` of `shibumi/node`. */
export type Open = (
  folder: string,
  options: { create: boolean; encryption?: Encryption },
) => Promise<Database>;

/** Runs the command line `args` (without the program) and sets the process's exit status. */
export async function main(args: readonly string[], open: Open): Promise<void> {
  const context = new Context(open);
  try {
    process.exitCode = await run(context, args);
  } catch (error) {
    if (error instanceof ReaderGone || context.signal.aborted) {
      // An end that was asked for; a signal's status is set where it is handled.
      process.exitCode = done;
    } else {
      process.stderr.write(`shibumi: ${error instanceof Error ? error.message : String(error)}\n`);
      process.exitCode = context.isOpen ? someFailed : notBegun;
    }
  } finally {
    await context.close();
    // A terminal or a pipe that nobody has ended would keep the process waiting.
    process.stdin.destroy();
  }
}

/** The database of this run, and its end. */
class Context {
  readonly #stopping = new AbortController();
  readonly #open: Open;
  #db: Database | undefined;

  constructor(open: Open) {
    this.#open = open;
  }

  get isOpen(): boolean {
    return this.#db !== undefined;
  }

  /** Fires when the process was asked to end. */
  get signal(): AbortSignal {
    return this.#stopping.signal;
  }

  async open(folder: string, options: AddressOptions): Promise<Database> {
    this.#db = await openAddress(this.#open, folder, options);
    for (const name of stopSignals) process.once(name, () => this.#stop(name));
    return this.#db;
  }

  /** Fires with a signal, and leaves the end to whoever watches it: a server's is an ordinary one. */
  stopOnSignals(): AbortSignal {
    for (const name of stopSignals) process.once(name, () => this.#stopping.abort());
    return this.signal;
  }

  #stop(name: (typeof stopSignals)[number]): void {
    this.#stopping.abort();
    this.close().finally(() => process.exit(128 + constants.signals[name]));
  }

  async close(): Promise<void> {
    await this.#db?.close();
  }
}

async function run(context: Context, args: readonly string[]): Promise<number> {
  const [name = '', ...rest] = args;
  switch (name) {
    case 'import': {
      const { values, positionals } = parsed(rest, optionsOf.import);
      return transfer(context, runImport, name, positionals, values);
    }
    case 'export': {
      const { values, positionals } = parsed(rest, optionsOf.export);
      const { static: target, 'pack-bytes': packBytes, prune, ...others } = values;
      if (target !== undefined) return exportToFiles(context, positionals, { ...values, target });
      const fileless = { 'pack-bytes': packBytes, prune };
      for (const [option, value] of Object.entries(fileless))
        if (value !== undefined) throw invalid(`Got --${option}, which goes with --static`);
      return transfer(context, runExport, name, positionals, others);
    }
    case 'move': {
      const { values, positionals } = parsed(rest, optionsOf.move);
      const [from, space] = exactly(positionals, ['from', 'space'], name);
      const { user, ...options } = values;
      const { runMove } = await import('./move-command.ts');
      await runMove((place, settings) => context.open(place, { ...settings, user }), from, space, options);
      return done;
    }
    case 'stats': {
      const { values, positionals } = parsed(rest, optionsOf.stats);
      const [folder] = exactly(positionals, ['folder'], name);
      const db = await context.open(folder, { create: false, user: values.user });
      return runStats(db, values.json === true);
    }
    case 'verify': {
      const { values, positionals } = parsed(rest, optionsOf.verify);
      const [folder] = exactly(positionals, ['folder'], name);
      const db = await context.open(folder, { create: false, user: values.user });
      const reply = await verify(db, values.shallow !== true);
      await new Output(process.stdout).write(printed(reply, values.json === true));
      return reply.failed ? someFailed : done;
    }
    case 'bench': {
      const { values, positionals } = parsed(rest, optionsOf.bench);
      const [folder] = exactly(positionals, ['folder'], name);
      const number = (given: string | undefined, option: string, otherwise: number): number =>
        given === undefined ? otherwise : parseInteger(given, option, 1);
      const size = {
        vectors: number(values.vectors, '--vectors', 10_000),
        dimension: number(values.dimension, '--dimension', 384),
      };
      const { bench } = await import('./bench-command.ts');
      const db = await context.open(folder, { create: true, user: values.user });
      const reply = await bench(db, size, context.signal);
      await new Output(process.stdout).write(printed(reply, values.json === true));
      return done;
    }
    case 'users': {
      const { values, positionals } = parsed(rest, optionsOf.users);
      const { user, json, ...options } = values;
      const task = parseUsers(positionals, options);
      const reply = await task.run(await context.open(task.folder, { create: true, user }));
      await new Output(process.stdout).write(printed(reply, json === true));
      return done;
    }
    case 'serve': {
      const { values, positionals } = parsed(rest, optionsOf.serve);
      const [folder] = exactly(positionals, ['folder'], name);
      // Whoever does not serve need not load it.
      const { runServe } = await import('./serve-command.ts');
      await runServe(folder, values, context.stopOnSignals());
      return done;
    }
    default:
      return runShell(context, args);
  }
}

async function transfer(
  context: Context,
  start: typeof runImport | typeof runExport,
  name: string,
  positionals: readonly string[],
  { user, ...options }: OptionValues & { user?: string },
): Promise<number> {
  const [folder, space, file] = exactly(positionals, ['folder', 'space', 'file'], name);
  await start((settings) => context.open(folder, { ...settings, user }), space, file, options);
  return done;
}

async function exportToFiles(
  context: Context,
  [place, ...spaces]: readonly string[],
  options: StaticOptionValues & { user?: string; format?: string },
): Promise<number> {
  if (place === undefined || options.format !== undefined)
    throw invalid(
      'Expected: shibumi export <folder> [<space> …] --static <folder>, without --format\nTry shibumi --help',
    );
  const { runStaticExport } = await import('./static-command.ts');
  const { user } = options;
  await runStaticExport(() => context.open(place, { create: false, user }), spaces, options);
  return done;
}

async function runShell(context: Context, args: readonly string[]): Promise<number> {
  const { values, positionals } = parsed(args, optionsOf.shell);
  const output = new Output(process.stdout);
  if (values.help) {
    await output.write(usage);
    return done;
  }
  if (values.version) {
    await output.write(`${version()}\n`);
    return done;
  }
  const [folder] = exactly(positionals, ['folder'], '');
  const json = values.json === true;
  const stopOnError = values['stop-on-error'] === true;
  const { command, 'pipe-in': pipeIn, 'pipe-out': pipeOut } = values;
  if ((pipeIn === undefined) !== (pipeOut === undefined)) {
    throw invalid('Got one of --pipe-in and --pipe-out, expected both');
  }
  if (pipeIn !== undefined && pipeOut !== undefined) preparePipes([pipeIn, pipeOut]);
  const db = await context.open(folder, { create: true, user: values.user });
  const shell = new Shell(db, commands);
  if (pipeIn !== undefined && pipeOut !== undefined) {
    await runPipes(shell, context.signal, { pipeIn, pipeOut, json, stopOnError });
    return done;
  }
  if (command === undefined && process.stdin.isTTY) {
    await runPrompt(shell, output, json);
    return done;
  }
  const lines = command === undefined ? linesOf(process.stdin) : linesFrom(command);
  const print = (reply: Reply): Promise<void> => {
    context.signal.throwIfAborted();
    return output.write(printed(reply, json));
  };
  const outcome = await runBatch(shell, lines, { stopOnError, print });
  return reportFailures(outcome);
}

function reportFailures({ commands: all, failed, firstFailedLine }: BatchOutcome): number {
  if (failed === 0) return done;
  const first = failed === 1 ? `in line ${firstFailedLine}` : `the first in line ${firstFailedLine}`;
  process.stderr.write(`shibumi: ${failed} of ${all} commands failed, ${first}\n`);
  return someFailed;
}

interface PipeOptions {
  readonly pipeIn: string;
  readonly pipeOut: string;
  readonly json: boolean;
  readonly stopOnError: boolean;
}

function preparePipes(paths: readonly string[]): void {
  const made = makePipes(paths);
  process.on('exit', () => {
    for (const file of made) rmSync(file, { force: true });
  });
}

/** Serves clients until a signal ends the process. What is chosen with USE stays chosen from client to client. */
async function runPipes(
  shell: Shell,
  signal: AbortSignal,
  { pipeIn, pipeOut, json, stopOnError }: PipeOptions,
): Promise<void> {
  const pipes = new NamedPipes(pipeIn, pipeOut, signal);
  process.stderr.write(`Reading commands from ${pipeIn}, answering to ${pipeOut}; Ctrl-C ends it\n`);
  const print = (reply: Reply): Promise<void> => pipes.write(printed(reply, json));
  while (!signal.aborted) {
    await runBatch(shell, pipes.lines(), { stopOnError, print });
    pipes.endOutput();
  }
}

async function runStats(db: Database, json: boolean): Promise<number> {
  const shell = new Shell(db, commands);
  const spaces = await db.listSpaces();
  const lines = linesFrom(['STATS', ...spaces.map(({ name }) => `DESCRIBE ${JSON.stringify(name)}`)]);
  const output = new Output(process.stdout);
  let first = true;
  const print = async (reply: Reply): Promise<void> => {
    await output.write(`${first || json ? '' : '\n'}${printed(reply, json)}`);
    first = false;
  };
  return reportFailures(await runBatch(shell, lines, { stopOnError: false, print }));
}

/** `parseArgs` with its errors in this program's words. */
function parsed<Options extends NonNullable<NonNullable<Parameters<typeof parseArgs>[0]>['options']>>(
  args: readonly string[],
  options: Options,
): ReturnType<typeof parseArgs<{ args: string[]; options: Options; allowPositionals: true }>> {
  try {
    return parseArgs({ args: [...args], options, allowPositionals: true });
  } catch (error) {
    throw invalid(`${error instanceof Error ? error.message : String(error)}\nTry shibumi --help`);
  }
}

function exactly<const Names extends readonly string[]>(
  found: readonly string[],
  names: Names,
  command: string,
): { [Name in keyof Names]: string } {
  if (found.length !== names.length) {
    const expected = ['shibumi', command, ...names.map((name) => `<${name}>`)].filter(Boolean).join(' ');
    throw invalid(`Got ${found.length} arguments, expected: ${expected}\nTry shibumi --help`);
  }
  return found as unknown as { [Name in keyof Names]: string };
}

/** `package.json` lies beside both src/ and dist/. */
function version(): string {
  const [, found] = /"version": "([^"]+)"/.exec(readFileSync(packageFile(), 'utf8')) ?? [];
  return found ?? 'unknown';
}

function packageFile(): URL {
  const here = import.meta.url;
  return new URL(here.includes('/src/cli/') ? '../../package.json' : '../package.json', here);
}
