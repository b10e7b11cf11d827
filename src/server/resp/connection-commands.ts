/** The commands that are about the connection and the server: who is calling, which database, what there is. */

import { integerWord, type RespCommand, type RespContext, textIn, upper } from './resp-command.ts';
import { ok, type Reply, RespError, RespMap, Status } from './resp-writer.ts';

type Words = readonly Buffer[];

/** The Redis whose commands are spoken here, for clients that look. */
const likeRedis = '7.4.0';
const startedAt = Date.now();

async function auth(context: RespContext, words: Words): Promise<Reply> {
  if (words.length > 3) throw new RespError('ERR syntax error');
  // A password alone is that of the user named `default`, as in Redis.
  const [username, password] =
    words.length === 2 ? ['default', textIn(words[1])] : [textIn(words[1]), textIn(words[2])];
  await context.client.signIn(username, password);
  context.signedIn();
  return ok;
}

async function hello(context: RespContext, words: Words): Promise<Reply> {
  let at = 1;
  let version = context.writer.version;
  if (words.length > 1) {
    const asked = textIn(words[at++]);
    if (!/^\d+$/.test(asked)) throw new RespError('ERR Protocol version is not an integer or out of range');
    if (asked !== '2' && asked !== '3') throw new RespError('NOPROTO unsupported protocol version');
    version = asked === '3' ? 3 : 2;
  }
  let name = context.name;
  while (at < words.length) {
    const option = upper(words[at++]);
    if (option === 'AUTH' && at + 1 < words.length) {
      await context.client.signIn(textIn(words[at]), textIn(words[at + 1]));
      context.signedIn();
      at += 2;
    } else if (option === 'SETNAME' && at < words.length) name = textIn(words[at++]);
    else throw new RespError(`ERR Syntax error in HELLO option '${option}'`);
  }
  if (context.client.user === undefined)
    throw new RespError(
      'NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO <proto> AUTH <user> <pass> option can be used to authenticate the client and select the RESP protocol version at the same time',
    );
  context.name = name;
  context.writer.version = version;
  return new RespMap([
    ['server', 'shibumi'],
    ['version', likeRedis],
    ['proto', version],
    ['id', context.id],
    ['mode', 'standalone'],
    ['role', 'master'],
    ['modules', []],
  ]);
}

function select(context: RespContext, words: Words): Reply {
  const number = Number(integerWord(words[1]));
  if (!context.spaces.has(number)) throw new RespError('ERR DB index is out of range');
  context.database = number;
  return ok;
}

function client(context: RespContext, words: Words): Reply {
  const name = upper(words[1]);
  switch (name) {
    case 'ID':
      return context.id;
    case 'GETNAME':
      return context.name === '' ? undefined : context.name;
    case 'SETNAME': {
      const given = textIn(words[2]);
      if (!/^[!-~]*$/.test(given))
        throw new RespError('ERR Client names cannot contain spaces, newlines or special characters.');
      context.name = given;
      return ok;
    }
    case 'SETINFO':
    case 'NO-EVICT':
    case 'NO-TOUCH':
      return ok;
    case 'INFO':
      return `id=${context.id} addr=${context.client.address} name=${context.name} db=${context.database} user=${context.client.user ?? ''} resp=${context.writer.version}\n`;
    default:
      throw new RespError(
        `ERR unknown subcommand '${textIn(words[1])}'. Try CLIENT ID, GETNAME, SETNAME, SETINFO, INFO.`,
      );
  }
}

async function info(context: RespContext): Promise<Reply> {
  const keyspace: string[] = [];
  for (const [number, space] of context.spaces) {
    try {
      keyspace.push(`db${number}:keys=${await context.client.call('size', { space })},expires=0,avg_ttl=0`);
    } catch {
      // A space that this user may not read, or that is not there, is not theirs to know of.
    }
  }
  const lines = [
    '# Server',
    `redis_version:${likeRedis}`,
    'redis_mode:standalone',
    'server_name:shibumi',
    `process_id:${process.pid}`,
    `uptime_in_seconds:${Math.floor((Date.now() - startedAt) / 1000)}`,
    '',
    '# Clients',
    `connected_clients:${context.connections()}`,
    '',
    '# Memory',
    `used_memory:${process.memoryUsage.rss()}`,
    '',
    '# Persistence',
    'loading:0',
    '',
    '# Replication',
    'role:master',
    'connected_slaves:0',
    '',
    '# Keyspace',
    ...keyspace,
    '',
  ];
  return lines.join('\r\n');
}

function command(commands: ReadonlyMap<string, RespCommand>, words: Words): Reply {
  const described = ({ name, arity, flags, keys }: RespCommand): Reply => [
    name,
    arity,
    flags.filter((flag) => flag !== 'noauth').map((flag) => new Status(flag)),
    ...keys,
    [],
    [],
    [],
    [],
  ];
  const named = (): (RespCommand | undefined)[] => {
    if (words.length === 2) return [...commands.values()];
    return words.slice(2).map((word) => commands.get(word.toString('latin1').toLowerCase()));
  };
  switch (upper(words[1])) {
    case '':
      return [...commands.values()].map(described);
    case 'COUNT':
      return commands.size;
    case 'LIST':
      return [...commands.keys()];
    case 'INFO':
      return named().map((found) => (found === undefined ? undefined : described(found)));
    case 'DOCS':
      return new RespMap(
        named()
          .filter((found) => found !== undefined)
          .map(({ name }) => [name, new RespMap([['summary', `${name.toUpperCase()} as in Redis`]])]),
      );
    default:
      throw new RespError(
        `ERR unknown subcommand '${textIn(words[1])}'. Try COMMAND COUNT, LIST, INFO, DOCS.`,
      );
  }
}

function about(
  name: string,
  arity: number,
  run: RespCommand['run'],
  flags: RespCommand['flags'] = ['fast'],
): RespCommand {
  return { name, arity, flags, keys: [0, 0, 0], overlaps: false, run };
}

/** @param commands all there are, these included */
export function connectionCommands(commands: ReadonlyMap<string, RespCommand>): readonly RespCommand[] {
  return [
    about('auth', -2, auth, ['fast', 'noauth']),
    about('hello', -1, hello, ['fast', 'noauth']),
    about('select', 2, select),
    about('ping', -1, (_, words) => (words.length > 1 ? words[1] : new Status('PONG'))),
    about('echo', 2, (_, words) => words[1]),
    about('client', -2, client),
    about('info', -1, info),
    about('command', -1, (_, words) => command(commands, words)),
    // redis-benchmark asks for save and appendonly, and goes on without.
    about(
      'config',
      -2,
      (_, words) => {
        if (upper(words[1]) === 'GET') return new RespMap([]);
        throw new RespError('ERR this server is configured where it is started');
      },
      ['admin'],
    ),
    about(
      'quit',
      -1,
      (context) => {
        context.quit();
        return ok;
      },
      ['fast', 'noauth'],
    ),
  ];
}
