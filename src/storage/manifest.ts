/**
 * The manifest of a space: which version of every block makes up its image, and where the log goes on.
 *
 *   manifest := epoch u32, generation u32, log_from f64, count u32, reserved u32,
 *               count x { block u32, generation u32, used_bytes u32, pending_pieces u32, checksum u64 }
 *
 * inside an envelope (envelope.ts).
 */

import { shibuDbError } from '../api/errors.ts';
import { type Checksum, EnvelopeKind, envelopeHeaderBytes, seal, unseal } from './envelope.ts';

export interface ManifestBlock {
  /** segment << 24 | index */
  readonly block: number;
  /** The checkpoint that wrote this version. */
  readonly generation: number;
  /** Bytes stored: the block without its trailing zeros. */
  readonly usedBytes: number;
  /** XXH64 of the stored bytes. */
  readonly checksum: bigint;
  /**
   * Of the first block of a large value whose put may not be in the image: how many blocks it has. Unless the log has that
   * put, nothing refers to them.
   */
  readonly pendingPieces?: number;
}

export interface Manifest {
  /** Ownership epoch of the writer. */
  readonly epoch: number;
  /** Number of the checkpoint; grows by one. */
  readonly generation: number;
  /** First log record that the blocks do not contain yet. */
  readonly logFrom: number;
  readonly blocks: ReadonlyMap<number, ManifestBlock>;
}

const fixedBytes = 24;
const entryBytes = 24;

export function encodeManifest(manifest: Manifest, checksum: Checksum): Uint8Array {
  const buffer = new Uint8Array(envelopeHeaderBytes + fixedBytes + manifest.blocks.size * entryBytes);
  const view = new DataView(buffer.buffer, envelopeHeaderBytes);
  view.setUint32(0, manifest.epoch, true);
  view.setUint32(4, manifest.generation, true);
  view.setFloat64(8, manifest.logFrom, true);
  view.setUint32(16, manifest.blocks.size, true);
  let at = fixedBytes;
  for (const block of manifest.blocks.values()) {
    view.setUint32(at, block.block, true);
    view.setUint32(at + 4, block.generation, true);
    view.setUint32(at + 8, block.usedBytes, true);
    view.setUint32(at + 12, block.pendingPieces ?? 0, true);
    view.setBigUint64(at + 16, block.checksum, true);
    at += entryBytes;
  }
  return seal(buffer, EnvelopeKind.Manifest, checksum);
}

export function decodeManifest(bytes: Uint8Array, checksum: Checksum, what: string): Manifest {
  const payload = unseal(bytes, EnvelopeKind.Manifest, checksum, what);
  const view = new DataView(payload.buffer, payload.byteOffset, payload.byteLength);
  const count = payload.length >= fixedBytes ? view.getUint32(16, true) : -1;
  if (payload.length !== fixedBytes + count * entryBytes) {
    throw shibuDbError(
      'CORRUPTION',
      `${what} is damaged: ${payload.length} bytes do not hold ${count} blocks`,
    );
  }
  const blocks = new Map<number, ManifestBlock>();
  for (let at = fixedBytes; at < payload.length; at += entryBytes) {
    const block = view.getUint32(at, true);
    const pendingPieces = view.getUint32(at + 12, true);
    blocks.set(block, {
      block,
      generation: view.getUint32(at + 4, true),
      usedBytes: view.getUint32(at + 8, true),
      checksum: view.getBigUint64(at + 16, true),
      ...(pendingPieces === 0 ? {} : { pendingPieces }),
    });
  }
  return {
    epoch: view.getUint32(0, true),
    generation: view.getUint32(4, true),
    logFrom: view.getFloat64(8, true),
    blocks,
  };
}
