/** The text of a `where`, cut into tokens that know where they begin. */

import { type ShibuDbError, shibuDbError } from '../../api/errors.ts';

export type TokenKind = 'word' | 'string' | 'name' | 'parameter' | 'sign' | 'end';

/** `text` is what the token means: without quotes, doubled quotes undone. `at` counts UTF-16 units from 0. */
export interface Token {
  readonly kind: TokenKind;
  readonly text: string;
  readonly at: number;
}

const whereLengthMax = 65_536;
/** Longer signs first. */
const sign = /(?:<>|<=|>=|==|!=|[()<>=,])/y;
const blank = /\s+/y;
const parameter = /(?:\?|:[\p{L}_][\p{L}\p{N}_]*)/uy;
const quoted = /'((?:[^']|'')*)'|"((?:[^"]|"")*)"|`((?:[^`]|``)+)`/y;
/** Whatever holds no blank, sign or quote: `cat_0`, `-1.5e3`, `2024-01-01`, `docs/a.md`. */
const word = /[^\s()<>=,!'"`]+/y;

export function whereError(found: string, at: number, expected: string): ShibuDbError {
  return shibuDbError(
    'INVALID_ARGUMENT',
    `Got ${found} at character ${at + 1} of where, expected ${expected}`,
    { details: { position: at } },
  );
}

/** @throws INVALID_ARGUMENT with `details.position` */
export function tokensOf(text: string): Token[] {
  if (text.length > whereLengthMax) {
    throw whereError(`${text.length} characters`, 0, `at most ${whereLengthMax}`);
  }
  const tokens: Token[] = [];
  let at = 0;
  const take = (pattern: RegExp): RegExpExecArray | null => {
    pattern.lastIndex = at;
    return pattern.exec(text);
  };
  for (;;) {
    at += take(blank)?.[0].length ?? 0;
    if (at >= text.length) break;
    const token = tokenAt(take, at);
    if (token === undefined) {
      const open = text[at] as string;
      const isQuote = '\'"`'.includes(open);
      throw whereError(open, at, isQuote ? `a closing ${open} behind it` : 'a name, a value or an operator');
    }
    tokens.push(token);
    at = token.end;
  }
  tokens.push({ kind: 'end', text: '', at: text.length });
  return tokens;
}

function tokenAt(
  take: (pattern: RegExp) => RegExpExecArray | null,
  at: number,
): (Token & { end: number }) | undefined {
  const end = (match: RegExpExecArray): number => at + match[0].length;
  let match = take(sign);
  if (match !== null) return { kind: 'sign', text: match[0], at, end: end(match) };
  match = take(quoted);
  if (match !== null) {
    const [, single, double, name] = match;
    if (name !== undefined) return { kind: 'name', text: name.replaceAll('``', '`'), at, end: end(match) };
    const text = single?.replaceAll("''", "'") ?? double?.replaceAll('""', '"') ?? '';
    return { kind: 'string', text, at, end: end(match) };
  }
  match = take(parameter);
  if (match !== null) return { kind: 'parameter', text: match[0], at, end: end(match) };
  match = take(word);
  return match === null ? undefined : { kind: 'word', text: match[0], at, end: end(match) };
}
