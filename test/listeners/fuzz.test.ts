// What is no protocol, on every port: frames and lines that are random, cut, flipped, or that lie about their lengths. The server
// stays up, its memory stays bounded, and a client beside them gets its answers. `npm run test:listeners-fuzz` sends 100,000 to each.

import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import { WebSocket as WsClient } from 'ws';
import type { Database } from '../../src/api/database.ts';
import { encodeFrame, FrameType } from '../../src/bridge/protocol/frames.ts';
import { subprotocol } from '../../src/bridge/protocol/hello.ts';
import { connect } from '../../src/bridge.ts';
import { open } from '../../src/node.ts';
import { type RunningServer, type ServeOptions, serve } from '../../src/server.ts';
import { Random } from '../support/random.ts';
import {
  frameSamples,
  httpSamples,
  mutated,
  nubSamples,
  respSamples,
  shibuSamples,
  upgradeRequest,
  webSocketSamples,
} from './malformed.ts';
import { admin, RawClient } from './served.ts';
import { userTokenOf } from './welcome.ts';

const seed = Number(process.env.SHIBUMI_TEST_SEED ?? Date.now() % 1e9);
const total = Number(process.env.SHIBUMI_FUZZ ?? 500);
const chosen = process.env.SHIBUMI_FUZZ_LISTENER;
/** Lines are answered with an error, and the connection goes on; what is no RESP ends it, as do most frames. */
const perConnection = total > 10_000 ? 2000 : 100;
const timeout = 110_000 + total * 10;
/** Connections at once. */
const lanes = 8;
/** Of the whole process, the sender included. */
const grownBytesMax = 400 * 1024 * 1024;
const mallory = { username: 'mallory', password: 'pw' };
/** Attempts to log in are limited by address: those of the attack are another one's than the watcher's. */
const attackersAddress = process.platform === 'linux' ? '127.0.0.2' : '127.0.0.1';

/** How many were sent. */
class Quota {
  left: number = total;

  take(): boolean {
    return this.left-- > 0;
  }
}

/** Sends to a TCP port, connection after connection, until so many were sent; each is given time to be answered or cut. */
async function attackPort(
  port: number,
  random: Random,
  samples: readonly Buffer[],
  first: Buffer | undefined,
): Promise<void> {
  const quota = new Quota();
  const lane = async (): Promise<void> => {
    while (quota.left > 0) {
      using client = await RawClient.open(port, attackersAddress);
      client.socket.resume();
      if (first !== undefined) client.send(first);
      for (let i = 0; i < perConnection && !client.socket.destroyed && quota.take(); i++) {
        client.send(random.below(20) === 0 ? random.bytes(random.below(300)) : mutated(random, samples));
        if (i % 10 === 0) await new Promise((resolve) => setImmediate(resolve));
      }
      client.socket.end();
      await Promise.race([client.closed(), new Promise((resolve) => setTimeout(resolve, 100))]);
    }
  };
  await Promise.all(Array.from({ length: lanes }, lane));
}

/** Messages that are right as WebSocket has them, and hold what is no frame of the bridge. */
async function attackFrames(url: string, random: Random): Promise<void> {
  const token = await userTokenOf(url, mallory);
  const hello = { versions: [1], features: [], client: 'fuzz', window: 1 << 20, state: { token } };
  const quota = new Quota();
  const lane = async (): Promise<void> => {
    while (quota.left > 0) {
      const socket = new WsClient(url, subprotocol);
      socket.on('error', () => {});
      const closed = new Promise((resolve) => socket.once('close', resolve));
      await new Promise((resolve) => socket.once('open', resolve).once('close', resolve));
      const first = Buffer.from(encodeFrame(FrameType.Hello, 0, 0, hello));
      socket.send(random.below(4) === 0 ? mutated(random, [first]) : first);
      // A malformed frame ends its connection: most of them hold only one.
      const count = random.below(3) === 0 ? perConnection : 2;
      for (let i = 0; i < count && socket.readyState === WsClient.OPEN && quota.take(); i++) {
        socket.send(random.below(10) === 0 ? random.bytes(random.below(300)) : mutated(random, frameSamples));
        if (i % 5 === 0) await new Promise((resolve) => setImmediate(resolve));
      }
      socket.close();
      await Promise.race([closed, new Promise((resolve) => setTimeout(resolve, 100))]);
      socket.terminate();
    }
  };
  await Promise.all(Array.from({ length: lanes }, lane));
}

interface Attack {
  readonly options: ServeOptions;
  run(server: RunningServer, random: Random): Promise<void>;
}

const many = { loginsPerMinute: 1_000_000, connectionsMax: 10_000 };
/** To check a password costs a tenth of a second: as ever, few guesses are let in, and the rest is told so. */
const few = { ...many, loginsPerMinute: 6 };
const portOf = ({ url }: RunningServer): number => Number(new URL(url).port);
const login = Buffer.from(`${JSON.stringify(mallory)}\n`);

const attacks: Readonly<Record<string, Attack>> = {
  frames: { options: many, run: ({ url }, random) => attackFrames(url, random) },
  websocket: {
    options: many,
    run: (server, random) => attackPort(portOf(server), random, webSocketSamples, upgradeRequest),
  },
  http: {
    options: few,
    run: (server, random) => attackPort(portOf(server), random, httpSamples, undefined),
  },
  resp: {
    options: { ...many, resp: 0, guest: mallory.username },
    run: ({ listeners }, random) => attackPort(listeners.resp ?? 0, random, respSamples, undefined),
  },
  shibudb: {
    options: { ...many, shibudb: 0 },
    run: ({ listeners }, random) => attackPort(listeners.shibudb ?? 0, random, shibuSamples, login),
  },
  nubdb: {
    options: { ...few, nubdb: 0, guest: mallory.username },
    run: ({ listeners }, random) => attackPort(listeners.nubdb ?? 0, random, nubSamples, undefined),
  },
};

async function attacked(t: TestContext, { options, run }: Attack): Promise<void> {
  const folder = mkdtempSync(path.join(tmpdir(), 'shibumi-fuzz-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const made = await open(folder, { admin });
  await made.authenticate(admin.username, admin.password);
  await made.createSpace('v', 'vector', { dimension: 2, metric: 'Cosine', ids: 'string' });
  await made.createSpace('default', 'key-value', { durability: 'none' });
  await made.createSpace('watched', 'key-value', { durability: 'none' });
  // Nobody may attack as the admin, who could delete the space that is watched.
  await made.createUser({ ...mallory, permissions: { default: 'write', v: 'write' } });
  await made.close();
  const server = await serve(folder, options);
  t.after(() => server.close());
  await using db = await connect(server.url, admin);
  let isOver = false;
  const watching = watch(db, () => isOver);
  const before = process.memoryUsage().rss;
  await run(server, new Random(seed));
  isOver = true;
  const { turns, slowestMs } = await watching;
  const grown = process.memoryUsage().rss - before;
  t.diagnostic(
    `${total} with seed ${seed}: ${turns} turns beside it, the slowest ${Math.round(slowestMs)} ms; ${Math.round(grown / 1e6)} MB more memory`,
  );
  assert.ok(grown < grownBytesMax, `${grown} bytes more`);
  await using after = await connect(server.url, admin);
  assert.equal(await after.get('count', { space: 'watched' }), String(turns));
  assert.equal((await fetch(`${server.url.replace('ws', 'http')}health`)).status, 200);
}

for (const [name, attack] of Object.entries(attacks))
  if (chosen === undefined || chosen === name)
    test(`what is no protocol: ${name}`, { timeout }, (t) => attacked(t, attack));

/** A client that goes on with its own work, at least a while: every answer must be right. */
async function watch(db: Database, isOver: () => boolean): Promise<{ turns: number; slowestMs: number }> {
  let turns = 0;
  let slowestMs = 0;
  while (!isOver() || turns <= 20) {
    const startedAt = performance.now();
    assert.equal(await db.increment('count', 1, { space: 'watched' }), ++turns);
    assert.equal(await db.get('count', { space: 'watched' }), String(turns));
    slowestMs = Math.max(slowestMs, performance.now() - startedAt);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  return { turns, slowestMs };
}
