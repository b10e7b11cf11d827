// What is no protocol, on every port: frames and lines that are random, cut, flipped, or that lie about their lengths. The server
// stays up, its memory stays bounded, and a client beside them gets its answers. `SHIBUMI_FUZZ=100000 npm test --
// listeners/fuzz` sends as many to each.

import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { WebSocket as WsClient } from 'ws';
import type { Database } from '../../src/api/database.ts';
import { encodeFrame, FrameType } from '../../src/bridge/protocol/frames.ts';
import { subprotocol } from '../../src/bridge/protocol/hello.ts';
import { connect } from '../../src/bridge.ts';
import { open } from '../../src/node.ts';
import { serve } from '../../src/server.ts';
import { Random } from '../support/random.ts';
import { admin, RawClient } from './served.ts';
import { userTokenOf } from './welcome.ts';

const seed = Number(process.env.SHIBUMI_SEED ?? Date.now() % 1e9);
const total = Number(process.env.SHIBUMI_FUZZ ?? 600);
/** Lines are answered with an error, and the connection goes on; what is no RESP ends it, as do most frames. */
const perConnection = total > 10_000 ? 2000 : 100;
const timeout = 110_000 + total * 10;
/** Of the whole process, the sender included. */
const grownBytesMax = 400 * 1024 * 1024;

/** Cut, flipped, doubled, spliced with others; never the same for two seeds. */
function mutated(random: Random, samples: readonly Buffer[]): Buffer {
  let bytes: Buffer = Buffer.from(random.pick(samples));
  for (let i = random.below(4); i >= 0; i--) {
    const at = random.below(bytes.length + 1);
    switch (random.below(6)) {
      case 0:
        bytes = bytes.subarray(0, at);
        break;
      case 1:
        if (at < bytes.length) bytes[at] = random.below(256);
        break;
      case 2:
        bytes = Buffer.concat([bytes.subarray(0, at), random.bytes(random.below(20)), bytes.subarray(at)]);
        break;
      case 3:
        bytes = Buffer.concat([bytes.subarray(0, at), random.pick(samples).subarray(random.below(8))]);
        break;
      case 4:
        if (at + 4 <= bytes.length)
          bytes.writeUInt32LE(random.pick([0, 1, 0x7fffffff, 0xffffffff, random.bits()]), at);
        break;
      default:
        bytes = Buffer.from(
          bytes.toString('latin1').replace(/\d+/, String(random.pick([-1, 0, 1e6, 2 ** 31, 1e15]))),
          'latin1',
        );
    }
  }
  return bytes;
}

const lines = (...texts: string[]): Buffer[] => texts.map((text) => Buffer.from(text));

const respSamples = lines(
  '*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$1\r\nv\r\n',
  '*2\r\n$3\r\nGET\r\n$1\r\nk\r\n',
  '*5\r\n$3\r\nSET\r\n$1\r\nk\r\n$1\r\nv\r\n$2\r\nPX\r\n$3\r\n100\r\n',
  '*1\r\n$4\r\nPING\r\n',
  '*4\r\n$4\r\nSCAN\r\n$1\r\n0\r\n$5\r\nMATCH\r\n$8\r\n[a-\\]*?*x\r\n',
  '*7\r\n$4\r\nVADD\r\n$1\r\nv\r\n$6\r\nVALUES\r\n$1\r\n2\r\n$1\r\n1\r\n$3\r\n0.5\r\n$1\r\ne\r\n',
  '*6\r\n$4\r\nVSIM\r\n$1\r\nv\r\n$3\r\nELE\r\n$1\r\ne\r\n$5\r\nCOUNT\r\n$1\r\n5\r\n',
  '*2\r\n$5\r\nHELLO\r\n$1\r\n3\r\n',
  'SET "a b" \'c\' EX 10\r\n',
  'INCRBY n 5\r\nMGET a b c\r\nKEYS *\r\n',
  '*-1\r\n*0\r\n',
);
const shibuSamples = lines(
  '{"type":"PUT","space":"default","key":"k","value":"v"}\n',
  '{"type":"GET","space":"default","key":"k"}\n',
  '{"type":"INSERT_VECTOR","space":"v","key":"1","value":"1,2"}\n',
  '{"type":"SEARCH_TOPK","space":"v","value":"1,2","dimension":3}\n',
  '{"type":"CREATE_SPACE","space":"x","engine_type":"vector","dimension":3,"index_type":"Flat","metric":"L2"}\n',
  '{"type":"CREATE_USER","new_user":{"username":"u","password":"p","permissions":{"default":"read"}}}\n',
  '{"type":"GET_USER","data":"nobody"}\n',
  '[[[[{"type":null}]]]]\n',
);
const nubSamples = lines(
  'SET k "a b" 10\n',
  'GET k\n',
  'DELETE k\n',
  'INCR n\n',
  'SIZE\n',
  'EXISTS "\n',
  'AUTH root x\n',
);
const frameSamples: Buffer[] = [
  encodeFrame(FrameType.Call, 1, 0, 'put', { space: 'default', key: 'k', value: 'v' }),
  encodeFrame(FrameType.Call, 2, 1, 'get', { space: 'default', key: 'k' }),
  encodeFrame(FrameType.Call, 3, 0, 'searchTopK', { space: 'v', query: new Float32Array(8), k: 3 }),
  encodeFrame(FrameType.Call, 4, 0, 'insertVectors', {
    space: 'v',
    ids: [1, 2n],
    vectors: new Float32Array(4),
  }),
  encodeFrame(FrameType.Call, 5, 0, 'listSpaces', {}),
  encodeFrame(FrameType.Cancel, 3, 0),
  encodeFrame(FrameType.Settled, 9, 0),
  encodeFrame(FrameType.Ping, 0, 0),
].map((frame) => Buffer.from(frame));

/** Sends to a TCP port, connection after connection, until so many were sent; each is given time to be answered or cut. */
async function attackLines(
  port: number,
  random: Random,
  samples: readonly Buffer[],
  login: string,
): Promise<void> {
  for (let sent = 0; sent < total; ) {
    using client = await RawClient.open(port);
    client.socket.resume();
    if (login !== '') client.send(login);
    for (let i = 0; i < perConnection && sent < total && !client.socket.destroyed; i++, sent++) {
      client.send(mutated(random, samples));
      if (i % 10 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    client.socket.end();
    await Promise.race([client.closed(), new Promise((resolve) => setTimeout(resolve, 100))]);
  }
}

async function attackFrames(url: string, random: Random, token: string): Promise<void> {
  const hello = { versions: [1], features: [], client: 'fuzz', window: 1 << 20, state: { token } };
  for (let sent = 0; sent < total; ) {
    const socket = new WsClient(url, subprotocol);
    socket.on('error', () => {});
    const closed = new Promise((resolve) => socket.once('close', resolve));
    await new Promise((resolve) => socket.once('open', resolve).once('close', resolve));
    const first = Buffer.from(encodeFrame(FrameType.Hello, 0, 0, hello));
    socket.send(random.below(4) === 0 ? mutated(random, [first]) : first);
    // A malformed frame ends its connection: most of them hold only one.
    const count = random.below(3) === 0 ? perConnection : 2;
    for (let i = 0; i < count && sent < total && socket.readyState === WsClient.OPEN; i++, sent++) {
      socket.send(random.below(10) === 0 ? random.bytes(random.below(300)) : mutated(random, frameSamples));
      if (i % 5 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    socket.close();
    await Promise.race([closed, new Promise((resolve) => setTimeout(resolve, 100))]);
    socket.terminate();
  }
}

test('every port survives what is no protocol', { timeout }, async (t) => {
  t.diagnostic(`seed ${seed}, ${total} each`);
  const folder = mkdtempSync(path.join(tmpdir(), 'shibumi-fuzz-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const mallory = { username: 'mallory', password: 'pw' };
  const made = await open(folder, { admin });
  await made.authenticate(admin.username, admin.password);
  await made.createSpace('v', 'vector', { dimension: 2 });
  await made.createSpace('default', 'key-value', { durability: 'none' });
  await made.createSpace('watched', 'key-value', { durability: 'none' });
  // Nobody may attack as the admin, who could delete the space that is watched.
  await made.createUser({ ...mallory, permissions: { default: 'write', v: 'write' } });
  await made.close();
  const server = await serve(folder, {
    resp: 0,
    shibudb: 0,
    nubdb: 0,
    guest: mallory.username,
    loginsPerMinute: 1_000_000,
    connectionsMax: 10_000,
  });
  t.after(() => server.close());
  await using db = await connect(server.url, admin);
  const { resp = 0, shibudb = 0, nubdb = 0 } = server.listeners;
  let isOver = false;
  const watching = watch(db, () => isOver);
  const before = process.memoryUsage().rss;
  const random = new Random(seed);
  await attackLines(resp, random, respSamples, '');
  await attackLines(nubdb, random, nubSamples, '');
  await attackLines(shibudb, random, shibuSamples, `${JSON.stringify(mallory)}\n`);
  await attackFrames(
    server.url,
    random,
    await userTokenOf(server.url, { username: 'mallory', password: 'pw' }),
  );
  isOver = true;
  const { turns, slowestMs } = await watching;
  const grown = process.memoryUsage().rss - before;
  t.diagnostic(
    `${turns} turns beside it, the slowest ${Math.round(slowestMs)} ms; ${Math.round(grown / 1e6)} MB more memory`,
  );
  assert.ok(turns > 20);
  assert.ok(grown < grownBytesMax, `${grown} bytes more`);
  await using after = await connect(server.url, admin);
  assert.equal(await after.get('count', { space: 'watched' }), String(turns));
  assert.equal((await fetch(`${server.url.replace('ws', 'http')}health`)).status, 200);
});

/** A client that goes on with its own work: every answer must be right. */
async function watch(db: Database, isOver: () => boolean): Promise<{ turns: number; slowestMs: number }> {
  let turns = 0;
  let slowestMs = 0;
  while (!isOver()) {
    const startedAt = performance.now();
    assert.equal(await db.increment('count', 1, { space: 'watched' }), ++turns);
    assert.equal(await db.get('count', { space: 'watched' }), String(turns));
    slowestMs = Math.max(slowestMs, performance.now() - startedAt);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  return { turns, slowestMs };
}
