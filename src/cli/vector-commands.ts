/** Commands on vectors, in the chosen space. */

import type { SearchHit } from '../api/database.ts';
import { deleted } from './key-commands.ts';
import { idText, ok, type Reply, table } from './reply.ts';
import type { Command } from './shell.ts';
import { parseId, parseInteger, parseNumber, parseVector, vectorNumbers, vectorText } from './vector-text.ts';

export const vectorCommands: readonly Command[] = [
  {
    name: 'INSERT-VECTOR',
    usage: 'id 1,2,3',
    summary: 'stores a vector, replacing what was there',
    words: [2, 2],
    pipelined: true,
    async run(shell, { words: [id = '', vector = ''] }) {
      const { name: space, ids } = shell.vectorSpace('INSERT-VECTOR');
      await shell.db.insertVector(parseId(id, ids), parseVector(vector), { space });
      return ok;
    },
  },
  {
    name: 'GET-VECTOR',
    usage: 'id',
    summary: 'the vector, or (nil)',
    words: [1, 1],
    async run(shell, { words: [id = ''] }) {
      const { name: space, ids } = shell.vectorSpace('GET-VECTOR');
      const vector = await shell.db.getVector(parseId(id, ids), { space });
      if (vector === undefined) return { value: null, text: '(nil)' };
      return { value: vectorNumbers(vector), text: vectorText(vector) };
    },
  },
  {
    name: 'DELETE-VECTOR',
    usage: 'id',
    summary: 'deletes a vector: OK, or (not found)',
    words: [1, 1],
    pipelined: true,
    async run(shell, { words: [id = ''] }) {
      const { name: space, ids } = shell.vectorSpace('DELETE-VECTOR');
      return deleted(await shell.db.deleteVector(parseId(id, ids), { space }));
    },
  },
  {
    name: 'SEARCH-TOPK',
    usage: '1,2,3 [k] [--ef-search n]',
    summary: 'the k nearest (1 unless given), best first',
    words: [1, 2],
    options: ['ef-search'],
    async run(shell, { words: [query = '', k = '1'], options }) {
      const { name: space } = shell.vectorSpace('SEARCH-TOPK');
      const effort = options.get('ef-search');
      const settings = effort === undefined ? {} : { efSearch: parseInteger(effort, '--ef-search', 1) };
      const count = parseInteger(k, 'k', 1);
      return hitsReply(await shell.db.searchTopK(parseVector(query), count, { space, ...settings }));
    },
  },
  {
    name: 'RANGE-SEARCH',
    usage: '1,2,3 radius [--limit n]',
    summary: 'all within the radius (for InnerProduct: above it), best first',
    words: [2, 2],
    options: ['limit'],
    async run(shell, { words: [query = '', radius = ''], options }) {
      const { name: space } = shell.vectorSpace('RANGE-SEARCH');
      const limit = options.get('limit');
      const settings = limit === undefined ? {} : { limit: parseInteger(limit, '--limit', 1) };
      const within = parseNumber(radius, 'the radius');
      return hitsReply(await shell.db.rangeSearch(parseVector(query), within, { space, ...settings }));
    },
  },
];

function hitsReply(hits: readonly SearchHit[]): Reply {
  const rows = hits.map(({ id, distance }) => [idText(id), Number(distance.toPrecision(7))]);
  return { value: hits, text: table(['id', 'distance'], rows) };
}
