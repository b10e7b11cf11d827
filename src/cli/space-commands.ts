/** Commands on spaces and on the session itself. */

import type {
  EngineKind,
  IdKind,
  IndexType,
  MetricName,
  SpaceInfo,
  VectorSpaceOptions,
} from '../api/database.ts';
import { invalid, oneOf, shown } from '../base/arguments.ts';
import { ok, table } from './reply.ts';
import type { Command } from './shell.ts';
import { parseInteger } from './vector-text.ts';
import { verify } from './verify-command.ts';

/** What describes a vector space, here and where `shibumi import` makes one. The database checks the values. */
export const vectorSpaceOptions: readonly string[] = [
  'dimension',
  'index',
  'metric',
  'ids',
  'ef-construction',
];
const vectorWords = vectorSpaceOptions.map((name) => `--${name}`).join(', ');

export function vectorSpaceFrom(options: ReadonlyMap<string, string>): VectorSpaceOptions {
  const dimension = options.get('dimension');
  if (dimension === undefined) throw invalid('Got no --dimension, expected one for a vector space');
  const made: VectorSpaceOptions = { dimension: parseInteger(dimension, '--dimension', 1) };
  const [index, metric, ids, effort] = ['index', 'metric', 'ids', 'ef-construction'].map((name) =>
    options.get(name),
  );
  if (index !== undefined) made.indexType = index as IndexType;
  if (metric !== undefined) made.metric = metric as MetricName;
  if (ids !== undefined) made.ids = ids as IdKind;
  if (effort !== undefined) made.efConstruction = parseInteger(effort, '--ef-construction', 1);
  return made;
}

/** `--durability`: a name, or `everyOps:n`, `everyMs:n`. */
function durabilityFrom(text: string): SpaceInfo['durability'] {
  const [, policy, count] = /^(everyOps|everyMs):(\d+)$/.exec(text) ?? [];
  if (policy === 'everyOps') return { everyOps: Number(count) };
  if (policy === 'everyMs') return { everyMs: Number(count) };
  if (text === 'strict' || text === 'relaxed' || text === 'none') return text;
  throw invalid(
    `Got ${shown(text)} for --durability, expected strict, relaxed, none, everyOps:n or everyMs:n`,
  );
}

function durabilityText(durability: SpaceInfo['durability']): string {
  if (typeof durability === 'string') return durability;
  return Object.entries(durability).flat().join(':');
}

export const spaceCommands: readonly Command[] = [
  {
    name: 'CREATE-SPACE',
    usage: `name [--engine key-value|vector] [--dimension n] [--index Flat|HNSW16] [--metric L2|InnerProduct|Cosine]
      [--ids int|string] [--ef-construction n] [--durability strict|relaxed|none|everyOps:n|everyMs:n]`,
    summary: 'makes a space; key-value unless said otherwise',
    words: [1, 1],
    options: ['engine', ...vectorSpaceOptions, 'durability'],
    async run({ db }, { words: [name = ''], options }) {
      const engine: EngineKind = oneOf(
        options.get('engine') ?? 'key-value',
        ['key-value', 'vector'],
        '--engine',
      );
      const durability = options.get('durability');
      const common = durability === undefined ? {} : { durability: durabilityFrom(durability) };
      if (engine === 'vector') {
        await db.createSpace(name, engine, { ...vectorSpaceFrom(options), ...common });
      } else {
        if (vectorSpaceOptions.some((each) => options.has(each))) {
          throw invalid(`Got ${vectorWords} only with --engine vector, expected none of them for key-value`);
        }
        await db.createSpace(name, engine, common);
      }
      return ok;
    },
  },
  {
    name: 'LIST-SPACES',
    usage: '',
    summary: 'all spaces and how they were made',
    words: [0, 0],
    async run({ db }) {
      const spaces = await db.listSpaces();
      const rows = spaces.map((each) => [
        ...[each.name, each.engine, each.dimension, each.indexType, each.metric, each.ids],
        durabilityText(each.durability),
      ]);
      const columns = ['name', 'engine', 'dimension', 'index', 'metric', 'ids', 'durability'];
      return { value: spaces, text: table(columns, rows) };
    },
  },
  {
    name: 'USE',
    aliases: ['USE-SPACE'],
    usage: 'name',
    summary: 'chooses the space of the commands that follow',
    words: [1, 1],
    async run(shell, { words: [name = ''] }) {
      await shell.use(name);
      return ok;
    },
  },
  {
    name: 'DESCRIBE',
    aliases: ['DESCRIBE-SPACE'],
    usage: '[name]',
    summary: 'the chosen or the named space: how it was made, how much it holds',
    words: [0, 1],
    async run({ db, keySpace }, { words: [name = keySpace] }) {
      const description = await db.describeSpace(name);
      const { durability, index, ...rest } = description;
      const rows = Object.entries({
        ...rest,
        durability: durabilityText(durability),
        ...(index === undefined ? {} : { linked: index.linked, pending: index.pending }),
      });
      return { value: description, text: table(['property', 'value'], rows) };
    },
  },
  {
    name: 'DELETE-SPACE',
    usage: 'name',
    summary: 'deletes a space and all its data',
    words: [1, 1],
    async run(shell, { words: [name = ''] }) {
      await shell.db.deleteSpace(name);
      shell.forget(name);
      return ok;
    },
  },
  {
    name: 'STATS',
    usage: '',
    summary: 'the database as a whole',
    words: [0, 0],
    async run({ db }) {
      const stats = await db.stats();
      return { value: stats, text: table(['property', 'value'], Object.entries(stats)) };
    },
  },
  {
    name: 'VERIFY',
    usage: '',
    summary: 'reads everything that is stored, and tells what is wrong with it',
    words: [0, 0],
    run: ({ db }) => verify(db, true),
  },
];
