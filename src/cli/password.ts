/** Passwords: from the environment, the terminal or standard input, never from the command line, which others can read. */

import { readFile } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import { Writable } from 'node:stream';
import type { Encryption } from '../api/encryption.ts';
import { invalid } from '../base/arguments.ts';
import { linesOf } from './lines.ts';

/** Of whoever signs in: `SHIBUMI_PASSWORD`, or asked for. Without a terminal there is nobody to ask. */
export async function passwordOf(username: string): Promise<string> {
  const known = process.env.SHIBUMI_PASSWORD;
  if (known !== undefined) return known;
  return process.stdin.isTTY ? ask(`Password of ${username}: `) : '';
}

/**
 * One that is to be set: `SHIBUMI_NEW_PASSWORD`, or asked for twice, or the first line of standard input.
 * @throws INVALID_ARGUMENT when it is typed differently the second time, or there is none
 */
export async function newPasswordOf(username: string): Promise<string> {
  const known = process.env.SHIBUMI_NEW_PASSWORD;
  if (known !== undefined) return known;
  if (process.stdin.isTTY) {
    const password = await ask(`New password of ${username}: `);
    if (password !== (await ask('The same again: '))) throw invalid('Got two different passwords');
    return password;
  }
  for await (const { text } of linesOf(process.stdin)) return text;
  throw invalid('Got no password on standard input or in SHIBUMI_NEW_PASSWORD, expected one');
}

/**
 * What opens an encrypted folder: the password in `SHIBUMI_ENCRYPTION_PASSWORD`, or the first line of the file that
 * `SHIBUMI_ENCRYPTION_PASSWORD_FILE` names; nothing where neither is set.
 * @throws INVALID_ARGUMENT for both, or a file that cannot be read
 */
export async function encryptionFromEnvironment(): Promise<Encryption | undefined> {
  const { SHIBUMI_ENCRYPTION_PASSWORD: password, SHIBUMI_ENCRYPTION_PASSWORD_FILE: file } = process.env;
  if (password !== undefined && file !== undefined)
    throw invalid(
      'Got SHIBUMI_ENCRYPTION_PASSWORD and SHIBUMI_ENCRYPTION_PASSWORD_FILE, expected one of them',
    );
  if (password !== undefined) return { password };
  if (file === undefined) return undefined;
  const text = await readFile(file, 'utf8').catch((error: unknown) => {
    throw invalid(
      `SHIBUMI_ENCRYPTION_PASSWORD_FILE cannot be read: ${error instanceof Error ? error.message : error}`,
    );
  });
  const [line = ''] = text.split(/\r?\n/, 1);
  return { password: line };
}

/** Asks at the terminal, without an echo. */
async function ask(question: string): Promise<string> {
  const silent = new Writable({ write: (_chunk, _encoding, done) => done() });
  process.stderr.write(question);
  const terminal = createInterface({ input: process.stdin, output: silent, terminal: true });
  try {
    return await new Promise((resolve) => {
      terminal.question('', resolve);
      terminal.once('close', () => resolve(''));
    });
  } finally {
    terminal.close();
    process.stderr.write('\n');
  }
}
