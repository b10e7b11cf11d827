/** How far a long command has come, on standard error: a line that renews itself at a terminal, else one now and then. */

const terminalEveryMs = 100;
const plainEveryMs = 2000;

export class ProgressLine {
  readonly #started = performance.now();
  #shown: number = performance.now();
  #open = false;

  /** Cheap enough to be called for every row: the text is only made when it is time to show it. */
  update(text: () => string): void {
    const now = performance.now();
    const isTerminal = process.stderr.isTTY === true;
    if (now - this.#shown < (isTerminal ? terminalEveryMs : plainEveryMs)) return;
    this.#shown = now;
    process.stderr.write(isTerminal ? `\r\x1b[K${text()}` : `${text()}\n`);
    this.#open = isTerminal;
  }

  /** The last word, on a line of its own, with the time it took. */
  finish(text: string): void {
    this.clear();
    const seconds = (performance.now() - this.#started) / 1000;
    process.stderr.write(`${text} in ${seconds.toFixed(seconds < 10 ? 1 : 0)} s\n`);
  }

  clear(): void {
    if (this.#open) process.stderr.write('\r\x1b[K');
    this.#open = false;
  }
}
