/** A database by what the command line calls it: a folder, or the address of a bridge. */

import { createInterface } from 'node:readline';
import { Writable } from 'node:stream';
import type { Database } from '../api/database.ts';
import { connect } from '../bridge/client/connect.ts';
import type { Open } from './main.ts';

/** `ws://user@host:port/`: the password is asked for, or comes from the environment; never from the command line. */
export async function openAddress(
  open: Open,
  place: string,
  options: { create: boolean },
): Promise<Database> {
  if (!/^wss?:\/\//i.test(place)) return open(place, options);
  const url = new URL(place);
  const username = decodeURIComponent(url.username);
  url.username = url.password = '';
  if (username === '') return connect(url);
  const password = process.env.SHIBUMI_PASSWORD ?? (await askPassword(username));
  return connect(url, { username, password });
}

/** Asks at the terminal, without an echo. Without a terminal there is nobody to ask. */
async function askPassword(username: string): Promise<string> {
  if (!process.stdin.isTTY) return '';
  const silent = new Writable({ write: (_chunk, _encoding, done) => done() });
  process.stderr.write(`Password of ${username}: `);
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
