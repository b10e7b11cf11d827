/** Bytes into lines: bounded memory, CR LF or LF, a last line without an end. */

import { invalid } from '../base/arguments.ts';

/** Longer than any command or entry that the database would take (a value of 64 MiB, escaped, is within it). */
const lineBytesMax = 400 * 1024 * 1024;
const lineFeed = 10;

export interface Line {
  readonly text: string;
  /** From 1. */
  readonly number: number;
}

/** @throws INVALID_ARGUMENT naming the line that is not UTF-8 or too long */
export async function* linesOf(bytes: AsyncIterable<Uint8Array>): AsyncGenerator<Line, void, undefined> {
  const decoder = new TextDecoder('utf-8', { fatal: true });
  let number = 0;
  let pending: Uint8Array[] = [];
  let pendingBytes = 0;
  const finish = (): Line => {
    number++;
    const text = decodeLine(decoder, pending, number);
    pending = [];
    pendingBytes = 0;
    return { text: text.endsWith('\r') ? text.slice(0, -1) : text, number };
  };
  for await (const chunk of bytes) {
    let from = 0;
    for (let end = chunk.indexOf(lineFeed); end >= 0; end = chunk.indexOf(lineFeed, from)) {
      pending.push(chunk.subarray(from, end));
      from = end + 1;
      yield finish();
    }
    if (from === chunk.length) continue;
    pending.push(chunk.subarray(from));
    pendingBytes += chunk.length - from;
    if (pendingBytes > lineBytesMax) {
      throw invalid(`Line ${number + 1} is longer than ${lineBytesMax} bytes`);
    }
  }
  if (pending.length > 0) yield finish();
}

function decodeLine(decoder: TextDecoder, parts: readonly Uint8Array[], number: number): string {
  const [first] = parts;
  const whole = parts.length === 1 && first !== undefined ? first : Buffer.concat(parts);
  try {
    return decoder.decode(whole);
  } catch {
    throw invalid(`Line ${number} is not UTF-8`);
  }
}
