/** Runs the command `shibumi` as a process of its own, as its users do. */

import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { TestContext } from 'node:test';

export const entry: string = path.resolve(import.meta.dirname, '../../src/cli.ts');

export interface Outcome {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export function start(
  args: readonly string[],
  variables: Readonly<Record<string, string>> = {},
): ChildProcessWithoutNullStreams {
  const env = { ...process.env, ...variables, NODE_OPTIONS: '--disable-warning=ExperimentalWarning' };
  return spawn(process.execPath, [entry, ...args], { env, timeout: 30_000 });
}

/** Runs to the end with `input` on standard input. */
export async function shibumi(
  args: readonly string[],
  input: string | Uint8Array = '',
  variables: Readonly<Record<string, string>> = {},
): Promise<Outcome> {
  const child = start(args, variables);
  const stdout: Buffer[] = [];
  const stderr: Buffer[] = [];
  child.stdout.on('data', (chunk: Buffer) => stdout.push(chunk));
  child.stderr.on('data', (chunk: Buffer) => stderr.push(chunk));
  // A command that fails early does not read it.
  child.stdin.on('error', () => {});
  child.stdin.end(input);
  const status = await new Promise<number | null>((resolve, reject) => {
    child.on('error', reject).on('close', resolve);
  });
  return { status, stdout: String(Buffer.concat(stdout)), stderr: String(Buffer.concat(stderr)) };
}

/** A folder for one test. */
export function folderFor(t: TestContext): string {
  const folder = mkdtempSync(path.join(tmpdir(), 'shibumi-cli-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}
