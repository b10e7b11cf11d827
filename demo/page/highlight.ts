/**
 * Marking the words of a passage that a query names: the same stem, or the beginning of a word still being typed.
 * It shows why the built-in embedder found a passage; the sentence model may find one with no word in common.
 */

import { isStopWord, stem } from '../embed/english.ts';
import { tokenize } from '../embed/lexical.ts';

export interface TextPart {
  readonly text: string;
  readonly isMatch: boolean;
}

/** A beginning shorter than this would mark half the page. */
const PREFIX_LENGTH_MIN = 3;

/** Splits `text` into parts, in order and without loss, matching and other ones in turn. */
export function highlightMatches(text: string, query: string): TextPart[] {
  const queryWords = tokenize(query);
  const content = queryWords.filter((word) => !isStopWord(word));
  const words = content.length > 0 ? content : queryWords;
  const stems = new Set(words.map(stem));
  // Only the last word can be half typed, and only while nothing follows it.
  const last = /[\p{L}\p{N}]$/u.test(query) ? words.at(-1) : undefined;
  const prefix = last !== undefined && last.length >= PREFIX_LENGTH_MIN ? last : undefined;

  const matches = (word: string): boolean =>
    tokenize(word).some(
      (token) => stems.has(stem(token)) || (prefix !== undefined && token.startsWith(prefix)),
    );

  const parts: TextPart[] = [];
  const push = (part: string, isMatch: boolean): void => {
    if (part !== '') parts.push({ text: part, isMatch });
  };
  let end = 0;
  for (const match of text.matchAll(/[\p{L}\p{N}\p{M}]+/gu)) {
    if (stems.size === 0 || !matches(match[0])) continue;
    push(text.slice(end, match.index), false);
    push(match[0], true);
    end = match.index + match[0].length;
  }
  push(text.slice(end), false);
  return parts;
}
