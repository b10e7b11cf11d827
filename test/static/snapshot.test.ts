/**
 * Static snapshots: what is exported is what is read, over a real HTTP host, from Node; and what hosts do to them: ignored
 * ranges, wrong, changed and missing files, answers that break off, aborts.
 */

import assert from 'node:assert/strict';
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, afterEach, before, beforeEach, test } from 'node:test';
import type { Database } from '../../src/api/database.ts';
import { exportStatic, open } from '../../src/node.ts';
import { decodeManifest } from '../../src/storage/manifest.ts';
import { decodeIndex, encodeIndex, fileName, type StaticIndex } from '../../src/storage/static/index-file.ts';
import { checksum } from '../node/places.ts';
import { Random } from '../support/random.ts';
import { StaticHost } from './static-host.ts';

const scratch = mkdtempSync(path.join(tmpdir(), 'shibumi-static-'));
const original = path.join(scratch, 'original');
const dimension = 64;
const count = 3000;
const large = new Uint8Array(700_000).map((_, i) => i * 7);
const deleted = 'a secret that was deleted before the export';
let source: Database;
let folder: string;
let host: StaticHost;

before(async () => {
  source = await open(path.join(scratch, 'db'));
  await source.createSpace('docs', 'vector', {
    dimension,
    indexType: 'HNSW8,SQ8',
    ids: 'string',
    metadataFields: [{ name: 'year', type: 'int' }],
  });
  const ids = Array.from({ length: count }, (_, i) => `doc ${i}`);
  const metadata = ids.map((_, i) => ({ year: 2000 + (i % 20) }));
  await source.insertVectors(ids, vectors(), { space: 'docs', metadata });
  await source.createSpace('titles', 'key-value');
  await source.putMany(
    ids.map((id) => ({ key: id, value: `title of ${id}` })),
    { space: 'titles' },
  );
  await source.put('bytes', new Uint8Array([1, 2, 3]), { space: 'titles' });
  await source.put('large', large, { space: 'titles' });
  await source.put('gone', deleted, { space: 'titles' });
  await source.delete('gone', { space: 'titles' });
  await source.createSpace('empty', 'vector', { dimension: 4 });
  await exportStatic(source, original, { packBytes: 1024 * 1024 });
});

after(async () => {
  await source.close();
  rmSync(scratch, { recursive: true, force: true });
});

beforeEach(async () => {
  folder = mkdtempSync(path.join(scratch, 'host-'));
  cpSync(original, folder, { recursive: true });
  host = new StaticHost(folder);
  await host.start();
});

afterEach(() => host.stop());

function vectors(): Float32Array {
  return Float32Array.from({ length: count * dimension }, (_, i) => Math.sin(i * i));
}

function indexOf(): StaticIndex {
  const { index } = JSON.parse(readFileSync(path.join(folder, 'shibumi.json'), 'utf8')) as { index: string };
  return decodeIndex(new Uint8Array(readFileSync(path.join(folder, index))), checksum, 'the index');
}

/** The file that the vectors' space begins in. */
function docsPack(): string {
  const place = indexOf().spaces[0]?.blocks[0]?.place;
  assert.ok(place);
  return fileName('pack', place.pack.hash);
}

function packs(): string[] {
  return readdirSync(folder).filter((name) => name.startsWith('pack-'));
}

test('a snapshot answers as the database it was made of', async () => {
  await using db = await open({ from: host.url });
  assert.equal((await db.stats()).storage, 'static');
  assert.deepEqual(await db.listSpaces(), await source.listSpaces());
  const query = vectors().subarray(640, 704);
  for (const where of [undefined, 'year < 2003']) {
    const options = { space: 'docs', includeVectors: true, includeMetadata: true, efSearch: 400 } as const;
    const filter = where === undefined ? {} : { where };
    assert.deepEqual(
      await db.searchTopK(query, 10, { ...options, ...filter }),
      await source.searchTopK(query, 10, { ...options, ...filter }),
    );
  }
  assert.equal(await db.countVectors({ space: 'docs', where: 'year = 2001' }), count / 20);
  assert.deepEqual(await db.getVector('doc 7', { space: 'docs' }), vectors().slice(448, 512));
  assert.deepEqual(await db.searchTopK([1, 2, 3, 4], 5, { space: 'empty' }), []);
  assert.equal(await db.get('doc 2999', { space: 'titles' }), 'title of doc 2999');
  assert.deepEqual(await db.get('bytes', { space: 'titles' }), new Uint8Array([1, 2, 3]));
  assert.deepEqual(await db.get('large', { space: 'titles' }), large);
  assert.equal(await db.get('gone', { space: 'titles' }), undefined);
  const keys: string[] = [];
  for await (const { key } of db.scan({ space: 'titles', prefix: 'doc 29' })) keys.push(key);
  assert.equal(keys.length, 111);
  const { ok, faults } = await db.verify();
  assert.ok(ok, JSON.stringify(faults));
});

test('every write is refused with READ_ONLY and changes nothing', async () => {
  await using db = await open({ from: host.url });
  const readOnly = { code: 'READ_ONLY' };
  await assert.rejects(db.put('x', 'y', { space: 'titles' }), readOnly);
  await assert.rejects(db.increment('x', 1, { space: 'titles' }), readOnly);
  await assert.rejects(db.putMany([{ key: 'x', value: 'y' }], { space: 'titles' }), readOnly);
  await assert.rejects(db.put('x', large, { space: 'titles' }), readOnly);
  await assert.rejects(db.delete('doc 1', { space: 'titles' }), readOnly);
  await assert.rejects(db.clear({ space: 'titles' }), readOnly);
  await assert.rejects(db.insertVector('x', vectors().subarray(0, dimension), { space: 'docs' }), readOnly);
  await assert.rejects(db.deleteVectors({ where: 'year > 0' }, { space: 'docs' }), readOnly);
  await assert.rejects(db.updateMetadata('doc 1', { year: 1 }, { space: 'docs' }), readOnly);
  await assert.rejects(db.reindex({ space: 'docs', indexType: 'Flat' }), readOnly);
  await assert.rejects(db.createSpace('another', 'key-value'), readOnly);
  await assert.rejects(db.deleteSpace('docs'), readOnly);
  await assert.rejects(
    open({ from: host.url }, { admin: { username: 'root', password: 'long enough' } }),
    readOnly,
  );
  await db.checkpoint();
  assert.deepEqual((await db.describeSpace('docs')).readOnly, []);
  assert.equal(await db.size({ space: 'titles' }), count + 2);
});

test('what was deleted is in none of the files', () => {
  for (const name of readdirSync(folder))
    assert.equal(readFileSync(path.join(folder, name)).includes(deleted), false, name);
});

test('files are few, named for what is in them, and the same again for the same contents', async () => {
  const again = path.join(scratch, 'again');
  const { files, left, firstBytes, bytes } = await exportStatic(source, again, { packBytes: 1024 * 1024 });
  assert.deepEqual(files.toSorted(), readdirSync(folder).toSorted());
  assert.deepEqual(left, []);
  assert.ok(firstBytes < bytes, `${firstBytes} of ${bytes}`);
  for (const name of packs()) {
    const content = readFileSync(path.join(folder, name));
    assert.ok(content.length <= 1024 * 1024);
    assert.equal(name, fileName('pack', checksum(content)));
  }
});

test('a space is read from the packs with few requests', async () => {
  await using db = await open({ from: host.url });
  await db.searchTopK(vectors().subarray(0, dimension), 1, { space: 'docs' });
  const files = new Set(host.answered.map(({ file }) => file));
  assert.ok(host.answered.length <= files.size + 4, JSON.stringify(host.answered));
  assert.ok(files.size < packs().length + 2, 'the packs of other spaces are left alone');
});

test('the first query is answered by codes and graph: originals come for what is measured again, and no more', async () => {
  const rows = 12_000;
  await using from = await open('large', { storage: 'memory' });
  await from.createSpace('large', 'vector', { dimension, indexType: 'HNSW8,SQ8' });
  const packed = new Random(5).vectors(rows * dimension);
  await from.insertVectors([...Array(rows).keys()], packed, { space: 'large' });
  const { bytes, firstBytes } = await exportStatic(from, folder, { prune: true });
  const { index } = JSON.parse(readFileSync(path.join(folder, 'shibumi.json'), 'utf8'));
  const around = ['shibumi.json', index].reduce(
    (sum, name) => sum + statSync(path.join(folder, name)).size,
    0,
  );
  assert.ok(bytes - firstBytes >= rows * dimension * 4, 'the originals lie behind what comes first');
  await using db = await open({ from: host.url, cache: false });
  const query = packed.subarray(0, dimension);
  await db.searchTopK(query, 1, { space: 'large', rerank: false });
  assert.ok(host.bytes <= around + firstBytes, `${host.bytes} bytes, ${firstBytes} are needed`);
  const before = host.bytes;
  const [hit] = await db.searchTopK(query, 1, { space: 'large', oversample: 3 });
  assert.equal(hit?.id, 0);
  const blockBytes = 256 * 1024;
  assert.ok(host.bytes > before, 'something is measured again');
  assert.ok(host.bytes - before <= 3 * blockBytes, `${host.bytes - before} bytes for three candidates`);
});

test('a host that ignores ranges is asked for each file once', async () => {
  host.ignoresRanges = true;
  await using db = await open({ from: host.url });
  const [hit] = await db.searchTopK(vectors().subarray(0, dimension), 1, { space: 'docs' });
  assert.equal(hit?.id, 'doc 0');
  assert.deepEqual(await db.get('large', { space: 'titles' }), large);
  const times = Map.groupBy(host.answered, ({ file }) => file);
  for (const [file, answers] of times) assert.ok(answers.length <= 2, `${file}: ${answers.length} times`);
});

test('a flipped bit is found, asked for once more past every cache, and then an error that names the file', async () => {
  const name = docsPack();
  const file = path.join(folder, name);
  const bytes = readFileSync(file);
  bytes[1000] = (bytes[1000] ?? 0) ^ 4;
  writeFileSync(file, bytes);
  await using db = await open({ from: host.url });
  const broken = db.searchTopK(vectors().subarray(0, dimension), 1, { space: 'docs' });
  await assert.rejects(broken, (error: Error & { code: string }) => {
    assert.equal(error.code, 'CORRUPTION');
    assert.match(error.message, new RegExp(name));
    return true;
  });
  assert.equal(await db.get('doc 1', { space: 'titles' }), 'title of doc 1', 'other spaces are as they were');
  // The host has been mended: the same database goes on.
  cpSync(path.join(original, name), file);
  assert.equal((await db.searchTopK(vectors().subarray(0, dimension), 1, { space: 'docs' }))[0]?.id, 'doc 0');
});

test('files that were replaced, cut short or are gone are typed errors', async () => {
  const name = docsPack();
  const file = path.join(folder, name);
  const search = async (): Promise<unknown> => {
    await using db = await open({ from: host.url });
    return await db.searchTopK(vectors().subarray(0, dimension), 1, { space: 'docs' });
  };
  writeFileSync(file, readFileSync(file).subarray(0, 100));
  await assert.rejects(search(), { code: 'CORRUPTION' });
  writeFileSync(file, new Uint8Array(0));
  await assert.rejects(search(), { code: 'CORRUPTION' });
  rmSync(file);
  await assert.rejects(search(), { code: 'STORAGE_UNAVAILABLE', message: /HTTP 404/ });
});

test('what is no snapshot is refused, whatever the host says instead', async () => {
  const root = path.join(folder, 'shibumi.json');
  const good = readFileSync(root, 'utf8');
  const { index } = JSON.parse(good) as { index: string };
  const refused = async (text: string, code: string): Promise<void> => {
    writeFileSync(root, text);
    await assert.rejects(open({ from: host.url }), { code }, text);
  };
  await refused('<html>Not found, but 200</html>', 'CORRUPTION');
  await refused(good.replace('index-', '../index-'), 'CORRUPTION');
  await refused(good.replace('"version": 1', '"version": 2'), 'VERSION_MISMATCH');
  await refused(good.replace(index, fileName('index', 5n)), 'STORAGE_UNAVAILABLE');
  writeFileSync(root, good);
  writeFileSync(path.join(folder, index), readFileSync(path.join(folder, index)).subarray(0, 60));
  await assert.rejects(open({ from: host.url }), { code: 'CORRUPTION' });
  await assert.rejects(open({ from: `${host.url}elsewhere/` }), { code: 'STORAGE_UNAVAILABLE' });
  for (const from of ['file:///tmp/x', 'no address', 5 as unknown as string])
    await assert.rejects(open({ from }), { code: 'INVALID_ARGUMENT' });
});

test('an image with a reference out of bounds is refused although every checksum is right', async () => {
  const root = JSON.parse(readFileSync(path.join(folder, 'shibumi.json'), 'utf8')) as { index: string };
  const { catalog, packs: known, spaces } = indexOf();
  const [docs] = spaces;
  assert.ok(docs);
  // The list of neighbours of the first node, at level 0: block 0 of segment 10.
  const base = docs.blocks.find(({ block }) => block.block === 10 << 24);
  assert.ok(base);
  const packFile = path.join(folder, fileName('pack', base.place.pack.hash));
  const bytes = readFileSync(packFile);
  bytes.writeUInt32LE(count + 100_000, base.place.offset);
  const content = bytes.subarray(base.place.offset, base.place.offset + base.block.usedBytes);
  const pack = { hash: checksum(bytes), bytes: bytes.length };
  writeFileSync(path.join(folder, fileName('pack', pack.hash)), bytes);
  // A forger's index: everything agrees with everything.
  const forged = forgeManifest(docs.manifest, base.block.block, checksum(content));
  const index = encodeIndex(
    {
      catalog,
      packs: known.map((one) => (one === base.place.pack ? pack : one)),
      spaces: spaces.map((space) => ({
        ...space,
        manifest: space === docs ? forged : space.manifest,
        blocks: space.blocks.map(({ block, place }) => ({
          block,
          place: place.pack === base.place.pack ? { pack, offset: place.offset } : place,
        })),
      })),
    },
    checksum,
  );
  const name = fileName('index', checksum(index));
  writeFileSync(path.join(folder, name), index);
  writeFileSync(
    path.join(folder, 'shibumi.json'),
    readFileSync(path.join(folder, 'shibumi.json'), 'utf8').replace(root.index, name),
  );
  await using db = await open({ from: host.url });
  await assert.rejects(db.searchTopK(vectors().subarray(0, dimension), 1, { space: 'docs' }), {
    code: 'CORRUPTION',
    message: /image/,
  });
});

test('an answer that breaks off and a host that is busy are asked again', async () => {
  host.breaks = 1;
  await using db = await open({ from: host.url });
  host.breaks = 2;
  const searching = db.searchTopK(vectors().subarray(0, dimension), 1, { space: 'docs' });
  assert.equal((await searching)[0]?.id, 'doc 0');
  host.failing = { part: 'pack-', status: 503 };
  const reading = db.get('doc 1', { space: 'titles' });
  setTimeout(() => {
    host.failing = undefined;
  }, 50);
  assert.equal(await reading, 'title of doc 1');
});

test('an aborted call ends at once, another one is answered, and close() ends what is under way', async () => {
  await using db = await open({ from: host.url });
  const { promise, resolve } = Promise.withResolvers<void>();
  host.held = promise;
  const query = vectors().subarray(0, dimension);
  const controller = new AbortController();
  const aborted = db.searchTopK(query, 1, { space: 'docs', signal: controller.signal });
  const late = db.searchTopK(query, 1, { space: 'docs', timeoutMs: 30 });
  controller.abort();
  await assert.rejects(aborted, { code: 'ABORTED' });
  await assert.rejects(late, { code: 'TIMEOUT' });
  resolve();
  host.held = undefined;
  assert.equal((await db.searchTopK(query, 1, { space: 'docs' }))[0]?.id, 'doc 0');
  host.held = new Promise(() => {});
  const pending = db.get('doc 1', { space: 'titles' });
  await Promise.all([db.close(), assert.rejects(pending, { code: 'CLOSED' })]);
});

test('a new snapshot beside an old one: who has the old one open reads on, files of both are told apart', async () => {
  await using old = await open({ from: host.url });
  await source.put('late', 'news', { space: 'titles' });
  const { left, files } = await exportStatic(source, folder, { packBytes: 1024 * 1024 });
  await source.delete('late', { space: 'titles' });
  assert.ok(left.length > 0 && left.length < readdirSync(original).length, `${left}`);
  assert.equal(await old.get('late', { space: 'titles' }), undefined);
  await using fresh = await open({ from: host.url });
  assert.equal(await fresh.get('late', { space: 'titles' }), 'news');
  await exportStatic(fresh, folder, { packBytes: 1024 * 1024, prune: true, spaces: ['titles'] });
  assert.ok(readdirSync(folder).length < files.length);
});

/** The manifest with another checksum for one block. */
function forgeManifest(manifest: Uint8Array, block: number, hash: bigint): Uint8Array {
  const { blocks } = decodeManifest(manifest, checksum, 'the manifest');
  const at = 24 + 24 + [...blocks.keys()].indexOf(block) * 24 + 16;
  const forged = manifest.slice();
  const view = new DataView(forged.buffer);
  view.setBigUint64(at, hash, true);
  view.setBigUint64(16, 0n, true);
  view.setBigUint64(16, checksum(forged), true);
  return forged;
}
