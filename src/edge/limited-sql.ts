/**
 * SQL that keeps to the limits of production. The local runtime enforces neither, so a statement that would only fail once
 * it is deployed fails here, in every test, by name.
 *
 * Source: Cloudflare's documentation of Durable Objects, "SQLite storage limits".
 */

import { shibuDbError } from '../api/errors.ts';
import type { SqlCursor, SqlStorage, SqlValue } from './durable-storage.ts';

/** Most bytes of one row, all its columns together, and of one value. */
export const rowBytesMax = 2_000_000;
/** Most values bound to one statement. */
export const boundParametersMax = 100;
/** Most bytes of one statement's text. */
export const statementBytesMax = 100_000;

/** What a value counts for in its row. Texts count as UTF-8, at most three bytes for each of JavaScript's units. */
function bytesOf(value: SqlValue): number {
  if (typeof value === 'string') return value.length * 3;
  return typeof value === 'object' && value !== null ? value.byteLength : 8;
}

export class LimitedSql {
  readonly #sql: SqlStorage;

  constructor(sql: SqlStorage) {
    this.#sql = sql;
  }

  get databaseBytes(): number {
    return this.#sql.databaseSize;
  }

  /** Runs one statement. Its bindings are taken for one row. @throws INTERNAL when production would refuse it */
  exec(query: string, ...bindings: SqlValue[]): SqlCursor {
    refuseAbove(query.length, statementBytesMax, 'bytes of a statement');
    refuseAbove(bindings.length, boundParametersMax, 'values bound to a statement');
    let rowBytes = 0;
    for (const value of bindings) rowBytes += bytesOf(value);
    refuseAbove(rowBytes, rowBytesMax, 'bytes of a row');
    return this.#sql.exec(query, ...bindings);
  }
}

function refuseAbove(found: number, most: number, what: string): void {
  if (found <= most) return;
  throw shibuDbError(
    'INTERNAL',
    `Got ${found} ${what}, expected at most ${most}: the limit of a Durable Object`,
  );
}
