/** The metadata of many vectors, packed as an insert carries it. */

import type { MetadataField } from '../../api/database.ts';
import { invalid, shown } from '../../base/arguments.ts';
import { ByteWriter } from './byte-writer.ts';
import { writeRecord } from './record.ts';

/** The records of some rows one after another: row i's end at `ends[i]`. `values` counts their indexed values. */
export interface MetadataRows {
  readonly bytes: Uint8Array;
  readonly ends: Uint32Array;
  readonly values: number;
}

export class PackedMetadata {
  readonly #bytes: Uint8Array;
  readonly #ends: Uint32Array;
  readonly #values: Uint32Array;

  private constructor(bytes: Uint8Array, ends: Uint32Array, values: Uint32Array) {
    this.#bytes = bytes;
    this.#ends = ends;
    this.#values = values;
  }

  /** One object, `null` or `undefined` a row. @throws INVALID_ARGUMENT that names the row */
  static of(metadata: unknown, rows: number, fields: readonly MetadataField[]): PackedMetadata | undefined {
    if (metadata === undefined) return undefined;
    if (!Array.isArray(metadata))
      throw invalid(`Got ${shown(metadata)} for metadata, expected an array with an object for each vector`);
    if (metadata.length !== rows)
      throw invalid(`Got metadata for ${metadata.length} vectors, expected ${rows}`);
    const writer = new ByteWriter(rows * 32 + 64);
    const ends = new Uint32Array(rows);
    const values = new Uint32Array(rows);
    let total = 0;
    for (let i = 0; i < rows; i++) {
      const record: unknown = metadata[i];
      const what = rows === 1 ? 'metadata' : `metadata[${i}]`;
      if (record !== undefined && record !== null) total += writeRecord(writer, record, fields, what);
      if (writer.length > 2 ** 31)
        throw invalid('Got more than 2 GiB of metadata in one call, expected less');
      ends[i] = writer.length;
      values[i] = total;
    }
    return new PackedMetadata(writer.written, ends, values);
  }

  bytesOf(from: number, to: number): number {
    return this.#before(this.#ends, to) - this.#before(this.#ends, from);
  }

  /** The rows `from` to `to`; `undefined` when none of them has any. */
  rows(from: number, to: number): MetadataRows | undefined {
    const start = this.#before(this.#ends, from);
    const end = this.#before(this.#ends, to);
    if (start === end) return undefined;
    return {
      bytes: this.#bytes.subarray(start, end),
      ends: this.#ends.subarray(from, to).map((each) => each - start),
      values: this.#before(this.#values, to) - this.#before(this.#values, from),
    };
  }

  #before(cumulative: Uint32Array, row: number): number {
    return row === 0 ? 0 : (cumulative[row - 1] as number);
  }
}
