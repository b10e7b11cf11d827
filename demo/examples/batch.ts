/**
 * Many commands at once. The twin of NubDB's batch example, which writes them to a file and pipes that to the program. Here
 * calls made in the same turn travel as one message and share a commit. What follows `->` is what the
 * line prints. After `npm run build`: `node demo/examples/batch.ts`.
 */

import { open } from 'shibumi/node';

await using db = await open('batch', { storage: 'memory' });
// NubDB's every_n_ops, 1000 of them: flushed at least that often.
await db.createSpace('default', 'key-value', { durability: { everyOps: 1000 } });
await db.useSpace('default');

console.log('== SET and GET');
await Promise.all([db.put('name', 'Alice'), db.put('city', 'New York'), db.put('name', 'Bob')]);
// Writes take effect in the order they were made. A read sees what was acknowledged when it is made.
const [name, city] = await Promise.all([db.get('name'), db.get('city')]);
console.log(name, 'in', city); // -> Bob in New York

console.log('== INCR and DECR');
await db.put('counter', '100');
const sums = await Promise.all([
  db.increment('counter'),
  db.increment('counter'),
  db.increment('counter', -1),
]);
console.log(sums.join(', ')); // -> 101, 102, 101

console.log('== EXISTS and DELETE');
const answers = await Promise.all([db.exists('city'), db.delete('city'), db.delete('city')]);
console.log(answers.join(', '), await db.exists('city')); // -> true, true, false false

console.log('== With a time to live');
await db.put('session', 'user123', { ttlMs: 3_600_000 });
console.log(Math.round(((await db.ttl('session')) ?? 0) / 1000), 'seconds'); // -> 3600 seconds
await db.put('moment', 'soon gone', { ttlMs: 1 });
await new Promise((resolve) => setTimeout(resolve, 5));
console.log(await db.get('moment')); // -> undefined

console.log('== Many keys');
// Atomic: all of them are stored, or none.
await db.putMany(Array.from({ length: 1000 }, (_, i) => ({ key: `user:${i}`, value: `User ${i}` })));
const some = await db.getMany(['user:0', 'user:500', 'user:999', 'user:1000']);
console.log(some.map((value) => value ?? '(nil)').join(', ')); // -> User 0, User 500, User 999, (nil)
for await (const { key } of db.scan({ prefix: 'user:99', limit: 3 })) console.log(key);
// -> user:99
// -> user:990
// -> user:991

console.log('== SIZE and CLEAR');
console.log(await db.size(), 'keys'); // -> 1003 keys
await db.clear();
console.log(await db.size(), 'keys'); // -> 0 keys
