/**
 * Cutting running text into sentences, each with its place in the source. Plain rules rather than
 * Intl.Segmenter: passages are stored, so the cuts must be the same in every browser and version.
 */

/** A piece of the source: `[start, end)` in UTF-16 units. */
export interface Span {
  readonly start: number;
  readonly end: number;
}

/** A run this long without a sentence's end is data or a list; it is cut at a space, else anywhere. */
const SENTENCE_LENGTH_MAX = 600;

/** A full stop, question or exclamation mark with closing quotes, before a space and what may open a sentence. */
const SENTENCE_END = /[.!?…]+["'”’)\]*_`]*\s+(?=[\p{Lu}\p{Lt}\p{Lo}\p{N}"'“‘([*_`#-])|[。！？]+[」』”）]*/gu;

/** After these a full stop does not end a sentence. */
const ABBREVIATION =
  /(?:^|[\s(])(?:[A-Z]|Mr|Mrs|Ms|Dr|Prof|St|vs|etc|e\.g|i\.e|cf|al|Fig|Eq|No|Vol|pp?|ca|approx)\.$/;

/** Yields the sentences of `source[start, end)` without the white space around them, in order. */
export function* sentencesOf(source: string, start: number, end: number): Generator<Span> {
  // One bounded window at a time: a file of one huge line is neither copied nor matched as a whole.
  let from = start;
  while (from < end) {
    const to = Math.min(end, sentenceEnd(source, from, end));
    const span = trimmed(source, from, to);
    if (span.start < span.end) yield span;
    from = to;
  }
}

function sentenceEnd(source: string, from: number, end: number): number {
  const window = source.slice(from, Math.min(end, from + SENTENCE_LENGTH_MAX + 1));
  for (const match of window.matchAll(SENTENCE_END)) {
    const cut = match.index + match[0].length;
    const head = window.slice(0, match.index + 1);
    if (cut <= SENTENCE_LENGTH_MAX && !ABBREVIATION.test(head)) return from + cut;
  }
  if (from + SENTENCE_LENGTH_MAX >= end) return end;
  const space = window.slice(0, SENTENCE_LENGTH_MAX).search(/\s\S*$/);
  const cut = space > SENTENCE_LENGTH_MAX / 2 ? space : SENTENCE_LENGTH_MAX;
  // Never between the two halves of a surrogate pair.
  return from + (/[\uD800-\uDBFF]/.test(window[cut - 1] ?? '') ? cut - 1 : cut);
}

function trimmed(source: string, start: number, end: number): Span {
  let [from, to] = [start, end];
  while (from < to && /\s/.test(source[from] ?? '')) from++;
  while (to > from && /\s/.test(source[to - 1] ?? '')) to--;
  return { start: from, end: to };
}

/**
 * Words in a text, for sizing passages. Text without spaces (Chinese, Japanese, long data) counts by its
 * characters, so that its passages do not become ten times as long.
 */
export function countWords(text: string): number {
  let words = 0;
  let inWord = false;
  for (let i = 0; i < text.length; i++) {
    const isSpace = text.charCodeAt(i) <= 32;
    if (!isSpace && !inWord) words++;
    inWord = !isSpace;
  }
  return Math.max(words, Math.ceil(text.length / 12));
}
