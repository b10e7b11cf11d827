/**
 * Reading a space from its first key or id to its last so that it can be made again elsewhere, a step at a time, while
 * others write between the steps. What was there before and stays is read exactly once; of what is written meanwhile what lies
 * behind the reader. Deadlines are kept.
 */

import { encodeUtf8 } from '../base/text.ts';
import type { KeyRange } from '../space/key-value-space.ts';
import { isOfBits, vectorBytes, vectorItems } from '../space/metrics.ts';
import { encodeInsertInts, encodeInsertStrings, type StoredForm } from '../space/operation.ts';
import { metadataPart } from '../space/parts.ts';
import { type CatalogEntry, vectorKind } from '../storage/catalog.ts';
import { keyValuePart } from './parts.ts';
import type { ResidentSpace } from './resident-space.ts';

/** An entry as the space holds it: of a large value only the reference. */
export interface StoredPut {
  readonly key: string;
  readonly value: StoredForm;
  readonly deadlineMs: number | undefined;
}

export interface ContentsStep {
  readonly puts: readonly StoredPut[];
  /** One operation that inserts vectors, where the space holds such. */
  readonly insert: Uint8Array | undefined;
  /** Entries or vectors in it. */
  readonly count: number;
}

export interface StepSize {
  /** A step ends when it has so many bytes … */
  readonly bytes: number;
  /** … or so many entries or vectors. */
  readonly items: number;
}

export class ContentsReader {
  readonly #entry: CatalogEntry;
  readonly #size: StepSize;
  readonly #range: KeyRange = {
    start: new Uint8Array(0),
    startExclusive: false,
    end: undefined,
    reverse: false,
  };
  #after: bigint | string | undefined;

  constructor(entry: CatalogEntry, size: StepSize) {
    this.#entry = entry;
    this.#size = size;
  }

  /** The next step; `undefined`: the end. The space may be another instance each time. */
  next(resident: ResidentSpace): ContentsStep | undefined {
    return this.#entry.engine === 'vector' ? this.#nextVectors(resident) : this.#nextEntries(resident);
  }

  #nextEntries({ keyValue }: ResidentSpace): ContentsStep | undefined {
    const puts: StoredPut[] = [];
    let bytes = 0;
    let last: string | undefined;
    // A copy of the range: what is read here and not taken is read again.
    for (const key of keyValue.scanKeys({ ...this.#range }, this.#size.items)) {
      last = key;
      const stored = keyValue.getStored(key);
      // Expired.
      if (stored === undefined) continue;
      puts.push({ key, ...stored });
      bytes += key.length + stored.value.length;
      if (bytes >= this.#size.bytes) break;
    }
    if (last === undefined) return undefined;
    keyValuePart.loaded.continueBehind(this.#range, encodeUtf8(last));
    return { puts, insert: undefined, count: puts.length };
  }

  #nextVectors({ vectors }: ResidentSpace): ContentsStep | undefined {
    const { dimension, metric } = vectorKind(this.#entry);
    const rows = Math.floor(this.#size.bytes / vectorBytes(dimension, metric));
    const found = vectors.scan(this.#after, Math.max(1, Math.min(this.#size.items, rows)));
    if (found.length === 0) return undefined;
    const items = vectorItems(dimension, metric);
    const packed = isOfBits(metric)
      ? new Uint8Array(found.length * items)
      : new Float32Array(found.length * items);
    for (const [i, { vector }] of found.entries()) packed.set(vector, i * items);
    const ids = found.map(({ id }) => id);
    const records = found.map(({ metadata }) => metadata);
    const metadata = metadataPart.loaded.PackedMetadata.of(
      records,
      found.length,
      this.#entry.metadataFields ?? [],
    )?.rows(0, found.length);
    const insert =
      this.#entry.ids === 'string'
        ? encodeInsertStrings(ids as string[], packed, metadata)
        : encodeInsertInts(
            BigInt64Array.from(ids, (id) => BigInt(id)),
            packed,
            metadata,
          );
    const last = ids.at(-1) as string | number | bigint;
    this.#after = typeof last === 'string' ? last : BigInt(last);
    return { puts: [], insert, count: found.length };
  }
}
