/**
 * A NubDB server: one key-value space, whatever name is routed to it. It splits lines at blanks, so keys and values with blanks in
 * them are refused, as are bytes and times to live that are no whole seconds.
 */

import type { SpaceDescription, SpaceInfo, UpstreamInfo } from '../../api/database.ts';
import { isShibuDbError, shibuDbError } from '../../api/errors.ts';
import { increment } from '../../space/conditional.ts';
import { checkKey, deadlineOf } from '../../space/key-value-space.ts';
import { toPublicId } from '../../space/vector-ids.ts';
import { entriesOf } from './entries.ts';
import { AnswerLost, LineClient } from './line-client.ts';
import { lost, type Upstream, type UpstreamCalls, unsupported } from './upstream.ts';

const name = 'nubdb';
const defaultPort = 6379;
/** Longer lines make it close the connection. */
const lineBytesMax = 4096;

export class NubDbUpstream implements Upstream {
  readonly info: UpstreamInfo = {
    name,
    durability: 'none',
    atomicity: 'one key',
    order: 'no scans',
    ids: 'no vectors',
    metrics: 'no vectors',
    retries: 'reads; a write that was sent and not answered fails with OUTCOME_UNKNOWN',
  };
  readonly calls: UpstreamCalls;
  readonly #client: LineClient;
  readonly #space: string;

  private constructor(client: LineClient, space: string) {
    this.#client = client;
    this.#space = space;
    this.calls = this.#makeCalls();
  }

  /** The path is the name of its one space: `nubdb://host:port/cache`. */
  static async open(url: URL): Promise<Upstream> {
    const client = new LineClient({
      host: url.hostname.replace(/^\[|\]$/g, ''),
      port: url.port === '' ? defaultPort : Number(url.port),
      size: 4,
      begin: async (ask) => {
        if (url.username === '') return;
        const login = `AUTH ${decodeURIComponent(url.username)} ${decodeURIComponent(url.password)}`;
        if ((await ask(login)) !== 'OK')
          throw shibuDbError('INVALID_CREDENTIALS', 'The upstream nubdb does not let the server in');
      },
    });
    const upstream = new NubDbUpstream(client, decodeURIComponent(url.pathname.slice(1)) || name);
    try {
      await upstream.#ask('SIZE', false);
    } catch (error) {
      client.close();
      throw error;
    }
    return upstream;
  }

  async listSpaces(): Promise<SpaceInfo[]> {
    return [{ name: this.#space, engine: 'key-value', durability: 'none' }];
  }

  createSpace(): Promise<void> {
    return Promise.reject(unsupported(name, 'createSpace', `it has the space "${this.#space}", and no more`));
  }

  deleteSpace(): Promise<void> {
    return Promise.reject(unsupported(name, 'deleteSpace', 'its one space is always there'));
  }

  async describeSpace(space: string): Promise<SpaceDescription> {
    this.#check(space);
    const count = await this.#size();
    return {
      name: space,
      engine: 'key-value',
      durability: 'none',
      count,
      memoryBytes: 0,
      storedBytes: 0,
      upstream: this.info,
    };
  }

  #check(space: string): void {
    if (space !== this.#space)
      throw shibuDbError(
        'SPACE_NOT_FOUND',
        `There is no space "${space}" in the upstream nubdb, only "${this.#space}"`,
      );
  }

  #makeCalls(): UpstreamCalls {
    const put = async (space: string, key: string, value: unknown, ttlMs?: number): Promise<undefined> => {
      this.#check(space);
      const ms = deadlineOf(ttlMs, 0);
      if (ms !== undefined && ms % 1000 !== 0)
        throw unsupported(name, 'put', `a time to live of ${ms} ms; it has whole seconds`);
      const line = `SET ${word(checkKey(key), 'key')} ${word(value, 'value')}`;
      await this.#done(ms === undefined ? line : `${line} ${ms / 1000}`);
    };
    return {
      put: ({ key, value, ttlMs }, space) => put(space, key, value, ttlMs),
      putEach: async (columns, space) => {
        await Promise.all(entriesOf(columns).map(({ key, value }) => put(space, key, value)));
        return undefined;
      },
      get: async ({ key }, space) => {
        this.#check(space);
        const answer = await this.#ask(`GET ${word(checkKey(key), 'key')}`, false);
        return answer === '(nil)' ? undefined : answer.replace(/^"|"$/g, '');
      },
      exists: async ({ key }, space) => {
        this.#check(space);
        return (await this.#ask(`EXISTS ${word(checkKey(key), 'key')}`, false)) === '1';
      },
      delete: async ({ key }, space) => {
        this.#check(space);
        return (await this.#ask(`DELETE ${word(checkKey(key), 'key')}`, true)) === 'OK';
      },
      increment: async ({ key, by }, space) => {
        this.#check(space);
        // Checks both.
        increment(key, by);
        if (by !== 1 && by !== -1 && by !== 1n && by !== -1n)
          throw unsupported(name, 'increment', `by ${by}; it adds or takes 1`);
        const answer = await this.#ask(`${by > 0 ? 'INCR' : 'DECR'} ${word(key, 'key')}`, true);
        if (/^-?\d+$/.test(answer)) return toPublicId(BigInt(answer));
        throw shibuDbError('NOT_A_NUMBER', `The upstream nubdb: ${answer}`);
      },
      size: (_, space) => {
        this.#check(space);
        return this.#size();
      },
      clear: async (_, space) => {
        this.#check(space);
        await this.#done('CLEAR');
        return undefined;
      },
    };
  }

  async #size(): Promise<number> {
    return Number(/^(\d+) keys/.exec(await this.#ask('SIZE', false))?.[1] ?? 0);
  }

  async #done(line: string): Promise<void> {
    const answer = await this.#ask(line, true);
    if (answer !== 'OK') throw shibuDbError('INVALID_ARGUMENT', `The upstream nubdb refused it: ${answer}`);
  }

  async #ask(line: string, changes: boolean): Promise<string> {
    if (Buffer.byteLength(line) > lineBytesMax)
      throw unsupported(name, line.split(' ')[0] ?? '', `a line over ${lineBytesMax} bytes`);
    try {
      return await this.#client.ask(line);
    } catch (error) {
      if (isShibuDbError(error)) throw error;
      throw lost(name, changes && error instanceof AnswerLost, error);
    }
  }

  async close(): Promise<void> {
    this.#client.close();
  }
}

/** What it takes for one word. */
function word(value: unknown, what: string): string {
  if (typeof value === 'string' && /^[^\s"]+$/.test(value)) return value;
  throw unsupported(name, 'put', `a ${what} that is not one word without quotes`);
}
