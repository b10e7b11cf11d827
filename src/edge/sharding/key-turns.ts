/** Works on the same keys run one after another, in the order in which they came; works on different keys do not wait. */

export type Keys = readonly string[] | 'all';

interface Turn {
  readonly keys: ReadonlySet<string> | 'all';
  readonly ended: Promise<void>;
}

export class KeyTurns {
  readonly #turns: Set<Turn> = new Set();

  async take<Result>(keys: Keys, work: () => Promise<Result>): Promise<Result> {
    const mine = keys === 'all' ? keys : new Set(keys);
    // Asked for and entered in one go: whoever comes later waits for this one, and nobody for one another.
    const before = [...this.#turns].filter((turn) => overlap(turn.keys, mine)).map(({ ended }) => ended);
    const { promise: ended, resolve: end } = Promise.withResolvers<void>();
    const turn = { keys: mine, ended };
    this.#turns.add(turn);
    try {
      await Promise.all(before);
      return await work();
    } finally {
      this.#turns.delete(turn);
      end();
    }
  }
}

function overlap(a: Turn['keys'], b: Turn['keys']): boolean {
  if (a === 'all' || b === 'all') return true;
  return !a.isDisjointFrom(b);
}
