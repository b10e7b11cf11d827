/**
 * Plain SETs that stand one after another in a pipeline, as one call: to check, log and acknowledge them together costs a third
 * of doing it one by one. Each is a write of its own all the same: where one is at fault, each is made by itself.
 */

import { isUtf8 } from 'node:buffer';
import { emptyColumns, headOf } from '../../base/pack-values.ts';
import { PackedKind } from '../../base/packed-values.ts';
import { checkKey } from '../../space/key-value-space.ts';
import { keyIn, type RespContext, spaceOf } from './resp-command.ts';

const commandsMax = 128;
const bytesMax = 256 * 1024;

function isPlainSet(words: readonly Buffer[] | undefined): words is readonly [Buffer, Buffer, Buffer] {
  const name = words?.[0];
  return (
    words?.length === 3 &&
    name?.length === 3 &&
    // Of either case.
    ((name[0] ?? 0) | 0x20) === 0x73 &&
    ((name[1] ?? 0) | 0x20) === 0x65 &&
    ((name[2] ?? 0) | 0x20) === 0x74
  );
}

/** How many of the commands from number `from` on make a run; 0 or 1: none. */
export function setRunLength(waiting: readonly Buffer[][], from: number): number {
  let count = 0;
  let bytes = 0;
  while (count < commandsMax) {
    const words = waiting[from + count];
    if (!isPlainSet(words)) break;
    bytes += words[2].length;
    if (bytes > bytesMax) break;
    count++;
  }
  return count;
}

/**
 * Rejects with what all of them fail of.
 * @throws at once where one is at fault: nothing is written then
 */
export function putRun(context: RespContext, run: readonly Buffer[][]): Promise<undefined> {
  const space = spaceOf(context);
  const keys = run.map((words) => checkKey(keyIn(words[1])));
  const bytes = run.reduce((sum, words) => sum + (words[2]?.length ?? 0), 0);
  const values = emptyColumns(run.length, bytes);
  let used = 0;
  for (const [i, words] of run.entries()) {
    const value = words[2] ?? Buffer.alloc(0);
    values.heads[i] = headOf(isUtf8(value) ? PackedKind.Text : PackedKind.Bytes, value.length);
    values.bytes.set(value, used);
    used += value.length;
  }
  return context.client.call('putEach', { space, keys, values }, run.length) as Promise<undefined>;
}
