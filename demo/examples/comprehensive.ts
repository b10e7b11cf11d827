/**
 * Everything a database has, one chapter after the other: users, spaces, keys, vectors. The twin of the Python client's
 * `example.py`. What follows `->` is what the line prints. After `npm run build`: `node demo/examples/comprehensive.ts`.
 */

import { open } from 'shibumi/node';

const admin = { username: 'admin', password: 'a password of your own' };
await using db = await open('comprehensive', { storage: 'memory', admin });

heading('Signing in');
// There are users now, so nobody may do anything before it is clear who calls.
const { username, role } = await db.authenticate(admin.username, admin.password);
console.log(`${username} is signed in as ${role}`); // -> admin is signed in as admin

heading('Users');
await db.createUser({
  username: 'testuser',
  password: 'testpass',
  permissions: { mytable: 'read', vectortable: 'write' },
});
console.log(JSON.stringify(await db.getUser('testuser')));
// -> {"username":"testuser","role":"user","permissions":{"mytable":"read","vectortable":"write"}}
await db.updateUserPassword('testuser', 'newpassword');
await db.updateUserRole('testuser', 'admin');
await db.updateUserPermissions('testuser', { mytable: 'write', vectortable: 'read' });
const users = await db.listUsers();
console.log(users.map((user) => `${user.username}: ${user.role}`).join(', ')); // -> admin: admin, testuser: admin
await db.deleteUser('testuser');
console.log('gone:', await db.getUser('testuser')); // -> gone: undefined

heading('Spaces');
await db.createSpace('mytable', 'key-value');
await db.createSpace('vectortable', 'vector', { dimension: 128, indexType: 'Flat', metric: 'L2' });
for (const space of await db.listSpaces()) console.log(space.name, space.engine, space.dimension ?? '-');
// -> mytable key-value -
// -> vectortable vector 128
await db.deleteSpace('vectortable');
console.log((await db.listSpaces()).length, 'space is left'); // -> 1 space is left

heading('Keys and values');
await db.useSpace('mytable');
await db.put('name', 'John Doe');
await db.put('age', '30');
await db.put('city', 'New York');
console.log((await db.getMany(['name', 'age', 'city'])).join(' | ')); // -> John Doe | 30 | New York
console.log('a key there is not:', await db.get('nonexistent')); // -> a key there is not: undefined
console.log('deleted:', await db.delete('age')); // -> deleted: true
console.log('deleted again:', await db.delete('age')); // -> deleted again: false

heading('Vectors');
await db.createSpace('vectortable', 'vector', { dimension: 3, indexType: 'Flat', metric: 'L2' });
// A handle stays with its space, whatever `useSpace` says elsewhere.
const vectors = db.space('vectortable');
await vectors.insertVectors(
  [1, 2, 3, 4, 5],
  Float32Array.of(1, 2, 3, 4, 5, 6, 7, 8, 9, 1.1, 2.1, 3.1, 10, 11, 12),
);
const query = [1, 2, 3];
for (const { id, distance } of await vectors.searchTopK(query, 3)) console.log(id, distance.toFixed(2));
// -> 1 0.00
// -> 4 0.03
// -> 2 27.00
const near = await vectors.rangeSearch(query, 2);
console.log('within 2:', near.map(({ id }) => id).join(', ')); // -> within 2: 1, 4
console.log('vector 1:', (await vectors.getVector(1))?.join(' ')); // -> vector 1: 1 2 3
await vectors.deleteVector(5);
console.log(await vectors.countVectors(), 'vectors are left'); // -> 4 vectors are left

heading('Several spaces together');
await db.createSpace('users', 'key-value');
await db.createSpace('embeddings', 'vector', {
  dimension: 128,
  indexType: 'HNSW16',
  metric: 'Cosine',
  ids: 'string',
});
// Calls made in the same turn travel together, and share a commit.
await db.space('users').putMany([
  { key: 'alice', value: 'Alice Johnson' },
  { key: 'bob', value: 'Bob Smith' },
  { key: 'carol', value: 'Carol Davis' },
]);
const embeddings = db.space('embeddings');
await Promise.all([
  embeddings.insertVector('alice', embedding(0.1, 0.2, 0.3)),
  embeddings.insertVector('bob', embedding(0.9, 0.1, 0.0)),
  embeddings.insertVector('carol', embedding(0.1, 0.2, 0.4)),
]);
for (const { id } of await embeddings.searchTopK(embedding(0.1, 0.2, 0.3), 2)) {
  console.log(await db.get(id as string, { space: 'users' }));
}
// -> Alice Johnson
// -> Carol Davis

function embedding(...first: number[]): Float32Array {
  const vector = new Float32Array(128);
  vector.set(first);
  return vector;
}

function heading(text: string): void {
  console.log(`== ${text}`);
}
