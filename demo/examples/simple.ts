/**
 * The least there is: a key and its value, a vector and its neighbours. The twin of the Python client's `simple_test.py`.
 *
 * What follows `->` is what the line prints; a test holds every example here to it. After `npm run build`:
 * `node demo/examples/simple.ts`.
 */

import { open } from 'shibumi/node';

// In memory, for this run. With a folder's path alone the data is there again next time.
await using db = await open('simple', { storage: 'memory' });

await db.createSpace('testspace', 'key-value');
await db.useSpace('testspace');
await db.put('hello', 'world');
console.log('hello:', await db.get('hello')); // -> hello: world

await db.createSpace('vectest', 'vector', { dimension: 3 });
await db.useSpace('vectest');
await db.insertVector(1, [1.0, 2.0, 3.0]);
await db.insertVector(2, [4.0, 5.0, 6.0]);
await db.insertVector(3, [1.1, 2.1, 3.1]); // like vector 1

for (const { id, distance } of await db.searchTopK([1.0, 2.0, 3.0], 2)) {
  console.log(`vector ${id}, distance ${distance.toFixed(2)}`);
}
// -> vector 1, distance 0.00
// -> vector 3, distance 0.03

const spaces = await db.listSpaces();
console.log(spaces.map(({ name, engine }) => `${name} (${engine})`).join(', '));
// -> testspace (key-value), vectest (vector)
