/** Deleting many vectors: by their ids, all or none; or all that a filter allows, in batches. */

import type { VectorIds } from '../api/database.ts';
import { invalid, shown } from '../base/arguments.ts';
import { joined } from '../base/bytes.ts';
import { encodeUtf8 } from '../base/text.ts';
import { encodeDeleteInt, encodeDeleteString } from '../space/operation.ts';
import type { Need } from '../space/space.ts';
import { checkId } from '../space/vector-ids.ts';
import type { FilterProgram } from '../space/where/compile.ts';
import type { CatalogEntry } from '../storage/catalog.ts';
import type { DatabaseEngine } from './database-engine.ts';

const operationsBytesMax = 16 * 1024 * 1024;
/** Vectors of one batch: deleting them takes some tenths of a second, in which nobody else is answered. */
const batchIds = 100_000;
const batchBytes = 4 * 1024 * 1024;

/** @throws INVALID_ARGUMENT for an id of the wrong kind, or past 16 MiB */
export function deleteByIds(engine: DatabaseEngine, entry: CatalogEntry, ids: VectorIds): Promise<number> {
  if (!Array.isArray(ids) && !(ids instanceof BigInt64Array))
    throw invalid(`Got ${shown(ids)} for which, expected ids or { where }`);
  const operations = new Deletes();
  for (const id of ids) {
    operations.add(checkId(id, entry.ids ?? 'int'));
    if (operations.bytes > operationsBytesMax) {
      throw invalid(
        `Got ${ids.length} ids that take more than ${operationsBytesMax} bytes, expected less: they are deleted all or none`,
      );
    }
  }
  return engine.submit(entry, operations.joined(), operations.need);
}

/** Between two batches `check` may throw. @throws with what was deleted before still deleted */
export async function deleteWhere(
  engine: DatabaseEngine,
  entry: CatalogEntry,
  filter: FilterProgram,
  check: () => void,
): Promise<number> {
  let deleted = 0;
  for (let more = true; more; ) {
    check();
    deleted += await engine.submitComposed(entry, ({ vectors }) => {
      const operations = new Deletes();
      const ids = vectors.scanIds(undefined, batchIds, filter);
      for (const id of ids) {
        operations.add(typeof id === 'number' ? BigInt(id) : id);
        if (operations.bytes > batchBytes) break;
      }
      more = ids.length === batchIds || operations.count < ids.length;
      return { operations: operations.joined(), need: operations.need };
    });
  }
  return deleted;
}

class Deletes {
  readonly #operations: Uint8Array[] = [];
  bytes = 0;

  add(id: bigint | string): void {
    const operation = typeof id === 'bigint' ? encodeDeleteInt(id) : encodeDeleteString(encodeUtf8(id));
    this.#operations.push(operation);
    this.bytes += operation.length;
  }

  get count(): number {
    return this.#operations.length;
  }

  get need(): Need {
    return { count: 0, bytes: 0, removals: this.count };
  }

  joined(): Uint8Array {
    return joined(this.#operations);
  }
}
