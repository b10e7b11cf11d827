/**
 * Many keys as one text, which crosses to another thread for the price of a few: each of them is cloned by itself else. As long as
 * all are ASCII its bytes are what the core looks keys up by (wasm/exports_kv.cc): u32 length, key, padding to 4 bytes.
 */

import type { PackedKeys } from '../api/calls.ts';
import { invalid, shown } from './arguments.ts';

/** What a length of one ASCII byte can say. */
const lengthMost = 127;
/** Before a key: its length; behind it: the padding. */
const fronts: readonly string[] = Array.from(
  { length: lengthMost + 1 },
  (_, length) => `${String.fromCharCode(length)}\0\0\0`,
);
const paddings = ['', '\0\0\0', '\0\0', '\0'] as const;

/** `undefined` where some are no texts of 1 to 127 units: the session is to judge those. */
export function packKeys(keys: readonly string[]): PackedKeys | undefined {
  if (!Array.isArray(keys)) return undefined;
  let text = '';
  for (const key of keys as readonly unknown[]) {
    if (typeof key !== 'string' || key.length === 0 || key.length > lengthMost) return undefined;
    text += fronts[key.length] as string;
    text += key;
    text += paddings[key.length & 3] as string;
  }
  return { text, count: keys.length };
}

/** @throws INVALID_ARGUMENT for what `packKeys` does not make */
export function unpackKeys(packed: PackedKeys): string[] {
  const keys: string[] = [];
  walk(packed, (text, at, length) => {
    keys.push(text.slice(at, at + length));
  });
  return keys;
}

/** @throws INVALID_ARGUMENT, likewise */
export function checkPackedKeys(packed: PackedKeys): void {
  walk(packed, () => {});
}

function walk(packed: PackedKeys, visit: (text: string, at: number, length: number) => void): void {
  const { text, count } = packed;
  let at = 0;
  let walked = 0;
  if (typeof text === 'string') {
    for (; at + 4 < text.length; walked++) {
      const length = text.charCodeAt(at);
      const rest = text.charCodeAt(at + 1) | text.charCodeAt(at + 2) | text.charCodeAt(at + 3);
      if (length === 0 || length > lengthMost || rest !== 0) break;
      visit(text, at + 4, length);
      at += (length + 7) & ~3;
    }
  }
  if (at !== text?.length || walked !== count)
    throw invalid(`Got ${shown(packed)} for packed keys, expected a text of ${shown(count)} keys`);
}
