/**
 * Numbers for the places at which SCANs stand. Redis' clients expect numbers, and send them over any connection; a place in
 * an ordered space is a text. Of the oldest places there is no memory, and a SCAN that comes back to one begins anew.
 */

import { randomInt } from 'node:crypto';

const cursorsMax = 100_000;

export class ScanCursors {
  readonly #places: Map<number, { readonly space: string; readonly cursor: string }> = new Map();

  keep(space: string, cursor: string): number {
    let number = randomInt(1, 2 ** 47);
    while (this.#places.has(number)) number = randomInt(1, 2 ** 47);
    this.#places.set(number, { space, cursor });
    if (this.#places.size > cursorsMax) {
      const [oldest] = this.#places.keys();
      if (oldest !== undefined) this.#places.delete(oldest);
    }
    return number;
  }

  /** Where in `space` number `number` stands. */
  find(space: string, number: number): string | undefined {
    const place = this.#places.get(number);
    return place?.space === space ? place.cursor : undefined;
  }
}
