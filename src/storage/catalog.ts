/**
 * The catalog: which spaces and users a database has. JSON inside an envelope (envelope.ts): it is small, read once, and its shape
 * grows with every feature, which JSON takes more kindly than a fixed layout.
 */

import type { IndexChoice, IndexType, Metric, SpaceInfo } from '../api/database.ts';
import { isShibuDbError, shibuDbError } from '../api/errors.ts';
import type { Permissions, Role } from '../api/users.ts';
import { type Checksum, EnvelopeKind, envelopeHeaderBytes, seal, unseal } from './envelope.ts';

/** A space's entry: its public facts, its number in storage (never used again), and how its index is made. */
export interface CatalogEntry extends SpaceInfo {
  readonly id: number;
  readonly efConstruction?: number;
  readonly seed?: number;
  /** With indexType `Auto`: what it is now. */
  readonly auto?: IndexChoice;
}

/** scrypt of the password, with its cost parameters; salt and hash in base64url. */
export interface StoredPassword {
  readonly scheme: 'scrypt';
  readonly N: number;
  readonly r: number;
  readonly p: number;
  readonly salt: string;
  readonly hash: string;
}

export interface StoredUser {
  readonly username: string;
  readonly role: Role;
  readonly permissions: Permissions;
  readonly password: StoredPassword;
}

/** The index type a vector space really has. */
export function indexTypeOf({ indexType = 'Flat', auto }: CatalogEntry): IndexType {
  return indexType === 'Auto' ? (auto?.indexType ?? 'Flat') : indexType;
}

/** What the vectors of a space are. Requires: a vector space. */
export function vectorKind(entry: CatalogEntry): { dimension: number; metric: Metric } {
  return { dimension: entry.dimension ?? 0, metric: entry.metric ?? 'L2' };
}

export interface Catalog {
  /** Numbers below it are taken, also by spaces that are gone. */
  readonly nextId: number;
  readonly spaces: readonly CatalogEntry[];
  /** Absent until there is a first user; from then on never empty. */
  readonly users?: readonly StoredUser[];
  /** What session tokens are signed with, in base64url; there when users are. */
  readonly sessionKey?: string;
}

export const emptyCatalog: Catalog = { nextId: 1, spaces: [] };

export function encodeCatalog(catalog: Catalog, checksum: Checksum): Uint8Array {
  const text = new TextEncoder().encode(JSON.stringify(catalog));
  const buffer = new Uint8Array(envelopeHeaderBytes + text.length);
  buffer.set(text, envelopeHeaderBytes);
  return seal(buffer, EnvelopeKind.Catalog, checksum);
}

/** The catalog, or its copy where the first is damaged; `undefined` when there is neither. @throws CORRUPTION */
export function soundCatalog(
  first: Uint8Array | undefined,
  copy: Uint8Array | undefined,
  checksum: Checksum,
): Catalog | undefined {
  if (first === undefined) return copy === undefined ? undefined : decodeCatalog(copy, checksum);
  try {
    return decodeCatalog(first, checksum);
  } catch (error) {
    // A flipped bit may also look like another version.
    if (copy === undefined || !isShibuDbError(error)) throw error;
    try {
      return decodeCatalog(copy, checksum);
    } catch {
      throw error;
    }
  }
}

export function decodeCatalog(bytes: Uint8Array, checksum: Checksum): Catalog {
  const payload = unseal(bytes, EnvelopeKind.Catalog, checksum, 'The catalog');
  try {
    // What passed the checksum was written by encodeCatalog.
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(payload)) as Catalog;
  } catch (error) {
    throw shibuDbError('CORRUPTION', 'The catalog is damaged: it is not JSON', { cause: error });
  }
}
