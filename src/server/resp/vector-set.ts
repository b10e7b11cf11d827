/** A vector set is a Cosine space with text ids: which one a key names, and the vectors that commands bring. */

import type { SpaceDescription } from '../../api/database.ts';
import { isShibuDbError } from '../../api/errors.ts';
import { integerWord, numberWord, type RespContext, syntaxError, upper } from './resp-command.ts';
import { RespError } from './resp-writer.ts';

/** What there is under the name of a set. Nothing: no such space. */
export async function describeSet(context: RespContext, name: string): Promise<SpaceDescription | undefined> {
  try {
    const space = await context.client.call('describeSpace', { name });
    if (space.engine !== 'vector' || space.metric !== 'Cosine' || space.ids !== 'string')
      throw new RespError(
        'WRONGTYPE Vector sets are Cosine spaces with string ids, and this space is another kind',
      );
    return space;
  } catch (error) {
    if (isShibuDbError(error) && error.code === 'SPACE_NOT_FOUND') return undefined;
    throw error;
  }
}

/** A vector as `FP32 bytes` or `VALUES n x y …`, from word `at`; and the word behind it. */
export function vectorIn(words: readonly Buffer[], at: number): { vector: Float32Array; next: number } {
  const kind = upper(words[at]);
  if (kind === 'FP32') {
    const bytes = words[at + 1];
    if (bytes === undefined || bytes.length === 0 || bytes.length % 4 !== 0)
      throw new RespError('ERR invalid vector specification');
    return { vector: new Float32Array(Uint8Array.from(bytes).buffer), next: at + 2 };
  }
  if (kind === 'VALUES') {
    const count = Number(integerWord(words[at + 1]));
    if (count < 1 || at + 2 + count > words.length) throw new RespError('ERR invalid vector specification');
    return {
      vector: Float32Array.from(words.slice(at + 2, at + 2 + count), numberWord),
      next: at + 2 + count,
    };
  }
  throw syntaxError();
}

export function dimensionError(expected: number | undefined, found: number): RespError {
  return new RespError(`ERR Vector dimension mismatch - got ${found} but set has ${expected}`);
}
