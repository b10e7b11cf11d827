/** The pages for those who come from elsewhere: complete, and every block does what it says. */

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { holdToPromises } from '../support/program.ts';

/** Every public name of the Python client (1.0 and 1.1), and of NubDB's commands and settings. */
const sources = {
  'from-shibudb.md': `ShibuDbClient connect authenticate use_space create_space delete_space list_spaces put get delete
    insert_vector search_topk range_search get_vector delete_vector create_user update_user_password update_user_role
    update_user_permissions delete_user get_user close create_connection_pool get_connection get_stats User SpaceInfo
    ConnectionConfig indexed_metadata_fields metadata where ShibuDbError AuthenticationError ConnectionError QueryError PoolExhaustedError`,
  'from-nubdb.md': `SET GET DEL DELETE EXISTS INCR DECR SIZE CLEAR QUIT EXIT always every_n_ops every_n_seconds
    fsync_policy fsync_ops_threshold`,
};

for (const [name, words] of Object.entries(sources)) {
  const page = readFileSync(path.resolve(import.meta.dirname, '../../docs', name), 'utf8');

  test(`docs/${name} has every call of the source in its tables`, () => {
    const rows = page.split('\n').filter((line) => line.startsWith('|'));
    const sides = rows.map((row) => row.split('|')[1] ?? '').join('\n');
    const missing = words.split(/\s+/).filter((word) => !new RegExp(`\\b${word}\\b`).test(sides));
    assert.deepEqual(missing, []);
  });

  test(`the blocks of docs/${name} run and print what they promise`, () => {
    const blocks = [...page.matchAll(/^```ts\n([\s\S]*?)^```$/gm)].map(([, block]) => block);
    assert.ok(blocks.length > 1);
    holdToPromises(blocks.join('\n'));
  });
}
