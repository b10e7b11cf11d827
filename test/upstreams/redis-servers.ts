// redis-server processes for tests: one, or a Cluster of six nodes on loopback.

import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { missing } from '../support/debian.ts';

export const redisServer = '/usr/bin/redis-server';
const redisCli = '/usr/bin/redis-cli';

export function redisMissing(): string | false {
  return missing(redisServer, 'redis-server') || missing(redisCli, 'redis-tools');
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  // A Cluster's bus listens 10000 above.
  return port < 55_000 ? port : freePort();
}

export class RedisServer implements AsyncDisposable {
  readonly port: number;
  readonly process: ChildProcess;
  readonly #folder: string;

  private constructor(port: number, child: ChildProcess, folder: string) {
    this.port = port;
    this.process = child;
    this.#folder = folder;
  }

  static async start(...settings: string[]): Promise<RedisServer> {
    const port = await freePort();
    const folder = mkdtempSync(path.join(tmpdir(), 'shibumi-redis-'));
    const own = [
      '--port',
      String(port),
      '--bind',
      '127.0.0.1',
      '--dir',
      folder,
      '--save',
      '',
      '--daemonize',
      'no',
    ];
    const child = spawn(redisServer, [...own, ...settings], { stdio: ['ignore', 'pipe', 'ignore'] });
    await new Promise<void>((resolve, reject) => {
      let said = '';
      child.stdout.on('data', (chunk) => {
        said += chunk;
        if (/Ready to accept connections/.test(said)) resolve();
      });
      child.once('exit', () => reject(new Error(`redis-server ended: ${said.slice(-500)}`)));
    });
    child.stdout.resume();
    return new RedisServer(port, child, folder);
  }

  cli(...args: string[]): string {
    return spawnSync(redisCli, ['-p', String(this.port), ...args], { encoding: 'utf8' }).stdout.trim();
  }

  async kill(): Promise<void> {
    if (this.process.exitCode !== null || this.process.signalCode !== null) return;
    const ended = new Promise((resolve) => this.process.once('exit', resolve));
    this.process.kill('SIGKILL');
    await ended;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

/** Three masters, each with a replica. */
export async function startCluster(): Promise<RedisServer[]> {
  const settings = [
    '--cluster-enabled',
    'yes',
    '--cluster-node-timeout',
    '2000',
    '--repl-diskless-sync-delay',
    '0',
  ];
  const nodes = await Promise.all(
    Array.from({ length: 6 }, () => RedisServer.start(...settings, '--appendonly', 'no')),
  );
  const addresses = nodes.map(({ port }) => `127.0.0.1:${port}`);
  const made = spawnSync(
    redisCli,
    ['--cluster', 'create', ...addresses, '--cluster-replicas', '1', '--cluster-yes'],
    {
      encoding: 'utf8',
    },
  );
  if (made.status !== 0) throw new Error(`the cluster was not made: ${made.stdout}${made.stderr}`);
  const isReady = (node: RedisServer): boolean => {
    const info = node.cli('cluster', 'info');
    return /cluster_state:ok/.test(info) && /cluster_known_nodes:6/.test(info);
  };
  const hasReplicas = (): boolean =>
    /master_link_status:up/.test(nodes.map((node) => node.cli('info', 'replication')).join());
  for (let i = 0; i < 300 && !(nodes.every(isReady) && hasReplicas()); i++)
    await new Promise((resolve) => setTimeout(resolve, 100));
  return nodes;
}
