/** Redis' patterns for keys: `*`, `?`, `[abc]`, `[^a-c]`, and `\` before what stands for itself. */

/** The keys that fit; and what all of them begin with, so that only those need be looked at. */
export interface Glob {
  readonly prefix: string;
  readonly fits: (key: string) => boolean;
}

export function globOf(pattern: string): Glob {
  const tokens = tokensOf(pattern);
  let prefix = '';
  for (const token of tokens) {
    if (typeof token !== 'string' || token === '') break;
    prefix += token;
  }
  return { prefix, fits: (key) => fits(tokens, [...key]) };
}

const anyOne = Symbol('?');
const anyNumber = Symbol('*');
/** A character, or one of a set, or `?`, or `*`. */
type Token = string | RegExp | typeof anyOne | typeof anyNumber;

function tokensOf(pattern: string): Token[] {
  const tokens: Token[] = [];
  const characters = [...pattern];
  for (let i = 0; i < characters.length; i++) {
    const character = characters[i] ?? '';
    if (character === '*') {
      if (tokens.at(-1) !== anyNumber) tokens.push(anyNumber);
    } else if (character === '?') tokens.push(anyOne);
    else if (character === '\\' && i + 1 < characters.length) tokens.push(characters[++i] ?? '');
    else if (character === '[') {
      const end = characters.indexOf(']', i + 1);
      const inside = characters.slice(i + 1, end < 0 ? undefined : end).join('');
      tokens.push(setOf(inside));
      i = end < 0 ? characters.length : end;
    } else tokens.push(character);
  }
  return tokens;
}

function setOf(inside: string): RegExp {
  const negated = inside.startsWith('^');
  const members = (negated ? inside.slice(1) : inside).replace(/[\\\]^]/g, '\\$&');
  if (members === '') return negated ? /./su : /^(?!)$/u;
  try {
    return new RegExp(`^[${negated ? '^' : ''}${members}]$`, 'u');
  } catch {
    // A range that runs backwards fits nothing.
    return /^(?!)$/u;
  }
}

/** Without backtracking over more than the last star: as many steps as the pattern has characters, times the key's. */
function fits(tokens: readonly Token[], key: readonly string[]): boolean {
  let t = 0;
  let k = 0;
  let starAt = -1;
  let resumeAt = 0;
  while (k < key.length) {
    const token = tokens[t];
    if (token === anyNumber) {
      starAt = t++;
      resumeAt = k;
    } else if (token !== undefined && fitsOne(token, key[k] ?? '')) {
      t++;
      k++;
    } else if (starAt >= 0) {
      t = starAt + 1;
      k = ++resumeAt;
    } else return false;
  }
  while (tokens[t] === anyNumber) t++;
  return t === tokens.length;
}

function fitsOne(token: Exclude<Token, typeof anyNumber>, character: string): boolean {
  if (token === anyOne) return true;
  return typeof token === 'string' ? token === character : token.test(character);
}
