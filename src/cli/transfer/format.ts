/** What the file formats have in common: rows in, rows out, as streams. */

import type { Entry, SpaceDescription, VectorEntry, VectorId } from '../../api/database.ts';
import { invalid } from '../../base/arguments.ts';

export interface KeyValueRow extends Entry {
  /** Where it stands in the file, from 1: its line or its row. */
  readonly at: number;
  /** When the key goes, in milliseconds since 1970. */
  readonly expiresAtMs?: number;
}

export interface VectorRow {
  readonly at: number;
  /** As it stands in the file; `undefined` in formats without ids. */
  readonly id: VectorId | undefined;
  readonly vector: Float32Array;
}

export type Row = KeyValueRow | VectorRow;

/** A space on its way into a file. */
export interface Source {
  readonly description: SpaceDescription;
  entries(): AsyncIterable<Entry & { readonly expiresAtMs?: number }>;
  vectors(): AsyncIterable<VectorEntry>;
}

export interface Format {
  readonly name: string;
  readonly extensions: readonly string[];
  /** What a row is called in messages. */
  readonly unit: 'line' | 'row';
  /** Whether ids are in the file; without, rows are numbered. */
  readonly hasIds: boolean;
  readonly holdsKeys: boolean;
  /** @throws INVALID_ARGUMENT naming the line, or row and byte, where it goes wrong */
  read(bytes: AsyncIterable<Uint8Array>): AsyncIterable<Row>;
  write(source: Source): AsyncIterable<string | Uint8Array>;
}

/** The error of `make`, with the place in front. */
export function placed<Result>(unit: string, at: number, make: () => Result): Result {
  try {
    return make();
  } catch (error) {
    throw invalid(`${unit} ${at}: ${error instanceof Error ? error.message : String(error)}`);
  }
}
