/** Starting scripts of this folder in a runtime of their own, and reading what they print line by line. */

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import { createInterface } from 'node:readline';

/** How a runtime is called: the command and what comes before the script. */
export interface Runtime {
  readonly name: string;
  readonly command: string;
  readonly args: readonly string[];
}

export const node: Runtime = { name: 'node', command: process.execPath, args: [] };

export interface Script {
  readonly child: ChildProcess;
  /** Every line printed so far. */
  readonly lines: string[];
  /** Resolves with the first line that begins so. @throws when the script ends without one */
  line(start: string): Promise<string>;
  /** Resolves when the script has ended and everything it printed was read. */
  readonly ended: Promise<{ code: number | null; signal: NodeJS.Signals | null; errors: string }>;
}

export function start(runtime: Runtime, script: string, args: readonly string[]): Script {
  const file = path.join(import.meta.dirname, script);
  const child = spawn(runtime.command, [...runtime.args, file, ...args], { stdio: ['pipe', 'pipe', 'pipe'] });
  const lines: string[] = [];
  const waiting: { start: string; resolve: (line: string) => void; reject: (error: Error) => void }[] = [];
  let errors = '';
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    errors += text;
  });
  const reader = createInterface({ input: child.stdout as NodeJS.ReadableStream });
  reader.on('line', (line) => {
    lines.push(line);
    for (const [i, each] of [...waiting.entries()].reverse()) {
      if (line.startsWith(each.start)) waiting.splice(i, 1)[0]?.resolve(line);
    }
  });
  const ended = Promise.all([once(child, 'exit'), once(reader, 'close'), once(child, 'close')]).then(
    ([[code, signal]]) => {
      for (const { start: wanted, reject } of waiting) {
        reject(new Error(`${script} ended (${code ?? signal}) without printing "${wanted}": ${errors}`));
      }
      return { code, signal, errors };
    },
  );
  const line = (wanted: string): Promise<string> => {
    const found = lines.find((each) => each.startsWith(wanted));
    if (found !== undefined) return Promise.resolve(found);
    return new Promise((resolve, reject) => waiting.push({ start: wanted, resolve, reject }));
  };
  return { child, lines, line, ended };
}
