/**
 * Encryption at rest, over the bytes that are stored: nothing readable is among them, none of them can be changed, moved or
 * put back one by one unnoticed, and which secrets open a database.
 */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Database, Encryption } from '../../src/api/database.ts';
import { isShibuDbError } from '../../src/api/errors.ts';
import { encodeEncryptedCatalog, findKeyRecord } from '../../src/storage/encryption/encrypted-catalog.ts';
import { createKey, type KeyRecord, parseKeyRecord } from '../../src/storage/encryption/key-record.ts';
import { RecordCipher } from '../../src/storage/encryption/record-cipher.ts';
import { EnvelopeKind, seal } from '../../src/storage/envelope.ts';
import { MemoryBackend, MemoryDisk } from '../../src/storage/memory-backend.ts';
import { Faults, realTime } from '../crash/faults.ts';
import { CrashDisk, FaultyBackend } from '../crash/faulty-backend.ts';
import { checksum } from '../node/places.ts';
import { rejects } from '../support/check.ts';
import { cloneDisk } from '../support/clone-disk.ts';
import { openNodeDatabase } from '../support/node-database.ts';
import { Random } from '../support/random.ts';

const seed = Number(process.env.SHIBUMI_TEST_SEED ?? 11);
const secret: Encryption = { password: 'correct horse battery staple' };
const key: Encryption = { key: new Uint8Array(32).fill(7) };

const plainly = null;

function open(disk: MemoryDisk, encryption: Encryption | null = key): Promise<Database> {
  const backend = new MemoryBackend(disk);
  return openNodeDatabase('encrypted', { backend, encryption: encryption ?? undefined });
}

const dimension = 16;
const vector = Float32Array.from({ length: dimension }, (_, i) => Math.fround(i * 1.2345 + 0.5));
const largeText = 'a long story, told again and again; '.repeat(10_000);

/** Blocks and log records of every kind: two spaces, users, a large value, metadata, what came behind the checkpoint. */
async function fill(db: Database): Promise<void> {
  await db.createSpace('private letters', 'key-value');
  await db.createSpace('faces of friends', 'vector', {
    dimension,
    indexType: 'HNSW8',
    metadataFields: [{ name: 'district', type: 'string' }],
  });
  await db.put('letter to anna', 'dearest anna', { space: 'private letters' });
  await db.put('the novel', largeText, { space: 'private letters' });
  await db.insertVector(1, vector, {
    space: 'faces of friends',
    metadata: { district: 'harbour', nick: 'anni' },
  });
  await db.insertVector(2, vector.toReversed(), { space: 'faces of friends' });
  await db.waitForIndex({ space: 'faces of friends' });
  await db.checkpoint();
  await db.put('letter to bert', 'dear bert', { space: 'private letters' });
  await db.put('letter to carl', 'dear carl', { space: 'private letters' });
  await db.insertVector(3, vector, { space: 'faces of friends', metadata: { district: 'market' } });
}

/** What must come back, or not at all. */
async function readAll(db: Database): Promise<unknown> {
  const letters = await Array.fromAsync(db.scan({ space: 'private letters' }));
  const faces = await Array.fromAsync(db.scanVectors({ space: 'faces of friends' }));
  const nearest = await db.searchTopK(vector, 3, { space: 'faces of friends', where: 'district = harbour' });
  return { letters, faces, nearest, names: (await db.listSpaces()).map(({ name }) => name) };
}

async function filled(encryption: Encryption | null = key): Promise<MemoryDisk> {
  const disk = new MemoryDisk();
  const db = await open(disk, encryption);
  await fill(db);
  // Not closed: a last checkpoint would leave no log behind.
  return cloneDisk(disk);
}

interface Stored {
  readonly what: string;
  readonly bytes: Uint8Array;
  replace(disk: MemoryDisk, bytes: Uint8Array): void;
}

/** Every record on a disk, with a way to put another in its place on a copy of it. */
function recordsOf(disk: MemoryDisk): Stored[] {
  const records: Stored[] = [];
  const add = (what: string, bytes: Uint8Array | undefined, replace: Stored['replace']): void => {
    if (bytes !== undefined) records.push({ what, bytes, replace });
  };
  add('catalog', disk.catalog, (on, bytes) => {
    on.catalog = bytes;
  });
  add('catalog copy', disk.catalogCopy, (on, bytes) => {
    on.catalogCopy = bytes;
  });
  for (const [id, space] of disk.spaces) {
    add(`manifest ${id}`, space.manifest, (on, bytes) => {
      on.space(id).manifest = bytes;
    });
    add(`manifest copy ${id}`, space.manifestCopy, (on, bytes) => {
      on.space(id).manifestCopy = bytes;
    });
    for (const [name, block] of space.blocks)
      add(`block ${id}/${name}`, block.bytes, (on, bytes) =>
        on.space(id).blocks.set(name, { ...block, bytes }),
      );
    for (const [i, entry] of space.log.entries())
      add(`log record ${id}/${entry.sequence}`, entry.bytes, (on, bytes) => {
        on.space(id).log = on.space(id).log.with(i, { ...entry, bytes });
      });
  }
  return records;
}

test('nothing that is stored can be read: keys, values, names, users, vectors, metadata', async () => {
  const needles = [
    'letter to',
    'dear',
    'private',
    'faces',
    'a long story',
    'district',
    'harbour',
    'anni',
    'market',
  ]
    .concat('ann.admin', 'admin', 'scrypt$', 'key-value', 'HNSW', 'nextId', 'SHIBUKEV', 'SHIBUVEC')
    .map((text) => Buffer.from(text))
    .concat([vector, vector.toReversed()].map((each) => Buffer.from(each.slice(3, 6).buffer)));
  const found = async (encryption: Encryption | null): Promise<string[]> => {
    const disk = await filled(encryption);
    const db = await open(disk, encryption);
    await db.createUser({ username: 'ann.admin', password: 'pw', role: 'admin' });
    const all = recordsOf(disk).map(({ bytes }) => Buffer.from(bytes));
    return needles.filter((needle) => all.some((bytes) => bytes.includes(needle))).map(String);
  };
  assert.deepEqual(await found(key), []);
  assert.deepEqual(await found(secret), []);
  // The search does find them where they are.
  assert.equal((await found(plainly)).length, needles.length - 1, 'all but the one that nobody writes');
});

test('every stored record: a flipped bit and a lost end are damage or make no difference', async () => {
  const disk = await filled();
  const expected = await readAll(await open(cloneDisk(disk)));
  const random = new Random(seed);
  let damaged = 0;
  for (const { what, bytes, replace } of recordsOf(disk)) {
    const flipped = bytes.slice();
    const at = random.below(bytes.length);
    flipped[at] = (flipped[at] as number) ^ (1 << random.below(8));
    for (const changed of [flipped, bytes.slice(0, random.below(bytes.length))]) {
      const copy = cloneDisk(disk);
      replace(copy, changed);
      const seen = await open(copy)
        .then(readAll)
        .catch((error: unknown) => {
          assert.ok(isShibuDbError(error) && error.code === 'CORRUPTION', `${what}, seed ${seed}: ${error}`);
          return undefined;
        });
      if (seen === undefined) damaged++;
      else assert.deepEqual(seen, expected, `${what}, seed ${seed}`);
      const report = await open(copy).then((db) => db.verify());
      assert.equal(report.ok, false, `verify misses ${what}, seed ${seed}`);
    }
  }
  assert.ok(damaged > 0, `${damaged} damaged`);
});

test('a sound record in the place of another is damage: blocks, generations, manifests, log records, copies of the past', async () => {
  const disk = await filled();
  const later = cloneDisk(disk);
  const db = await open(later);
  await db.put('letter to anna', 'goodbye anna', { space: 'private letters' });
  await db.checkpoint();
  const expected = await readAll(await open(cloneDisk(later)));
  const now = recordsOf(later);
  const kindOf = ({ what }: Stored): string => what.split(' ').slice(0, -1).join(' ') || what;
  let swaps = 0;
  for (const [i, a] of now.entries()) {
    const others = [...now.slice(i + 1), ...recordsOf(disk).filter(({ what }) => what !== a.what)];
    const b = others.find((other) => kindOf(other) === kindOf(a) && !sameBytes(other.bytes, a.bytes));
    if (b === undefined || kindOf(a).includes('catalog')) continue;
    const copy = cloneDisk(later);
    a.replace(copy, b.bytes);
    swaps++;
    const seen = await open(copy)
      .then(readAll)
      .catch((error: unknown) => {
        assert.ok(isShibuDbError(error) && error.code === 'CORRUPTION', `${b.what} as ${a.what}: ${error}`);
        return undefined;
      });
    // A copy counts only where the first is damaged, and derived blocks are made again.
    if (seen !== undefined) assert.deepEqual(seen, expected, `${b.what} as ${a.what}`);
    assert.equal((await open(copy).then((each) => each.verify())).ok, false, `${b.what} as ${a.what}`);
  }
  assert.ok(swaps > 5, `${swaps} swaps`);
});

test('a record of another database, or a plain one, is damage, whatever its place', async () => {
  const [one, other, plain] = [await filled(), await filled(), await filled(plainly)];
  for (const stranger of [other, plain]) {
    const copy = cloneDisk(one);
    copy.space(1).log = stranger.space(1).log;
    await rejects((await open(copy)).get('letter to bert', { space: 'private letters' }), 'CORRUPTION');
  }
  const copy = cloneDisk(one);
  copy.catalog = other.catalog;
  copy.catalogCopy = other.catalogCopy;
  await rejects(async () => (await open(copy)).get('the novel', { space: 'private letters' }), 'CORRUPTION');
});

test('an older state that is put back as a whole opens: no storage can tell by itself', async () => {
  const before = await filled();
  const db = await open(cloneDisk(before));
  await db.put('letter to anna', 'goodbye anna', { space: 'private letters' });
  const back = await open(cloneDisk(before));
  assert.equal(await back.get('letter to anna', { space: 'private letters' }), 'dearest anna');
});

test('a wrong secret of any kind is one and the same AuthenticationError, and changes nothing', async () => {
  const aes = (usages: KeyUsage[], name = 'AES-GCM'): Promise<CryptoKey> =>
    crypto.subtle.importKey('raw', new Uint8Array(32).fill(9), name, false, usages);
  const secrets: Encryption[] = [
    secret,
    key,
    { key: await aes(['encrypt', 'decrypt']) },
    { key: await aes(['wrapKey', 'unwrapKey']) },
    { key: await aes(['wrapKey', 'unwrapKey'], 'AES-KW') },
  ];
  const messages = new Set<string>();
  for (const [i, right] of secrets.entries()) {
    const disk = new MemoryDisk();
    await (await open(disk, right)).createSpace('kv', 'key-value');
    const { catalog } = disk;
    for (const [j, wrong] of [
      ...secrets,
      { password: 'correct horse' },
      { key: new Uint8Array(32) },
    ].entries()) {
      // One AES-GCM key that may encrypt or wrap is one key.
      const isSame = i === j || (i + j === 5 && i >= 2 && j >= 2);
      if (isSame) await (await open(disk, wrong)).put('a', 'b', { space: 'kv' });
      else messages.add((await rejects(open(disk, wrong), 'INVALID_CREDENTIALS')).message);
    }
    assert.deepEqual(disk.catalog, catalog);
  }
  assert.equal(messages.size, 1);
});

test('a password counts in normal form, whichever way it is composed', async () => {
  const disk = new MemoryDisk();
  await (await open(disk, { password: 'caf\u00e9' })).createSpace('kv', 'key-value');
  const db = await open(disk, { password: 'cafe\u0301' });
  assert.equal((await db.listSpaces()).length, 1);
  assert.equal((await db.stats()).encrypted, true);
});

test('encrypted without a secret, and plain with one, are refused by name and left as they are', async () => {
  const encrypted = await filled();
  const plain = await filled(plainly);
  const before = [encrypted, plain].map(({ catalog }) => catalog);
  await rejects(
    openNodeDatabase('x', { backend: new MemoryBackend(encrypted) }),
    'ENCRYPTED',
    /\{ encryption \}/,
  );
  await rejects(open(plain), 'NOT_ENCRYPTED', /without \{ encryption \}/);
  assert.deepEqual(
    [encrypted, plain].map(({ catalog }) => catalog),
    before,
  );
  const db = await openNodeDatabase('x', { backend: new MemoryBackend(plain) });
  assert.equal((await db.stats()).encrypted, false);
  await rejects(db.changeEncryption(secret, key), 'NOT_ENCRYPTED');
});

test('bad arguments are refused, and no message shows them', async () => {
  const short = await crypto.subtle.importKey('raw', new Uint8Array(16), 'AES-GCM', false, [
    'encrypt',
    'decrypt',
  ]);
  const db = await open(new MemoryDisk(), secret);
  for (const bad of [
    {},
    { password: '' },
    { password: 5 },
    { key: new Uint8Array(31) },
    { key: 'hidden text' },
  ])
    for (const given of [
      bad,
      { key: short },
      { password: 'a', key: new Uint8Array(32) },
      'hidden text',
      null,
    ]) {
      const error = await rejects(db.changeEncryption(given as never, secret), 'INVALID_ARGUMENT');
      assert.doesNotMatch(error.message, /hidden/);
      await rejects(db.changeEncryption(secret, given as never), 'INVALID_ARGUMENT');
    }
});

test('another password: the old one is refused, whoever is there goes on, no data is written again', async () => {
  const disk = await filled(secret);
  const blocks = recordsOf(disk).filter(({ what }) => !what.startsWith('catalog'));
  const db = await open(disk, secret);
  await rejects(db.changeEncryption({ password: 'wrong' }, key), 'INVALID_CREDENTIALS');
  await rejects(open(disk, key), 'INVALID_CREDENTIALS');
  await db.changeEncryption(secret, key);
  await db.changeEncryption(key, { password: 'third' });
  const after = recordsOf(disk).filter(({ what }) => !what.startsWith('catalog'));
  assert.deepEqual(
    after.map(({ bytes }) => bytes),
    blocks.map(({ bytes }) => bytes),
  );
  await db.put('after', 'the change', { space: 'private letters' });
  for (const old of [secret, key]) await rejects(open(disk, old), 'INVALID_CREDENTIALS');
  const again = await open(disk, { password: 'third' });
  assert.equal(await again.get('after', { space: 'private letters' }), 'the change');
  assert.equal((await again.verify()).ok, true);
});

test('stopped in the middle of a change of password, exactly one of the two is good', async () => {
  for (const done of [false, true]) {
    const disk = new CrashDisk(false);
    const first = await FaultyBackend.open(disk, new Faults({}, realTime, new Random(seed)));
    const db = await openNodeDatabase('x', { backend: first, encryption: secret });
    await db.createSpace('kv', 'key-value');
    await db.put('a', 'b', { space: 'kv' });
    const stops = new Faults({ stop: { step: 1, done } }, realTime, new Random(seed));
    const crashed = await FaultyBackend.open(disk, stops);
    const changing = await openNodeDatabase('x', { backend: crashed, encryption: secret });
    await assert.rejects(changing.changeEncryption(secret, key));
    const { written } = disk;
    const good: Promise<unknown>[] = [secret, key].map((each) =>
      openNodeDatabase('x', { backend: new MemoryBackend(written), encryption: each }).then(
        (opened): Promise<unknown> => opened.get('a', { space: 'kv' }),
        (error): unknown => error.code,
      ),
    );
    const expected = done ? ['INVALID_CREDENTIALS', 'b'] : ['b', 'INVALID_CREDENTIALS'];
    assert.deepEqual(await Promise.all(good), expected);
  }
});

test('of a catalog and a copy with another password the first one counts, the copy only where that is damaged', async () => {
  const disk = new MemoryDisk();
  const db = await open(disk, secret);
  await db.createSpace('kv', 'key-value');
  const before = disk.catalog as Uint8Array;
  await db.changeEncryption(secret, key);
  // As files are left when the second of the two is not replaced any more.
  disk.catalog = before;
  await rejects(open(disk, key), 'INVALID_CREDENTIALS');
  assert.equal((await (await open(disk, secret)).listSpaces()).length, 1);
  disk.catalog = before.slice(0, -1);
  assert.equal((await (await open(disk, key)).listSpaces()).length, 1);
});

test('a key record that asks for absurd work is refused without doing it', async () => {
  const made = await createKey(secret, async () => new Uint8Array(32), { N: 16, r: 8, p: 1 });
  const absurd: unknown[] = [
    { ...made.record, password: { ...made.record.password, N: 2 ** 40 } },
    { ...made.record, password: { ...made.record.password, N: 1000 } },
    { ...made.record, password: { ...made.record.password, p: 2 ** 30 } },
    { ...made.record, password: { ...made.record.password, salt: '' } },
    { ...made.record, dataKey: 'x'.repeat(1000) },
    { ...made.record, iv: 5 },
    [],
    null,
  ];
  for (const record of absurd) {
    const cipher = new RecordCipher(made.key.dataKey);
    const catalog = await encodeEncryptedCatalog(record as KeyRecord, new Uint8Array(8), cipher, checksum);
    assert.throws(() => findKeyRecord(catalog, undefined, checksum), { code: 'CORRUPTION' });
  }
  assert.throws(() => parseKeyRecord('{'), { code: 'CORRUPTION' });
  const empty = seal(new Uint8Array(30), EnvelopeKind.Catalog, checksum, 1);
  assert.throws(() => findKeyRecord(empty, undefined, checksum), { code: 'CORRUPTION' });
});

test('an export of an encrypted database is plain, and encrypts what it is read into', async () => {
  const source = await open(await filled());
  const chunks: Uint8Array[] = [];
  await source.exportTo(new WritableStream({ write: (chunk) => void chunks.push(chunk) }));
  assert.ok(Buffer.concat(chunks).includes('dearest anna'));
  const disk = new MemoryDisk();
  const target = await open(disk, secret);
  await target.importFrom(new Blob(chunks as Uint8Array<ArrayBuffer>[]).stream());
  assert.deepEqual(await readAll(target), await readAll(source));
  for (const { bytes } of recordsOf(disk)) assert.ok(!Buffer.from(bytes).includes('anna'));
});

function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(a, b) === 0;
}
