/** Runs one thing after another, in the order they came; a failure is its caller's alone. */

export class Lane {
  #last: Promise<unknown> = Promise.resolve();

  run<Result>(work: () => Promise<Result>): Promise<Result> {
    const result = this.#last.then(work);
    this.#last = result.catch(() => {});
    return result;
  }

  /** Resolves when everything that was given so far is done. */
  async idle(): Promise<void> {
    await this.#last;
  }
}
