// Connections that are cut, delayed and fall silent: no acknowledged write is lost, none is done twice, scans go on, and every
// call settles. Between client and server stands a proxy that does to each connection what a seeded random chooses.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ShibuDbError } from '../../src/api/errors.ts';
import { SocketTransport } from '../../src/bridge/client/socket-transport.ts';
import { connect } from '../../src/bridge.ts';
import { DatabaseClient } from '../../src/client/database-client.ts';
import { Session } from '../../src/engine/session.ts';
import { DirectTransport } from '../../src/local/direct-transport.ts';
import { Random } from '../support/random.ts';
import { checkLoad } from './flaky-check.ts';
import { flakyLoad } from './flaky-load.ts';
import { type Fate, FlakyProxy } from './flaky-proxy.ts';
import { engineInMemory, serverOver } from './flaky-server.ts';

const seed = Number(process.env.SHIBUMI_SEED ?? Date.now() % 1e9);
/** `SHIBUMI_LONG=1`: as long as one likes to wait. */
const rounds = process.env.SHIBUMI_LONG === '1' ? 400 : 12;
const timeoutMs = 120_000 + rounds * 5000;

const urlOf = (port: number): string => `ws://127.0.0.1:${port}/`;

test('writes through a bad network take effect once', { timeout: timeoutMs }, async () => {
  console.log(`seed ${seed}`);
  const random = new Random(seed);
  const engine = await engineInMemory();
  const server = await serverOver(engine);
  const local = new DatabaseClient(new DirectTransport(new Session(engine.engine)));
  let spared = false;
  const fates: Fate[] = ['cut', 'cut', 'cut', 'silent', 'none'];
  const proxy = await FlakyProxy.start(server.port, {
    random,
    fate: () => (spared ? 'none' : random.pick(fates)),
    bytesMax: 6000,
    delayMsMax: 3,
  });
  const cutting = setInterval(() => {
    if (!spared && random.below(4) === 0) proxy.cutAll();
  }, 50);
  try {
    spared = true;
    // Waits a hundredth as long between attempts as a real client: the test is about what is lost, not about patience.
    const transport = new SocketTransport({
      url: urlOf(proxy.port),
      timeoutMs,
      random: () => random.unit() / 100,
    });
    await transport.connect(undefined);
    const db = new DatabaseClient(transport);
    await db.createSpace('kv', 'key-value', { durability: 'none' });
    await db.createSpace('vec', 'vector', { dimension: 8, durability: 'none' });
    await db.useSpace('kv');
    spared = false;
    proxy.cutAll();

    const seen = await flakyLoad(db, 0, rounds);

    // A scan takes a step a chunk: in each of them an answer may be lost.
    const scanned: number[] = [];
    for (let i = 0; i < rounds * 10 || proxy.cuts + proxy.silences <= 5; i++) {
      let keys = 0;
      for await (const { key } of db.scan({ prefix: 'lock/' })) keys += key.startsWith('lock/') ? 1 : 0;
      scanned.push(keys);
    }
    spared = true;
    console.log(`${proxy.cuts} cuts, ${proxy.silences} silences`);
    assert.deepEqual(new Set(scanned), new Set([rounds]), 'each scan gave every key');
    await checkLoad([seen], rounds, local);
    await db.close();
  } finally {
    clearInterval(cutting);
    spared = true;
    await proxy[Symbol.asyncDispose]();
    await server.close();
    await engine.close();
  }
});

test('a server that is started anew: acknowledged writes are there, the others are told', {
  timeout: timeoutMs,
}, async () => {
  const random = new Random(seed + 1);
  const engine = await engineInMemory();
  let server = await serverOver(engine);
  const proxy = await FlakyProxy.start(server.port, {
    random,
    fate: () => 'none',
    bytesMax: 1,
    delayMsMax: 2,
  });
  const local = new Session(engine.engine);
  try {
    await local.call('createFirstAdmin', { username: 'root', password: 'pw of root' }, {});
    const db = await connect(urlOf(proxy.port), { username: 'root', password: 'pw of root', timeoutMs });
    await db.createSpace('kv', 'key-value', { durability: 'none' });
    await db.useSpace('kv');
    const scan = db.scan({ limit: 10_000 })[Symbol.asyncIterator]();
    for (let i = 0; i < 3000; i++) db.put(`k${String(i).padStart(5, '0')}`, 'x').catch(() => {});
    await db.put('last', 'one');
    await scan.next();

    let acknowledged = 0;
    let unknown = 0;
    let stopped = false;
    const callers = Array.from({ length: 8 }, async () => {
      while (!stopped) {
        await db.increment('count').then(
          () => acknowledged++,
          (error: ShibuDbError) => {
            assert.equal(error.code, 'OUTCOME_UNKNOWN');
            unknown++;
          },
        );
      }
    });
    for (let restart = 0; restart < 3; restart++) {
      const before: number = acknowledged;
      while (acknowledged < before + 50) await new Promise((resolve) => setTimeout(resolve, 10));
      // As a crash: connections are cut while calls are under way, and nothing of the sessions is left.
      const former = server;
      proxy.cutAll();
      server = await serverOver(engine);
      proxy.target = server.port;
      proxy.cutAll();
      await former.close();
    }
    const after: number = acknowledged;
    while (acknowledged < after + 20) await new Promise((resolve) => setTimeout(resolve, 10));
    stopped = true;
    await Promise.all(callers);
    const count = Number(await db.get('count'));
    console.log(`${acknowledged} acknowledged, ${unknown} unknown, ${count} counted`);
    assert.ok(count >= acknowledged && count <= acknowledged + unknown);
    await assert.rejects(
      async () => {
        for (let step = await scan.next(); !step.done; step = await scan.next());
      },
      (error: ShibuDbError) => error.code === 'SNAPSHOT_LOST',
    );
    await db.close();
  } finally {
    await proxy[Symbol.asyncDispose]();
    await server.close();
    await local.call('close', {}, {});
    await engine.close();
  }
});
