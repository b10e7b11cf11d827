/**
 * Pools: many callers, few connections. The twin of the Python client's `pooling_example.py`, with a server of its own in
 * place of one that has to run already. What follows `->` is what the line prints. After `npm run build`:
 * `node demo/examples/pooling.ts`.
 */

import {
  AuthenticationError,
  ConnectionError,
  type ConnectionPool,
  createConnectionPool,
  PoolExhaustedError,
} from 'shibumi/bridge';
import { serve } from 'shibumi/server';

const admin = { username: 'admin', password: 'a password of your own' };
await using server = await serve('pooling', { storage: 'memory', admin });

console.log('== A pool and one borrower');
{
  await using pool = createConnectionPool({ url: server.url, ...admin, minSize: 2, maxSize: 5 });
  await pool.use(async (db) => {
    await db.createSpace('test_pool', 'key-value');
    await db.useSpace('test_pool');
    await db.put('pool_test_key', 'pool_test_value');
    console.log(await db.get('pool_test_key')); // -> pool_test_value
    print(pool); // -> in use: 1 of at most 5
  });
  print(pool); // -> in use: 0 of at most 5
  // The next borrower finds nothing of the one before: neither the space it chose nor what it left open.
  await pool.use(async (db) => {
    await db.get('pool_test_key').catch((error) => console.log(error.code)); // -> NO_SPACE_SELECTED
  });
}

console.log('== Many borrowers at once');
{
  await using pool = createConnectionPool({ url: server.url, ...admin, minSize: 2, maxSize: 3 });
  const worker = (number: number): Promise<string> =>
    pool.use(async (db) => {
      const space = `worker_${number}`;
      await db.createSpace(space, 'key-value');
      await db.useSpace(space);
      await Promise.all([0, 1, 2, 3, 4].map((i) => db.put(`key_${i}`, `value ${i} of worker ${number}`)));
      return `${await db.get('key_4')}, ${await db.size()} keys`;
    });
  // Five want one of three: two wait, and get theirs in the order they came.
  for (const result of await Promise.all([1, 2, 3, 4, 5].map(worker))) console.log(result);
  // -> value 4 of worker 1, 5 keys
  // -> value 4 of worker 2, 5 keys
  // -> value 4 of worker 3, 5 keys
  // -> value 4 of worker 4, 5 keys
  // -> value 4 of worker 5, 5 keys
}

console.log('== Nothing left to lend');
{
  await using pool = createConnectionPool({ url: server.url, ...admin, minSize: 1, maxSize: 1 });
  await using db = await pool.getConnection();
  try {
    await pool.getConnection({ timeoutMs: 50 });
  } catch (error) {
    if (error instanceof PoolExhaustedError) console.log(error.message);
    // -> No connection was free within 50 ms: 1 of at most 1 are in use and 0 others wait
  }
  console.log((await db.listSpaces()).length, 'spaces'); // -> 6 spaces
}

console.log('== What goes wrong');
{
  await using pool = createConnectionPool({
    url: server.url,
    username: 'nobody',
    password: 'none',
    minSize: 0,
  });
  const error: unknown = await pool.getConnection().catch((reason) => reason);
  console.log(error instanceof AuthenticationError, (error as AuthenticationError).code); // -> true INVALID_CREDENTIALS
}
{
  // Nobody listens at port 9.
  await using pool = createConnectionPool({ url: 'ws://127.0.0.1:9/', minSize: 0, timeoutMs: 2000 });
  const error: unknown = await pool.getConnection().catch((reason) => reason);
  console.log(error instanceof ConnectionError, (error as ConnectionError).code); // -> true BRIDGE_UNAVAILABLE
}

function print(pool: ConnectionPool): void {
  const { activeConnections, maxSize } = pool.getStats();
  console.log(`in use: ${activeConnections} of at most ${maxSize}`);
}
