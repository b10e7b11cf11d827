/**
 * What can go wrong and how it is told: a class to catch by, a code to decide by, a message that says what was found and
 * what was expected. The twin of the error handling in the Python client's `example.py`. What follows `->` is what the line
 * prints. After `npm run build`: `node demo/examples/error-handling.ts`.
 */

import { AuthenticationError, ConnectionError, connect, isShibuDbError, QueryError } from 'shibumi/bridge';
import { open } from 'shibumi/node';
import { serve } from 'shibumi/server';

const admin = { username: 'admin', password: 'a password of your own' };
await using server = await serve('errors', { storage: 'memory', admin });

// Nobody listens at port 9.
await tells(() => connect('ws://127.0.0.1:9/', { timeoutMs: 2000 })); // -> ConnectionError BRIDGE_UNAVAILABLE

await tells(() => connect(server.url, { username: 'wronguser', password: 'wrongpass' }));
// -> AuthenticationError INVALID_CREDENTIALS

await using db = await connect(server.url, admin);
await tells(() => db.useSpace('nonexistent')); // -> QueryError SPACE_NOT_FOUND
await tells(() => db.get('key')); // -> QueryError NO_SPACE_SELECTED

await db.createSpace('table', 'key-value');
await tells(() => db.createSpace('table', 'key-value')); // -> QueryError SPACE_EXISTS
await db.useSpace('table');
await tells(() => db.searchTopK([1, 2, 3])); // -> QueryError WRONG_ENGINE

// A failed call has changed nothing.
await db.put('name', 'John Doe');
await tells(() => db.increment('name')); // -> QueryError NOT_A_NUMBER
console.log(await db.get('name')); // -> John Doe

await db.createSpace('vectors', 'vector', { dimension: 3 });
const vectors = db.space('vectors');
try {
  await vectors.insertVector(1, [1, 2]);
} catch (error) {
  if (error instanceof QueryError) console.log(error.message);
  // -> Got a vector of 2 components, expected 3
}

// A missing key or id is no error.
console.log(await db.get('missing'), await vectors.getVector(99)); // -> undefined undefined

// A user may do what the permissions say, and learns it at once when they are taken away.
await db.createUser({ username: 'reader', password: 'of the reader', permissions: { table: 'read' } });
await using reader = await connect(server.url, { username: 'reader', password: 'of the reader' });
console.log(await reader.get('name', { space: 'table' })); // -> John Doe
await tells(() => reader.put('name', 'Jane', { space: 'table' })); // -> AuthenticationError PERMISSION_DENIED
await db.updateUserPermissions('reader', {});
await tells(() => reader.get('name', { space: 'table' })); // -> AuthenticationError PERMISSION_DENIED

// Whoever does not want to wait any more says so: by a signal, or by a time.
await tells(() => db.get('name', { signal: AbortSignal.abort() })); // -> ShibuDbError ABORTED

// A local database without users needs no login, and says so.
await using local = await open('local', { storage: 'memory' });
await tells(() => local.authenticate('admin', 'admin')); // -> AuthenticationError NO_USERS
await local.close();
await tells(() => local.listSpaces()); // -> ConnectionError CLOSED

async function tells(call: () => Promise<unknown>): Promise<void> {
  try {
    await call();
    console.log('it went well');
  } catch (error) {
    if (!isShibuDbError(error)) throw error;
    const classes = [AuthenticationError, ConnectionError, QueryError];
    const known = classes.find((each) => error instanceof each);
    console.log(known?.name ?? 'ShibuDbError', error.code);
  }
}
