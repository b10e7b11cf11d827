/**
 * A command line as words: split at blanks; quotes hold a word together, and a quoted word is never taken for an option.
 * In double quotes the escapes are those of JSON; in single quotes everything stands for itself.
 */

import { invalid, shown } from '../base/arguments.ts';

export interface Word {
  readonly text: string;
  readonly quoted: boolean;
}

/** What a command was given: words in their order, and options by name. */
export interface Arguments {
  readonly words: readonly string[];
  readonly options: ReadonlyMap<string, string>;
}

const blank = /\s/;

/** @throws INVALID_ARGUMENT for a quote that is not closed, an escape there is not, or text glued to a closing quote */
export function splitWords(line: string): Word[] {
  const words: Word[] = [];
  let at = 0;
  for (;;) {
    while (at < line.length && blank.test(line.charAt(at))) at++;
    if (at === line.length) return words;
    const quote = line.charAt(at);
    if (quote !== '"' && quote !== "'") {
      const from = at;
      while (at < line.length && !blank.test(line.charAt(at))) at++;
      words.push({ text: line.slice(from, at), quoted: false });
      continue;
    }
    const end = closingQuote(line, at);
    const text = quote === '"' ? unescaped(line.slice(at, end + 1)) : line.slice(at + 1, end);
    words.push({ text, quoted: true });
    at = end + 1;
    if (at < line.length && !blank.test(line.charAt(at))) {
      throw invalid(`Got ${shown(line.slice(at, at + 10))} right after a closing quote, expected a blank`);
    }
  }
}

function closingQuote(line: string, from: number): number {
  const quote = line.charAt(from);
  for (let at = from + 1; at < line.length; at++) {
    if (line.charAt(at) === quote) return at;
    if (quote === '"' && line.charAt(at) === '\\') at++;
  }
  throw invalid(`Got a ${quote} that is not closed, expected another one`);
}

/** `quoted` with its quotes. A tab in it is let through, where JSON would want `\t`. */
function unescaped(quoted: string): string {
  try {
    return JSON.parse(quoted.replaceAll('\t', '\\t')) as string;
  } catch {
    throw invalid(`Got ${shown(quoted)}, expected only the escapes \\" \\\\ \\/ \\n \\r \\t \\b \\f \\uXXXX`);
  }
}

/**
 * Takes `--name value` and `--name=value` out of the words.
 * @param names the options there are, without dashes
 * @throws INVALID_ARGUMENT for another one, or one without a value
 */
export function takeOptions(words: readonly Word[], names: readonly string[]): Arguments {
  const rest: string[] = [];
  const options = new Map<string, string>();
  for (let at = 0; at < words.length; at++) {
    const { text, quoted } = words[at] as Word;
    if (quoted || !text.startsWith('--') || names.length === 0) {
      rest.push(text);
      continue;
    }
    const [, name = '', inline] = /^--([^=]*)(?:=(.*))?$/s.exec(text) ?? [];
    if (!names.includes(name)) {
      throw invalid(`Got the option --${name}, expected ${names.map((each) => `--${each}`).join(', ')}`);
    }
    const value = inline ?? words[++at]?.text;
    if (value === undefined) throw invalid(`Got --${name} without a value, expected one behind it`);
    options.set(name, value);
  }
  return { words: rest, options };
}
