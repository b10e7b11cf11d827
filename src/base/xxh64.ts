/** XXH64 (Yann Collet, xxhash.com) with seed 0, for few bytes: some megabytes a second. */

const prime1 = 0x9e3779b185ebca87n;
const prime2 = 0xc2b2ae3d27d4eb4fn;
const prime3 = 0x165667b19e3779f9n;
const prime4 = 0x85ebca77c2b2ae63n;
const prime5 = 0x27d4eb2f165667c5n;

const u64 = (value: bigint): bigint => BigInt.asUintN(64, value);
const rotated = (value: bigint, by: bigint): bigint => u64(value << by) | (value >> (64n - by));
const round = (lane: bigint, word: bigint): bigint => u64(rotated(u64(lane + word * prime2), 31n) * prime1);

export function xxh64(bytes: Uint8Array): bigint {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const word = (from: number): bigint => view.getBigUint64(from, true);
  const { length } = bytes;
  let at = 0;
  let hash = prime5;
  if (length >= 32) {
    const lanes = [u64(prime1 + prime2), prime2, 0n, u64(-prime1)];
    for (; at + 32 <= length; at += 32)
      for (const [i, lane] of lanes.entries()) lanes[i] = round(lane, word(at + 8 * i));
    hash = 0n;
    for (const [i, by] of [1n, 7n, 12n, 18n].entries()) hash += rotated(lanes[i] ?? 0n, by);
    for (const lane of lanes) hash = u64((u64(hash) ^ round(0n, lane)) * prime1 + prime4);
  }
  hash = u64(hash + BigInt(length));
  for (; at + 8 <= length; at += 8) hash = u64(rotated(hash ^ round(0n, word(at)), 27n) * prime1 + prime4);
  if (at + 4 <= length) {
    hash = u64(rotated(hash ^ u64(BigInt(view.getUint32(at, true)) * prime1), 23n) * prime2 + prime3);
    at += 4;
  }
  for (; at < length; at++) hash = u64(rotated(hash ^ u64(BigInt(view.getUint8(at)) * prime5), 11n) * prime1);
  hash = u64((hash ^ (hash >> 33n)) * prime2);
  hash = u64((hash ^ (hash >> 29n)) * prime3);
  return hash ^ (hash >> 32n);
}
