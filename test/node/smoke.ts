/**
 * What a user does first, in whatever runtime runs this file: open, put, insert, search, close, open again. Prints `fine`.
 * Arguments: folder, module to import `open` from.
 */

const [folder = '', module = ''] = process.argv.slice(2);
const { open, deleteDatabase } = (await import(module)) as typeof import('../../src/node.ts');

function check(condition: boolean, what: string): void {
  if (!condition) throw new Error(`${what} is wrong`);
}

async function codeOf(call: Promise<unknown>): Promise<string> {
  return call.then(
    () => 'no error',
    (error: { code?: string }) => String(error.code),
  );
}

const dimension = 48;
const count = 3000;
const vectors = Float32Array.from({ length: count * dimension }, (_, i) => Math.sin(i * 0.37));
const row = (i: number): Float32Array => vectors.slice(i * dimension, (i + 1) * dimension);

let db = await open(folder);
await db.createSpace('texts', 'key-value');
await db.createSpace('drafts', 'key-value', { durability: 'relaxed' });
await db.createSpace('vectors', 'vector', { dimension, indexType: 'HNSW16', metric: 'Cosine' });
await db.put('greeting', 'こんにちは', { space: 'texts' });
await Promise.all(
  Array.from({ length: 500 }, (_, i) => db.put(`draft ${i}`, new Uint8Array([i % 256]), { space: 'drafts' })),
);
const ids = Array.from({ length: count }, (_, i) => i);
await db.insertVectors(ids, vectors, { space: 'vectors' });
await db.waitForIndex({ space: 'vectors' });
const [hit] = await db.searchTopK(row(1234), 1, { space: 'vectors' });
check(hit?.id === 1234, 'the nearest vector');
// A second session on the same database: its own space and user, the same data.
const second = await open(folder);
await second.useSpace('texts');
check((await second.get('greeting')) === 'こんにちは', 'what a second open sees');
await second.close();
check((await codeOf(db.get('x', { space: 'vectors' }))) === 'WRONG_ENGINE', 'the error for a wrong engine');
const { build, storage } = await db.stats();
check(storage === 'files', 'the storage');
await db.close();

db = await open(folder, { create: false });
check((await db.get('greeting', { space: 'texts' })) === 'こんにちは', 'the text');
let drafts = 0;
for await (const { value } of db.scan({ space: 'drafts', prefix: 'draft ' }))
  if (value.length === 1) drafts++;
check(drafts === 500, 'the number of drafts');
check((await db.countVectors({ space: 'vectors' })) === count, 'the number of vectors');
check((await db.describeSpace('vectors')).index?.linked === count, 'the number of linked vectors');
const found = await db.getVector(7, { space: 'vectors' });
check(found?.join() === row(7).join(), 'a vector');
const [again] = await db.searchTopK(row(99), 1, { space: 'vectors' });
check(again?.id === 99, 'the nearest vector after opening');
await db.deleteSpace('drafts');
await db.close();
await deleteDatabase(folder);
check(
  (await codeOf(open(folder, { create: false }))) === 'STORAGE_UNAVAILABLE',
  'what is left after deleting',
);
console.log(`fine, build ${build}`);
