/**
 * Runs lines as they come and prints their replies in order. Writes that follow each other are started without waiting for
 * the one before, so that the database commits them in groups; anything else waits until all before it is settled.
 */

import { invalid } from '../base/arguments.ts';
import type { Line } from './lines.ts';
import { failure, type Reply } from './reply.ts';
import type { Shell, Task } from './shell.ts';

const inFlightMax = 256;

export interface BatchOptions {
  /** Ends at the first command that fails; each is then awaited before the next is started. */
  readonly stopOnError: boolean;
  /** Resolves when more may be printed. */
  readonly print: (reply: Reply) => Promise<void>;
}

export interface BatchOutcome {
  readonly commands: number;
  readonly failed: number;
  readonly firstFailedLine: number | undefined;
  /** Whether QUIT ended it. */
  readonly ended: boolean;
}

export async function runBatch(
  shell: Shell,
  lines: AsyncIterable<Line>,
  { stopOnError, print }: BatchOptions,
): Promise<BatchOutcome> {
  let commands = 0;
  let failed = 0;
  let firstFailedLine: number | undefined;
  let ended = false;
  /** One a started command, each settled when its reply and all before it are printed. */
  const printing: Promise<void>[] = [];
  const settled = async (keep: number): Promise<void> => {
    while (printing.length > keep) await printing.shift();
  };
  const start = (reply: Promise<Reply>, line: number): void => {
    const before = printing.at(-1);
    const done = (async () => {
      await before;
      const found = await reply;
      if (found.failed) {
        failed++;
        firstFailedLine ??= line;
      }
      ended ||= found.ends === true;
      await print(found);
    })();
    // Awaited by `settled`; until then a failing print must not count as unhandled.
    done.catch(() => {});
    printing.push(done);
    commands++;
  };

  try {
    for await (const { text, number } of lines) {
      const task = understood(shell, text);
      if (task === undefined) continue;
      const pipelined = !stopOnError && 'command' in task && shell.canPipeline(task);
      await settled(pipelined ? inFlightMax - 1 : 0);
      start('command' in task ? shell.run(task) : Promise.resolve(task), number);
      if (!pipelined) await settled(0);
      if (ended || (stopOnError && failed > 0)) break;
    }
  } finally {
    await settled(0);
  }
  return { commands, failed, firstFailedLine, ended };
}

function understood(shell: Shell, text: string): Task | Reply | undefined {
  try {
    return shell.parse(text);
  } catch (error) {
    return failure(error);
  }
}

/** The commands of `-c`, each a line of its own. */
export async function* linesFrom(texts: readonly string[]): AsyncGenerator<Line, void, undefined> {
  for (const [i, text] of texts.entries()) {
    if (/[\r\n]/.test(text)) throw invalid('Got a line end in a command, expected one command for each -c');
    yield { text, number: i + 1 };
  }
}
