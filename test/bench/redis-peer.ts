/** `redis-benchmark` on a port, and a real `redis-server` to compare with. Both are Debian's; without them the scenario is left out. */

import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

const benchmark = '/usr/bin/redis-benchmark';
const server = '/usr/bin/redis-server';

export const hasRedisBenchmark: boolean = existsSync(benchmark);
export const hasRedisServer: boolean = existsSync(server);

export interface RedisLoad {
  readonly command: 'GET' | 'SET';
  readonly requests: number;
  readonly pipeline: number;
  readonly database: number;
}

/** Operations a second, of 50 connections. */
export async function redisBenchmark(port: number, load: RedisLoad): Promise<number> {
  const { command, requests, pipeline, database } = load;
  const args = [
    '-p',
    String(port),
    '-t',
    command.toLowerCase(),
    '-n',
    String(requests),
    '-P',
    String(pipeline),
  ];
  const child = spawn(benchmark, [
    ...args,
    '-r',
    '100000',
    '-d',
    '100',
    '--dbnum',
    String(database),
    '--csv',
  ]);
  let output = '';
  child.stdout.on('data', (chunk) => {
    output += chunk;
  });
  await new Promise((resolve) => child.once('close', resolve));
  const found = new RegExp(`^"${command}","([\\d.]+)"`, 'm').exec(output)?.[1];
  if (found === undefined) throw new Error(`redis-benchmark said: ${output}`);
  return Number(found);
}

export class RedisPeer implements Disposable {
  readonly port: number;
  readonly #child: ChildProcess;
  readonly #folder: string;

  private constructor(port: number, child: ChildProcess, folder: string) {
    this.port = port;
    this.#child = child;
    this.#folder = folder;
  }

  static async start(...settings: string[]): Promise<RedisPeer> {
    const folder = mkdtempSync(path.join(tmpdir(), 'shibumi-bench-redis-'));
    const port = 20_000 + (process.pid % 20_000) + settings.length;
    const own = ['--port', String(port), '--bind', '127.0.0.1', '--dir', folder, '--save', ''];
    const child = spawn(server, [...own, ...settings], { stdio: 'ignore' });
    for (let i = 0; i < 200; i++) {
      const { stdout } = spawnSync('/usr/bin/redis-cli', ['-p', String(port), 'ping'], { encoding: 'utf8' });
      if (stdout?.includes('PONG')) return new RedisPeer(port, child, folder);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    child.kill();
    throw new Error('redis-server does not answer');
  }

  [Symbol.dispose](): void {
    this.#child.kill('SIGKILL');
    rmSync(this.#folder, { recursive: true, force: true });
  }
}
