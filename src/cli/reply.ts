/** What a command answers: one value for programs, and the same as text for people. */

import type { Value, VectorId } from '../api/database.ts';
import { isShibuDbError } from '../api/errors.ts';

export interface Reply {
  /** Plain data; bigints are allowed and become strings. */
  readonly value: unknown;
  readonly text: string;
  readonly failed?: true;
  /** Whether the session ends here. */
  readonly ends?: true;
}

export const ok: Reply = { value: 'OK', text: 'OK' };

export function failure(error: unknown): Reply {
  const message = error instanceof Error ? error.message : String(error);
  const code = isShibuDbError(error) ? error.code : 'INTERNAL';
  // Whatever the message quotes, a reply's first line is the whole error.
  return { value: { error: { code, message } }, text: `ERROR: ${oneLine(message)}`, failed: true };
}

/** The line or lines that are printed for a reply, with the last line's end. */
export function printed(reply: Reply, json: boolean): string {
  return `${json ? asJson(reply.value) : reply.text}\n`;
}

export function asJson(value: unknown): string {
  return JSON.stringify(value, (_, each: unknown) => (typeof each === 'bigint' ? String(each) : each));
}

/** Columns as wide as their widest cell; numbers to the right. Nothing but a note for no rows. */
export function table(columns: readonly string[], rows: readonly (readonly unknown[])[]): string {
  if (rows.length === 0) return '(none)';
  const cells = rows.map((row) => row.map((cell) => (cell === undefined ? '' : oneLine(String(cell)))));
  const widths = columns.map((name, column) =>
    Math.max(name.length, ...cells.map((row) => (row[column] ?? '').length)),
  );
  const toRight = columns.map((_, column) => rows.every((row) => isNumber(row[column])));
  const line = (row: readonly string[]): string =>
    row
      .map((cell, i) => (toRight[i] ? cell.padStart(widths[i] ?? 0) : cell.padEnd(widths[i] ?? 0)))
      .join('  ')
      .trimEnd();
  return [line(columns), line(widths.map((width) => '-'.repeat(width))), ...cells.map(line)].join('\n');
}

function isNumber(cell: unknown): boolean {
  return typeof cell === 'number' || typeof cell === 'bigint';
}

/** Stored text may hold line ends and a terminal's control sequences: neither is let through to a terminal. */
function oneLine(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what it is about
  return text.replace(/[\u0000-\u001f\u007f-\u009f\u2028\u2029]/g, (character) => {
    const known = { '\n': '\\n', '\r': '\\r', '\t': '\\t' }[character];
    return known ?? `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
  });
}

/** A stored value as it may be typed in again; bytes, which cannot be, by their number. */
export function valueText(value: Value | undefined): string {
  if (value === undefined) return '(nil)';
  return typeof value === 'string' ? oneLine(JSON.stringify(value)) : `(${value.length} bytes)`;
}

export function valueJson(value: Value | undefined): unknown {
  if (value === undefined) return null;
  return typeof value === 'string' ? value : { bytes: Buffer.from(value).toString('base64') };
}

export function keyText(key: string): string {
  return oneLine(key);
}

export function idText(id: VectorId): string | number | bigint {
  return typeof id === 'string' ? oneLine(id) : id;
}
