/** Passwords: from the environment, the terminal or standard input, never from the command line, which others can read. */

import { createInterface } from 'node:readline';
import { Writable } from 'node:stream';
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
