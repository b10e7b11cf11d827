/**
 * A static snapshot: a database as files that any static host serves, written once and read by ranges.
 *
 *   shibumi.json        the root: names the index. The only file that changes when a new snapshot is put beside an old one
 *   index-<hash>.bin    catalog, manifests, and where in which pack every block lies
 *   pack-<hash>.bin     blocks, one after another: first what a space needs to be opened, then what is fetched as needed
 *
 *   index  := envelope (envelope.ts) around:
 *             catalog_bytes u32, catalog, packs u32, packs x { hash u64, bytes u32 },
 *             spaces u32, spaces x { space u32, manifest_bytes u32, manifest, blocks x { pack u32, offset u32 } }
 *
 * The blocks are those of the space's manifest, in its order. <hash> is XXH64 of the file, in 16 hexadecimal digits: a name
 * always means the same bytes, so every cache may keep them for ever.
 */

import { isShibuDbError, shibuDbError } from '../../api/errors.ts';
import { type Checksum, EnvelopeKind, envelopeHeaderBytes, seal, unseal } from '../envelope.ts';
import { decodeManifest, type ManifestBlock } from '../manifest.ts';

export const rootName = 'shibumi.json';
export const rootFormat = 'shibumi static snapshot';
export const rootVersion = 1;

/** The root file. `spaces` and `bytes` are for people and tools: nothing is decided by them. */
export interface StaticRoot {
  readonly format: typeof rootFormat;
  readonly version: number;
  /** Name of the index file. */
  readonly index: string;
  /** Of all packs together. */
  readonly bytes: number;
  readonly spaces: readonly { readonly name: string; readonly engine: string; readonly count: number }[];
}

export interface Pack {
  readonly hash: bigint;
  readonly bytes: number;
}

/** Where a block lies. */
export interface Place {
  readonly pack: Pack;
  readonly offset: number;
}

export interface StaticSpace {
  readonly space: number;
  /** As it is stored. */
  readonly manifest: Uint8Array;
  readonly blocks: readonly { readonly block: ManifestBlock; readonly place: Place }[];
}

export interface StaticIndex {
  readonly catalog: Uint8Array;
  readonly packs: readonly Pack[];
  readonly spaces: readonly StaticSpace[];
}

export function fileName(kind: 'index' | 'pack', hash: bigint): string {
  return `${kind}-${hash.toString(16).padStart(16, '0')}.bin`;
}

export function encodeIndex({ catalog, packs, spaces }: StaticIndex, checksum: Checksum): Uint8Array {
  let bytes = envelopeHeaderBytes + 4 + catalog.length + 4 + packs.length * 12 + 4;
  for (const { manifest, blocks } of spaces) bytes += 8 + manifest.length + blocks.length * 8;
  const buffer = new Uint8Array(bytes);
  const view = new DataView(buffer.buffer);
  let at = envelopeHeaderBytes;
  const u32 = (value: number): void => {
    view.setUint32(at, value, true);
    at += 4;
  };
  const raw = (part: Uint8Array): void => {
    u32(part.length);
    buffer.set(part, at);
    at += part.length;
  };
  raw(catalog);
  u32(packs.length);
  for (const pack of packs) {
    view.setBigUint64(at, pack.hash, true);
    at += 8;
    u32(pack.bytes);
  }
  u32(spaces.length);
  for (const { space, manifest, blocks } of spaces) {
    u32(space);
    raw(manifest);
    for (const { place } of blocks) {
      u32(packs.indexOf(place.pack));
      u32(place.offset);
    }
  }
  return seal(buffer, EnvelopeKind.StaticIndex, checksum);
}

/** @throws CORRUPTION, VERSION_MISMATCH; `what` names the file */
export function decodeIndex(bytes: Uint8Array, checksum: Checksum, what: string): StaticIndex {
  const payload = unseal(bytes, EnvelopeKind.StaticIndex, checksum, what);
  try {
    return readIndex(payload, checksum, what);
  } catch (error) {
    if (isShibuDbError(error)) throw error;
    // A read past the end.
    throw shibuDbError('CORRUPTION', `${what} is damaged: it ends too early`, { cause: error });
  }
}

function readIndex(payload: Uint8Array, checksum: Checksum, what: string): StaticIndex {
  const view = new DataView(payload.buffer, payload.byteOffset, payload.byteLength);
  const damaged = (found: string): Error => shibuDbError('CORRUPTION', `${what} is damaged: ${found}`);
  let at = 0;
  const u32 = (): number => {
    const value = view.getUint32(at, true);
    at += 4;
    return value;
  };
  const raw = (): Uint8Array => {
    const length = u32();
    if (length > payload.length - at) throw damaged(`a part of ${length} bytes passes its end`);
    at += length;
    return payload.slice(at - length, at);
  };
  const catalog = raw();
  const packs: Pack[] = [];
  for (let left = u32(); left > 0; left--) {
    const hash = view.getBigUint64(at, true);
    at += 8;
    packs.push({ hash, bytes: u32() });
  }
  const spaces: StaticSpace[] = [];
  for (let left = u32(); left > 0; left--) {
    const space = u32();
    const manifest = raw();
    const blocks: StaticSpace['blocks'][number][] = [];
    for (const block of decodeManifest(manifest, checksum, `${what}: a manifest`).blocks.values()) {
      const pack = packs[u32()];
      const offset = u32();
      if (pack === undefined || offset + block.usedBytes > pack.bytes)
        throw damaged(`block ${block.block >>> 24}/${block.block & 0xffffff} lies outside its pack`);
      blocks.push({ block, place: { pack, offset } });
    }
    spaces.push({ space, manifest, blocks });
  }
  if (at !== payload.length) throw damaged(`${payload.length - at} bytes are left over`);
  return { catalog, packs, spaces };
}
