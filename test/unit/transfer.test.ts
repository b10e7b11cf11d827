/**
 * Export and import: what comes back is what was there, whatever the size of the pieces; a hostile or damaged stream is refused
 * with a typed error, and a stream that ends early leaves exactly what it says it left.
 */

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import type { Database, VectorData } from '../../src/api/database.ts';
import { isShibuDbError } from '../../src/api/errors.ts';
import { CoreInstance } from '../../src/kernel/instance.ts';
import { encodeInsertInts, encodePut } from '../../src/space/operation.ts';
import { EnvelopeKind, envelopeHeaderBytes, seal } from '../../src/storage/envelope.ts';
import { MemoryBackend } from '../../src/storage/memory-backend.ts';
import { nodeCore, openNodeDatabase } from '../support/node-database.ts';
import { Random } from '../support/random.ts';

const seed = Number(process.env.SHIBUMI_TEST_SEED ?? Date.now() % 2 ** 31);
/** `npm run test:fuzz` asks for more. */
const hostileRounds = Number(process.env.SHIBUMI_FUZZ_ROUNDS ?? 400);
let clock = 1_000_000;

const open = (): Promise<Database> =>
  openNodeDatabase('transfer', { backend: new MemoryBackend(), wallClock: () => clock });

const tool = new CoreInstance(nodeCore());
tool.exports.arena_init(4096);
const checksum = (bytes: Uint8Array): bigint => tool.checksum(bytes);

async function filled(): Promise<Database> {
  const db = await open();
  const random = new Random(1);
  await db.createSpace('kv', 'key-value', { durability: 'relaxed' });
  await db.createSpace('empty', 'key-value');
  await db.createSpace('ints', 'vector', { dimension: 7, indexType: 'HNSW8', metric: 'Cosine', seed: 9 });
  await db.createSpace('strings', 'vector', { dimension: 5, ids: 'string' });
  await db.createSpace('bits', 'vector', { dimension: 11, metric: 'Hamming' });
  for (let i = 0; i < 700; i++)
    await db.put(`k${i} é 😀`, i % 2 === 0 ? `text ${i}` : random.bytes(i), { space: 'kv' });
  await db.put('large', random.bytes(3_000_000), { space: 'kv' });
  await db.put('nothing', '', { space: 'kv' });
  await db.put('soon', 'gone', { space: 'kv', ttlMs: 5000 });
  await db.put('later', 'there', { space: 'kv', ttlMs: 50_000 });
  const ids = [0, -5, 2 ** 40, 9007199254740993n, ...Array.from({ length: 900 }, (_, i) => i + 1)];
  await db.insertVectors(ids, random.vectors(ids.length * 7), { space: 'ints' });
  const names = Array.from({ length: 300 }, (_, i) => `id ${i} ü`);
  await db.insertVectors(names, random.vectors(names.length * 5), { space: 'strings' });
  for (let i = 0; i < 40; i++) await db.insertVector(i, new Uint8Array([i * 3, i % 8]), { space: 'bits' });
  return db;
}

async function contentsOf(db: Database): Promise<string> {
  const all: unknown[] = [];
  for (const space of await db.listSpaces()) {
    all.push(space);
    const handle = db.space(space.name);
    if (space.engine === 'key-value') {
      for await (const { key, value } of handle.scan()) {
        all.push([key, typeof value, Buffer.from(value).toString('base64'), await handle.ttl(key)]);
      }
    } else {
      for await (const { id, vector } of handle.scanVectors()) all.push([String(id), bytesOf(vector)]);
    }
  }
  return JSON.stringify(all, (_, value) => (value === Number.POSITIVE_INFINITY ? 'never' : value));
}

const bytesOf = (data: VectorData): string =>
  Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString('hex');

async function exported(db: Database): Promise<Uint8Array> {
  const pieces: Uint8Array[] = [];
  await db.exportTo(new WritableStream({ write: (piece) => void pieces.push(piece) }));
  return new Uint8Array(Buffer.concat(pieces));
}

function streamOf(bytes: Uint8Array, pieceBytes: () => number): ReadableStream<Uint8Array> {
  let at = 0;
  return new ReadableStream({
    pull(controller) {
      if (at >= bytes.length) return controller.close();
      const end = Math.min(bytes.length, at + pieceBytes());
      controller.enqueue(bytes.subarray(at, end));
      at = end;
    },
  });
}

const whole = (bytes: Uint8Array): ReadableStream<Uint8Array> => streamOf(bytes, () => bytes.length);

test('what is imported is what was exported, in pieces of any size', async () => {
  const source = await filled();
  const expected = await contentsOf(source);
  const bytes = await exported(source);
  const random = new Random(seed);
  for (const pieceBytes of [() => bytes.length, () => 1 + random.below(5000), () => 65_536]) {
    const target = await open();
    const done: number[] = [];
    const { spaces } = await target.importFrom(streamOf(bytes, pieceBytes), {
      onProgress: ({ done: count, total }) => {
        assert.ok(count <= total);
        done.push(count);
      },
    });
    assert.deepEqual(spaces, ['kv', 'empty', 'ints', 'strings', 'bits']);
    assert.equal(await contentsOf(target), expected);
    assert.ok(done.at(-1) !== undefined && done.at(-1) === Math.max(...done));
    await target.waitForIndex({ space: 'ints' });
    // And once more round: the same bytes.
    assert.deepEqual(await exported(target), bytes);
  }
});

test("the format page's example of an export is what is written", async () => {
  const page = readFileSync(path.resolve(import.meta.dirname, '../../docs/format.md'), 'utf8');
  const example = /<!-- example: empty export -->\n((?: {4}[0-9a-f ]+\n)+)/.exec(page)?.[1] ?? '';
  assert.equal(example.replace(/\s/g, ''), Buffer.from(await exported(await open())).toString('hex'));
});

test('what has expired on the way is not there', async () => {
  const bytes = await exported(await filled());
  clock += 6000;
  const target = await open();
  await target.importFrom(whole(bytes));
  assert.equal(await target.get('soon', { space: 'kv' }), undefined);
  assert.equal(await target.get('later', { space: 'kv' }), 'there');
  assert.equal(await target.ttl('later', { space: 'kv' }), 44_000);
});

test('some of the spaces; one that is there already; what is no stream', async () => {
  const source = await filled();
  const pieces: Uint8Array[] = [];
  const sink = (): WritableStream<Uint8Array> =>
    new WritableStream({ write: (piece) => void pieces.push(piece) });
  await source.exportTo(sink(), { spaces: ['strings', 'empty'] });
  const bytes = new Uint8Array(Buffer.concat(pieces));
  const target = await open();
  await target.createSpace('empty', 'key-value');
  await assert.rejects(target.importFrom(whole(bytes)), { code: 'SPACE_EXISTS' });
  assert.deepEqual(
    (await target.listSpaces()).map(({ name }) => name),
    ['empty'],
  );
  await target.deleteSpace('empty');
  assert.deepEqual((await target.importFrom(whole(bytes))).spaces, ['strings', 'empty']);
  await assert.rejects(source.exportTo(sink(), { spaces: ['nowhere'] }), { code: 'SPACE_NOT_FOUND' });
  await assert.rejects(source.exportTo({} as WritableStream), { code: 'INVALID_ARGUMENT' });
  await assert.rejects(target.importFrom({} as ReadableStream), { code: 'INVALID_ARGUMENT' });
});

test('an aborted export aborts its stream; an aborted import leaves what was acknowledged', async () => {
  const source = await filled();
  const stop = new AbortController();
  let aborted: unknown;
  const sink = new WritableStream<Uint8Array>({
    write: () => stop.abort(),
    abort: (reason) => {
      aborted = reason;
    },
  });
  await assert.rejects(source.exportTo(sink, { signal: stop.signal }), { code: 'ABORTED' });
  assert.ok(isShibuDbError(aborted));
  // A sink that fails ends it as well.
  const failing = new WritableStream<Uint8Array>({
    write: () => Promise.reject(new Error('the disk is full')),
  });
  await assert.rejects(source.exportTo(failing), /the disk is full/);

  const bytes = await exported(source);
  const target = await open();
  const halt = new AbortController();
  const importing = target.importFrom(
    streamOf(bytes, () => 100_000),
    {
      signal: halt.signal,
      onProgress: ({ done }) => done > 0 && halt.abort(),
    },
  );
  await assert.rejects(importing, { code: 'ABORTED' });
  // The sessions have forgotten both: another of each goes through.
  assert.equal((await exported(source)).length, bytes.length);
  const other = await open();
  await other.importFrom(whole(bytes));
});

test('a stream that breaks off says how much of it is stored', async () => {
  const source = await filled();
  const bytes = await exported(source);
  const random = new Random(seed);
  for (let round = 0; round < 25; round++) {
    const target = await open();
    const cut = bytes.subarray(0, random.below(bytes.length));
    const error = await target.importFrom(whole(cut)).then(
      () => assert.fail('it was taken for whole'),
      (reason: unknown) => reason,
    );
    assert.ok(isShibuDbError(error) && error.code === 'CORRUPTION', String(error));
    let stored = 0;
    for (const { name } of await target.listSpaces()) stored += (await target.describeSpace(name)).count;
    assert.equal(stored, error.details.acknowledged, `SHIBUMI_TEST_SEED=${seed}`);
  }
});

const cheap = { passwordCost: { N: 16, r: 8, p: 1 } };

/** A database with a space, an admin and a user, and somebody who is signed in. */
async function peopled(name: string): Promise<Database> {
  const db = await openNodeDatabase(name, { backend: new MemoryBackend(), settings: cheap });
  await db.createUser({ username: `${name} admin`, password: `${name} 1`, role: 'admin' });
  await db.authenticate(`${name} admin`, `${name} 1`);
  const permissions = { [name]: 'write' } as const;
  await db.createUser({ username: `${name} user`, password: `${name} 2`, permissions });
  await db.createSpace(name, 'key-value');
  await db.put('k', name, { space: name });
  return db;
}

async function exportedWith(db: Database, users: boolean): Promise<Uint8Array> {
  const pieces: Uint8Array[] = [];
  await db.exportTo(new WritableStream({ write: (piece) => void pieces.push(piece) }), { users });
  return new Uint8Array(Buffer.concat(pieces));
}

test('users travel where both sides ask for them, with their passwords and rights, and never otherwise', async () => {
  const source = await peopled('source');
  const bytes = await exportedWith(source, true);
  const text = Buffer.from(bytes).toString('latin1');
  assert.ok(text.includes('source user') && !text.includes('source 2'));
  assert.ok(
    !Buffer.from(await exported(source))
      .toString('latin1')
      .includes('source user'),
  );

  const empty = await openNodeDatabase('empty', { backend: new MemoryBackend(), settings: cheap });
  assert.deepEqual(await empty.importFrom(whole(bytes), { users: true }), {
    spaces: ['source'],
    users: ['source admin', 'source user'],
  });
  await assert.rejects(empty.listSpaces(), { code: 'NOT_AUTHENTICATED' });
  await assert.rejects(empty.authenticate('source user', 'source 1'), { code: 'INVALID_CREDENTIALS' });
  await empty.authenticate('source user', 'source 2');
  assert.equal(await empty.get('k', { space: 'source' }), 'source');
  await assert.rejects(empty.createSpace('more', 'key-value'), { code: 'PERMISSION_DENIED' });
  await empty.authenticate('source admin', 'source 1');
  assert.deepEqual(await empty.listUsers(), await source.listUsers());

  const unasked = await openNodeDatabase('unasked', { backend: new MemoryBackend() });
  assert.deepEqual(await unasked.importFrom(whole(bytes)), { spaces: ['source'], users: [] });
  await assert.rejects(unasked.authenticate('source admin', 'source 1'), { code: 'NO_USERS' });
});

test('users are added to those there are; a name that is taken, or no admin, and nothing is imported', async () => {
  const bytes = await exportedWith(await peopled('source'), true);
  const target = await peopled('target');
  await target.importFrom(whole(bytes), { users: true });
  const names = (await target.listUsers()).map(({ username }) => username);
  assert.deepEqual(names, ['source admin', 'source user', 'target admin', 'target user']);
  assert.equal(await target.get('k', { space: 'source' }), 'source');

  await target.deleteSpace('source');
  await assert.rejects(target.importFrom(whole(bytes), { users: true }), { code: 'USER_EXISTS' });
  assert.deepEqual(
    (await target.listSpaces()).map(({ name }) => name),
    ['target'],
  );
  assert.equal((await target.listUsers()).length, 4);

  // A user may import nobody: that is for admins.
  await target.authenticate('target user', 'target 2');
  await assert.rejects(target.importFrom(whole(bytes), { users: true }), { code: 'PERMISSION_DENIED' });

  const plain = await openNodeDatabase('plain', { backend: new MemoryBackend() });
  await assert.rejects(plain.importFrom(whole(usersOnly([storedUser({ role: 'user' })])), { users: true }), {
    code: 'INVALID_ARGUMENT',
  });
  assert.deepEqual((await plain.listSpaces()).length, 0);
});

const salt = 'A'.repeat(22);
const hash = 'A'.repeat(43);
const scrypt = { scheme: 'scrypt', N: 16, r: 8, p: 1, salt, hash };
const storedUser = (facts: object = {}): object => {
  return { username: 'root', role: 'admin', permissions: {}, password: scrypt, ...facts };
};

/** A whole export of nothing but these. */
function usersOnly(users: unknown): Uint8Array {
  return new Uint8Array(
    Buffer.concat([
      frame(EnvelopeKind.ExportBegin, 0, json({ version: 1, spaces: [] })),
      frame(EnvelopeKind.ExportUsers, 1, json({ users })),
      frame(EnvelopeKind.ExportEnd, 2, json({ spaces: 0 })),
    ]),
  );
}

test('lies about users: refused whether they are asked for or not, and nobody is there afterwards', async () => {
  const withPassword = (facts: object): object[] => [storedUser({ password: { ...scrypt, ...facts } })];
  const lies: Record<string, unknown> = {
    'no list': 'root',
    nobody: [],
    'no object': [7],
    'a name twice': [storedUser(), storedUser()],
    'an empty name': [storedUser({ username: '' })],
    'a name of no text': [storedUser({ username: ['root'] })],
    'half a character': [storedUser({ username: '\ud800' })],
    'another role': [storedUser({ role: 'owner' })],
    'another permission': [storedUser({ permissions: { kv: 'all' } })],
    'permissions for everything': [storedUser({ permissions: ['kv'] })],
    'a field nobody knows': [storedUser({ token: 'x' })],
    'no password': [storedUser({ password: undefined })],
    'a password in the clear': [storedUser({ password: 'secret' })],
    'another scheme': withPassword({ scheme: 'md5' }),
    'a login that takes for ever': withPassword({ N: 2 ** 30 }),
    'a login that takes all memory': withPassword({ N: 2 ** 20, r: 32 }),
    'many rounds': withPassword({ p: 1e6 }),
    'N that is no power of two': withPassword({ N: 1000 }),
    'a cost of nothing': withPassword({ N: 1 }),
    'a short hash': withPassword({ hash: 'AAAA' }),
    'a hash that is none': withPassword({ hash: '?'.repeat(43) }),
    'a salt of nothing': withPassword({ salt: '' }),
    'a salt without end': withPassword({ salt: 'A'.repeat(100_000) }),
  };
  for (const [name, users] of Object.entries(lies))
    for (const asked of [true, false]) {
      const db = await open();
      await assert.rejects(
        db.importFrom(whole(usersOnly(users)), { users: asked }),
        { code: 'CORRUPTION' },
        name,
      );
      await assert.rejects(db.authenticate('root', 'x'), { code: 'NO_USERS' }, name);
    }
  const twice = [1, 2].map((number) =>
    frame(EnvelopeKind.ExportUsers, number, json({ users: [storedUser()] })),
  );
  const begin = frame(EnvelopeKind.ExportBegin, 0, json({ version: 1, spaces: [] }));
  for (const frames of [
    [begin, ...twice],
    [frame(EnvelopeKind.ExportUsers, 0, json({ users: [storedUser()] }))],
  ])
    await assert.rejects((await open()).importFrom(whole(new Uint8Array(Buffer.concat(frames)))), {
      code: 'CORRUPTION',
    });
  const db = await open();
  assert.deepEqual((await db.importFrom(whole(usersOnly([storedUser()])), { users: true })).users, ['root']);
});

test('hostile bytes in a stream with users: a typed error, or users that are sound', async (t) => {
  t.diagnostic(`SHIBUMI_TEST_SEED=${seed}`);
  const random = new Random(seed);
  const bytes = await exportedWith(await peopled('source'), true);
  const target = await peopled('target');
  for (let round = 0; round < hostileRounds; round++) {
    const evil = bytes.slice();
    for (let n = 1 + random.below(3); n > 0; n--) evil[random.below(evil.length)] = random.below(256);
    const where = `SHIBUMI_TEST_SEED=${seed}, round ${round}`;
    let added: string[] = [];
    try {
      added = (await target.importFrom(whole(round % 4 === 0 ? evil : resealed(evil)), { users: true }))
        .users;
    } catch (error) {
      const codes = ['CORRUPTION', 'VERSION_MISMATCH', 'INVALID_ARGUMENT', 'USER_EXISTS'];
      if (!isShibuDbError(error) || !codes.includes(error.code)) throw new Error(where, { cause: error });
    }
    assert.ok((await target.verify()).ok, where);
    assert.equal((await target.listUsers()).length, 2 + added.length, where);
    for (const username of added) await target.deleteUser(username);
    for (const { name } of await target.listSpaces()) if (name !== 'target') await target.deleteSpace(name);
  }
});

test('hostile bytes: any damage is a typed error, nothing wrong is stored', {
  timeout: 600_000,
}, async (t) => {
  t.diagnostic(`SHIBUMI_TEST_SEED=${seed}`);
  const random = new Random(seed);
  const small = await open();
  await small.createSpace('kv', 'key-value');
  await small.createSpace('v', 'vector', { dimension: 2, ids: 'string', indexType: 'HNSW4' });
  for (let i = 0; i < 10; i++) {
    await small.put(`key ${i}`, `value ${i}`, { space: 'kv', ttlMs: 1e9 });
    await small.insertVector(`id ${i}`, [i, -i], { space: 'v' });
  }
  const bytes = await exported(small);
  for (let round = 0; round < hostileRounds; round++) {
    const evil = bytes.slice();
    for (let n = 1 + random.below(3); n > 0; n--) evil[random.below(evil.length)] = random.below(256);
    // In every other round the attacker is clever enough to make the checksums right.
    const stream = round % 2 === 0 ? evil : resealed(evil);
    const target = await open();
    try {
      await target.importFrom(whole(stream));
    } catch (error) {
      const codes = ['CORRUPTION', 'VERSION_MISMATCH', 'INVALID_ARGUMENT', 'OUT_OF_MEMORY'];
      if (!isShibuDbError(error) || !codes.includes(error.code))
        throw new Error(`SHIBUMI_TEST_SEED=${seed}, round ${round}`, { cause: error });
    }
    // Whatever was taken is a sound database.
    const report = await target.verify();
    assert.ok(report.ok, `SHIBUMI_TEST_SEED=${seed}, round ${round}: ${JSON.stringify(report)}`);
    await contentsOf(target);
    await target.close();
  }
});

test('lies with right checksums: sizes, counts, order, kinds', async () => {
  const begin = frame(EnvelopeKind.ExportBegin, 0, json({ version: 1, spaces: [{ name: 's', count: 1 }] }));
  const space = (facts: object): Uint8Array =>
    frame(EnvelopeKind.ExportSpace, 1, json({ name: 's', engine: 'key-value', ...facts }));
  const vectors = space({ engine: 'vector', dimension: 2, ids: 'int' });
  const operations = (...parts: Uint8Array[]): Uint8Array =>
    frame(EnvelopeKind.ExportOperations, 2, new Uint8Array(Buffer.concat(parts)));
  const end = frame(EnvelopeKind.ExportSpaceEnd, 3, json({ count: 1 }));
  const last = frame(EnvelopeKind.ExportEnd, 4, json({}));
  const put = encodePut('key', 'value').slice();
  const longKey = patched(put, 8, 0xffffffff);
  const longBody = patched(put, 4, 0xfffffff0);
  const insert = encodeInsertInts(BigInt64Array.of(1n), Float32Array.of(1, 2));
  const lies: Record<string, Uint8Array[]> = {
    'an absurd length': [patched(begin, 8, 0x7fffffff)],
    'another magic number': [patched(begin, 0, 1)],
    'a newer version of the stream': [frame(EnvelopeKind.ExportBegin, 0, json({ version: 2, spaces: [] }))],
    'spaces that are none': [frame(EnvelopeKind.ExportBegin, 0, json({ version: 1, spaces: 'all' }))],
    'no JSON': [frame(EnvelopeKind.ExportBegin, 0, new Uint8Array([0xff]))],
    'a space twice': [
      frame(
        EnvelopeKind.ExportBegin,
        0,
        json({
          version: 1,
          spaces: [
            { name: 's', count: 0 },
            { name: 's', count: 0 },
          ],
        }),
      ),
    ],
    'frames in another order': [begin, operations(put)],
    'a number left out': [
      begin,
      frame(EnvelopeKind.ExportSpace, 2, json({ name: 's', engine: 'key-value' })),
    ],
    'another space': [begin, frame(EnvelopeKind.ExportSpace, 1, json({ name: 't', engine: 'key-value' }))],
    'an option nobody knows': [begin, space({ shape: 'round' })],
    'an absurd dimension': [begin, space({ engine: 'vector', dimension: 1e9 })],
    'an operation longer than its frame': [begin, space({}), operations(longBody)],
    'a key longer than its operation': [begin, space({}), operations(longKey)],
    'an empty key': [begin, space({}), operations(encodePut('', 'value').slice())],
    'a vector among entries': [begin, space({}), operations(insert)],
    'an entry among vectors': [begin, vectors, operations(put)],
    'a deletion': [begin, space({}), operations(patchedByte(put, 0, 2))],
    'flags nobody knows': [begin, space({}), operations(patchedByte(put, 1, 0x80))],
    'a deadline without room': [
      begin,
      space({}),
      operations(patchedByte(encodePut('key', 'v').slice(), 1, 2)),
    ],
    'text that is no UTF-8': [begin, space({}), operations(patchedByte(put, 16, 0xff))],
    'more ids than there are': [begin, vectors, operations(patched(insert, 8, 0xffffffff))],
    'a NaN': [
      begin,
      vectors,
      operations(encodeInsertInts(BigInt64Array.of(1n), Float32Array.of(Number.NaN, 1))),
    ],
    'too few components': [
      begin,
      vectors,
      operations(encodeInsertInts(BigInt64Array.of(1n), Float32Array.of(1))),
    ],
    'a wrong count': [begin, space({}), operations(put, put), end],
    'an end in the middle': [begin, space({}), frame(EnvelopeKind.ExportEnd, 2, json({}))],
    'something behind the end': [begin, space({}), operations(put), end, last, new Uint8Array([1])],
    nothing: [],
  };
  for (const [name, frames] of Object.entries(lies)) {
    const db = await open();
    const stream = whole(new Uint8Array(Buffer.concat(frames)));
    await assert.rejects(
      db.importFrom(stream),
      (error) =>
        isShibuDbError(error) && ['CORRUPTION', 'VERSION_MISMATCH', 'INVALID_ARGUMENT'].includes(error.code),
      name,
    );
    assert.ok((await db.verify()).ok, name);
  }
  const db = await open();
  await db.importFrom(whole(new Uint8Array(Buffer.concat([begin, space({}), operations(put), end, last]))));
  assert.equal(await db.get('key', { space: 's' }), 'value');
});

function json(value: unknown): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(value));
}

function frame(kind: number, number: number, body: Uint8Array): Uint8Array {
  const buffer = new Uint8Array(envelopeHeaderBytes + 8 + body.length);
  new DataView(buffer.buffer).setUint32(envelopeHeaderBytes, number, true);
  buffer.set(body, envelopeHeaderBytes + 8);
  return seal(buffer, kind as 16, checksum);
}

function patched(bytes: Uint8Array, at: number, value: number): Uint8Array {
  const copy = bytes.slice();
  new DataView(copy.buffer).setUint32(at, value, true);
  return copy;
}

function patchedByte(bytes: Uint8Array, at: number, value: number): Uint8Array {
  const copy = bytes.slice();
  copy[at] = value;
  return copy;
}

/** Makes the checksum of every frame right, as far as the lengths lead. */
function resealed(bytes: Uint8Array): Uint8Array {
  const view = new DataView(bytes.buffer);
  for (let at = 0; at + envelopeHeaderBytes <= bytes.length; ) {
    const length = view.getUint32(at + 8, true);
    if (at + envelopeHeaderBytes + length > bytes.length) break;
    const part = bytes.slice(at, at + envelopeHeaderBytes + length);
    bytes.set(seal(part, new DataView(part.buffer).getUint16(6, true) as 16, checksum), at);
    at += part.length;
  }
  return bytes;
}
