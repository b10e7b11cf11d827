/**
 * What every runtime is asked to do in the edge suite, and nothing more: open the snapshot, search. The clock is the asker's:
 * a Worker's own stands still while code runs.
 */

import type { Database } from '../../../src/api/database.ts';

export type ProbeCall =
  /** Where the queries are (raw float32), and how long each is; answers with the bytes fetched, once they are there. */
  | { readonly do: 'load'; readonly queries: string; readonly dimension: number }
  /** Opens the snapshot and searches once. */
  | { readonly do: 'open'; readonly from: string }
  | { readonly do: 'close' }
  /**
   * Searches `count` queries from the first on, round and round, by so many callers, each of whom awaits every answer; answers
   * with the ids of each query, or with how many.
   */
  | {
      readonly do: 'search';
      readonly efSearch: number;
      readonly count: number;
      readonly callers: number;
      readonly ids: boolean;
    };

export const spaceName = 'vectors';
const k = 10;

export class Probe {
  readonly #open: (from: string) => Promise<Database>;
  #db: Database | undefined;
  #queries: Float32Array[] = [];

  constructor(open: (from: string) => Promise<Database>) {
    this.#open = open;
  }

  async answer(call: ProbeCall): Promise<unknown> {
    switch (call.do) {
      case 'load': {
        const packed = new Float32Array(await (await fetch(call.queries)).arrayBuffer());
        const rows = packed.length / call.dimension;
        this.#queries = Array.from({ length: rows }, (_, row) =>
          packed.subarray(row * call.dimension, (row + 1) * call.dimension),
        );
        return rows;
      }
      case 'open':
        this.#db = await this.#open(call.from);
        return this.#search(0, 0);
      case 'close':
        await this.#db?.close();
        this.#db = undefined;
        return undefined;
      case 'search': {
        const found: number[][] = [];
        let hits = 0;
        let next = 0;
        const caller = async (): Promise<void> => {
          while (next < call.count) {
            const i = next++;
            const ids = await this.#search(i % this.#queries.length, call.efSearch);
            hits += ids.length;
            if (call.ids) found[i] = ids;
          }
        };
        await Promise.all(Array.from({ length: call.callers }, caller));
        return call.ids ? found : hits;
      }
    }
  }

  async #search(row: number, efSearch: number): Promise<number[]> {
    const options = efSearch === 0 ? {} : { efSearch };
    const hits = await (this.#db as Database).searchTopK(this.#queries[row] as Float32Array, k, {
      space: spaceName,
      ...options,
    });
    return hits.map(({ id }) => id as number);
  }
}
