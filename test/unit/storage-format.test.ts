/** Envelope, manifest, catalog and log record: what is written is read back, and damage never passes. */

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { isShibuDbError } from '../../src/api/errors.ts';
import { decodeLogRecord, encodeLogRecord } from '../../src/engine/log-record.ts';
import { encodeDelete, encodePut, operationsIn } from '../../src/space/operation.ts';
import { decodeCatalog, emptyCatalog, encodeCatalog } from '../../src/storage/catalog.ts';
import {
  type Checksum,
  EnvelopeKind,
  envelopeHeaderBytes,
  seal,
  unseal,
} from '../../src/storage/envelope.ts';
import { decodeManifest, encodeManifest, type ManifestBlock } from '../../src/storage/manifest.ts';
import { makeInstance } from './core.ts';

const instance = makeInstance();
const checksum: Checksum = (bytes) => instance.checksum(bytes);
const text = (value: string): Uint8Array => new TextEncoder().encode(value);

function sampleManifest() {
  const blocks = new Map<number, ManifestBlock>();
  for (const [block, generation] of [
    [0, 3],
    [(1 << 24) | 5, 1],
    [(11 << 24) | 70_000, 2],
  ] as const) {
    blocks.set(block, {
      block,
      generation,
      usedBytes: 1024 + generation,
      checksum: 0xfedcba9876543210n - BigInt(block),
    });
  }
  return { epoch: 1, generation: 3, logFrom: 2 ** 40 + 1, blocks };
}

test('XXH64 gives the published values', () => {
  // Test vectors of the reference implementation, seed 0.
  const expected: [string, bigint][] = [
    ['', 0xef46db3751d8e999n],
    ['a', 0xd24ec4f1a98c6e5bn],
    ['abc', 0x44bc2cf5ad770999n],
    ['Nobody inspects the spammish repetition', 0xfbcea83c8a378bf1n],
  ];
  for (const [input, hash] of expected) assert.equal(checksum(text(input)), hash, input);
});

test('an envelope gives back its payload', () => {
  const buffer = new Uint8Array(envelopeHeaderBytes + 5);
  buffer.set([1, 2, 3, 4, 5], envelopeHeaderBytes);
  assert.deepEqual(
    [...unseal(seal(buffer, EnvelopeKind.Log, checksum), EnvelopeKind.Log, checksum, 'it')],
    [1, 2, 3, 4, 5],
  );
});

test('every flipped bit of an envelope is noticed', () => {
  const sealed = encodeCatalog(emptyCatalog, checksum);
  for (let bit = 0; bit < sealed.length * 8; bit++) {
    const damaged = sealed.slice();
    damaged[bit >> 3] = (damaged[bit >> 3] as number) ^ (1 << (bit & 7));
    assert.throws(
      () => decodeCatalog(damaged, checksum),
      (error) => isShibuDbError(error) && ['CORRUPTION', 'VERSION_MISMATCH'].includes(error.code),
      `bit ${bit}`,
    );
  }
});

test('every truncation of an envelope is noticed', () => {
  const sealed = encodeManifest(sampleManifest(), checksum);
  for (let length = 0; length < sealed.length; length++) {
    assert.throws(
      () => decodeManifest(sealed.slice(0, length), checksum, 'it'),
      { code: 'CORRUPTION' },
      `${length} bytes`,
    );
  }
});

test('an envelope of another kind is refused', () => {
  const log = encodeLogRecord(1, 0, [], checksum);
  assert.throws(
    () => decodeManifest(log, checksum, 'The manifest'),
    /The manifest is damaged: got kind 3, expected 2/,
  );
});

test('a newer format is refused as such', () => {
  const sealed = encodeCatalog(emptyCatalog, checksum);
  new DataView(sealed.buffer).setUint16(4, 9, true);
  assert.throws(() => decodeCatalog(sealed, checksum), { code: 'VERSION_MISMATCH' });
});

test('a manifest comes back whole', () => {
  assert.deepEqual(
    decodeManifest(encodeManifest(sampleManifest(), checksum), checksum, 'it'),
    sampleManifest(),
  );
});

test('a log record gives back its operations', () => {
  const operations = [encodePut('key', text('value')), encodeDelete('k'), encodePut('e', '')];
  const found = [
    ...operationsIn(
      decodeLogRecord(encodeLogRecord(7, 12, operations, checksum), 7, 12, checksum, 'it').operations,
    ),
  ];
  assert.deepEqual(
    found.map(({ kind, flags, body }) => [kind, flags, body.length]),
    [
      [1, 1, 16],
      [2, 0, 5],
      [1, 0, 9],
    ],
  );
});

test('a log record in another place is refused', () => {
  const record = encodeLogRecord(7, 12, [], checksum);
  assert.throws(() => decodeLogRecord(record, 8, 12, checksum, 'it'), { code: 'CORRUPTION' });
  assert.throws(() => decodeLogRecord(record, 7, 13, checksum, 'it'), { code: 'CORRUPTION' });
});

test("the format page's example is what is written", () => {
  const page = readFileSync(path.resolve(import.meta.dirname, '../../docs/format.md'), 'utf8');
  const example = /<!-- example: empty catalog -->\n((?: {4}[0-9a-f ]+\n)+)/.exec(page)?.[1] ?? '';
  assert.equal(
    example.replace(/\s/g, ''),
    Buffer.from(encodeCatalog(emptyCatalog, checksum)).toString('hex'),
  );
});
