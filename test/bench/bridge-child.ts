/** The processes of the suite `bridge`, from the side that measures. */

import { type ChildProcess, fork } from 'node:child_process';
import path from 'node:path';

export const admin = { username: 'bench', password: 'no secret' };
export const keySpaces = ['relaxed', 'strict'] as const;

export type BridgeProcessRole =
  | { readonly kind: 'serve'; readonly folder: string }
  | { readonly kind: 'echo'; readonly answerBytes: number };

export interface Told {
  readonly ports?: Readonly<Record<string, number>>;
  readonly rssBytes?: number;
}

export class BridgeChild implements Disposable {
  readonly ports: Readonly<Record<string, number>>;
  readonly #child: ChildProcess;

  private constructor(child: ChildProcess, ports: Readonly<Record<string, number>>) {
    this.#child = child;
    this.ports = ports;
  }

  static async start(role: BridgeProcessRole): Promise<BridgeChild> {
    const child = fork(path.join(import.meta.dirname, 'bridge-process.ts'), [JSON.stringify(role)], {
      execArgv: ['--disable-warning=ExperimentalWarning'],
    });
    const { ports = {} } = await nextOf(child);
    return new BridgeChild(child, ports);
  }

  async rssBytes(): Promise<number> {
    const answer = nextOf(this.#child);
    this.#child.send('rss');
    return (await answer).rssBytes ?? 0;
  }

  [Symbol.dispose](): void {
    this.#child.kill();
  }
}

function nextOf(child: ChildProcess): Promise<Told> {
  return new Promise((resolve, reject) => {
    const ended = (code: number | null): void => reject(new Error(`the process ended with ${code}`));
    child.once('exit', ended);
    child.once('message', (told) => {
      child.off('exit', ended);
      resolve(told as Told);
    });
  });
}
