/** The session at a terminal: a prompt, a history that lasts, completion of commands and names of spaces. */

import { chmodSync, readFileSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import path from 'node:path';
import { createInterface, type Interface } from 'node:readline';
import { commands } from './commands.ts';
import type { Output } from './output.ts';
import { failure, printed, type Reply } from './reply.ts';
import type { Shell } from './shell.ts';
import { holdsPassword } from './user-commands.ts';

const historyLines = 1000;
const takesSpace = /^(USE|USE-SPACE|DESCRIBE|DESCRIBE-SPACE|DELETE-SPACE)\s+(\S*)$/i;

/** Resolves when the session has ended: QUIT, Ctrl-D, or Ctrl-C on an empty line. */
export async function runPrompt(shell: Shell, output: Output, json: boolean): Promise<void> {
  const history = process.env.SHIBUMI_HISTORY ?? path.join(homedir(), '.shibumi_history');
  const terminal = createInterface({
    input: process.stdin,
    output: process.stdout,
    terminal: true,
    history: readHistory(history),
    historySize: historyLines,
    removeHistoryDuplicates: true,
    completer: (line: string, done: (error: Error | null, found: [string[], string]) => void) => {
      complete(shell, line).then((found) => done(null, found));
    },
  });
  terminal.on('history', (lines) => {
    writeHistory(
      history,
      lines.filter((line) => !holdsPassword.test(line)),
    );
  });
  terminal.on('SIGINT', () => interrupt(terminal));
  let ended = false;
  showPrompt(terminal, shell);
  for await (const line of terminal) {
    const reply = await answer(shell, line);
    if (reply !== undefined) await output.write(printed(reply, json));
    ended = reply?.ends === true;
    if (ended) break;
    showPrompt(terminal, shell);
  }
  terminal.close();
  if (!ended) await output.write('Goodbye\n');
}

async function answer(shell: Shell, line: string): Promise<Reply | undefined> {
  try {
    const task = shell.parse(line);
    return task && (await shell.run(task));
  } catch (error) {
    return failure(error);
  }
}

function showPrompt(terminal: Interface, shell: Shell): void {
  terminal.setPrompt(shell.current === undefined ? 'shibumi> ' : `shibumi:${shell.current.name}> `);
  terminal.prompt();
}

function interrupt(terminal: Interface): void {
  if (terminal.line === '') {
    terminal.close();
    return;
  }
  // What was typed so far is dropped, as in a shell.
  terminal.write(null, { ctrl: true, name: 'e' });
  terminal.write(null, { ctrl: true, name: 'u' });
}

/** What the last word may become, and that word. */
export async function complete(shell: Shell, line: string): Promise<[string[], string]> {
  const [, , typedName] = takesSpace.exec(line) ?? [];
  if (typedName !== undefined) {
    const names = (await shell.db.listSpaces()).map(({ name }) => name);
    return [names.filter((name) => name.startsWith(typedName)), typedName];
  }
  if (/\s/.test(line)) return [[], line];
  const found = [...commands.keys()].filter((name) => name.startsWith(line.toUpperCase()));
  return [found.map((name) => `${name} `), line];
}

/** Newest first, as readline wants them. A history that cannot be read is an empty one. */
function readHistory(file: string): string[] {
  try {
    return readFileSync(file, 'utf8').split('\n').filter(Boolean).reverse();
  } catch {
    return [];
  }
}

/** It may hold values: nobody else is to read it. Losing it is no reason to fail. */
function writeHistory(file: string, newestFirst: readonly string[]): void {
  try {
    writeFileSync(file, `${newestFirst.toReversed().join('\n')}\n`, { mode: 0o600 });
    chmodSync(file, 0o600);
  } catch {}
}
