/**
 * The text form of `where`:
 *
 *   where      := any (OR any)*
 *   any        := one (AND one)*
 *   one        := NOT one | '(' where ')' | condition
 *   condition  := field ('=' | '==' | '!=' | '<>' | '<' | '<=' | '>' | '>=') value
 *               | field [NOT] IN '(' value (',' value)* ')'
 *               | field [NOT] BETWEEN value AND value
 *               | field IS [NOT] NULL
 *   field      := word | `name in backticks`
 *   value      := word | 'text' | "text" | parameter
 *   parameter  := '?' | ':' name          the next of an array, or one by its name
 *
 * Keywords in any case; a quote inside quotes is doubled. A parameter is a value whatever its text: it is never parsed.
 */

import { invalid, shown } from '../../base/arguments.ts';
import type { Comparison, Condition, Operand } from './condition.ts';
import { type Token, tokensOf, whereError } from './tokens.ts';

const nestingMax = 100;
const signs: Record<string, Comparison> = {
  '=': 'eq',
  '==': 'eq',
  '!=': 'ne',
  '<>': 'ne',
  '<': 'lt',
  '<=': 'lte',
  '>': 'gt',
  '>=': 'gte',
};
const keywords: ReadonlySet<string> = new Set(['AND', 'OR', 'NOT', 'IN', 'BETWEEN', 'IS', 'NULL']);

/** @throws INVALID_ARGUMENT with `details.position`, or for parameters that are missing or left over */
export function parseText(text: string, parameters: unknown): Condition {
  const values = new Parameters(parameters);
  const condition = new Parser(tokensOf(text), values).whole();
  values.checkAllUsed();
  return condition;
}

class Parameters {
  readonly #positional: readonly unknown[] | undefined;
  readonly #named: ReadonlyMap<string, unknown> | undefined;
  readonly #used: Set<string> = new Set();
  #next = 0;

  constructor(parameters: unknown) {
    if (parameters === undefined) return;
    if (Array.isArray(parameters)) this.#positional = parameters;
    else if (typeof parameters === 'object' && parameters !== null)
      this.#named = new Map(Object.entries(parameters));
    else throw invalid(`Got ${shown(parameters)} for where.params, expected an array or an object`);
  }

  take({ text, at }: Token): unknown {
    if (text === '?') {
      if (this.#positional === undefined) throw whereError('?', at, 'where.params to be an array');
      if (this.#next === this.#positional.length)
        throw whereError('?', at, `only ${this.#next} parameters, as many as where.params has`);
      return this.#positional[this.#next++];
    }
    const name = text.slice(1);
    if (this.#named === undefined) throw whereError(text, at, 'where.params to be an object');
    if (!this.#named.has(name)) throw whereError(text, at, `where.params to have ${shown(name)}`);
    this.#used.add(name);
    return this.#named.get(name);
  }

  /** A parameter nobody asks for is a typing error. */
  checkAllUsed(): void {
    if (this.#positional !== undefined && this.#next < this.#positional.length) {
      throw invalid(`Got ${this.#positional.length} where.params, but the text has ${this.#next} ?`);
    }
    for (const name of this.#named?.keys() ?? [])
      if (!this.#used.has(name)) throw invalid(`Got where.params.${name}, but the text has no :${name}`);
  }
}

class Parser {
  readonly #tokens: readonly Token[];
  readonly #parameters: Parameters;
  #at = 0;

  constructor(tokens: readonly Token[], parameters: Parameters) {
    this.#tokens = tokens;
    this.#parameters = parameters;
  }

  whole(): Condition {
    const condition = this.#where(0);
    if (this.#next.kind !== 'end') throw this.#unexpected('AND, OR or the end');
    return condition;
  }

  get #next(): Token {
    return this.#tokens[this.#at] as Token;
  }

  #take(): Token {
    return this.#tokens[this.#at++] as Token;
  }

  #isKeyword(keyword: string, token: Token = this.#next): boolean {
    return token.kind === 'word' && token.text.toUpperCase() === keyword;
  }

  #isSign(sign: string): boolean {
    return this.#next.kind === 'sign' && this.#next.text === sign;
  }

  #takeKeyword(keyword: string): boolean {
    const there = this.#isKeyword(keyword);
    if (there) this.#at++;
    return there;
  }

  #expectSign(sign: string): void {
    if (!this.#isSign(sign)) throw this.#unexpected(sign);
    this.#at++;
  }

  #unexpected(expected: string): Error {
    const { kind, text, at } = this.#next;
    return whereError(kind === 'end' ? 'the end' : shown(text), at, expected);
  }

  #where(depth: number): Condition {
    return this.#chain('OR', 'or', () => this.#chain('AND', 'and', () => this.#one(depth)));
  }

  #chain(keyword: string, op: 'and' | 'or', read: () => Condition): Condition {
    const conditions = [read()];
    while (this.#takeKeyword(keyword)) conditions.push(read());
    return conditions.length === 1 ? (conditions[0] as Condition) : { op, conditions };
  }

  #one(depth: number): Condition {
    if (depth > nestingMax) throw this.#unexpected(`at most ${nestingMax} levels`);
    if (this.#takeKeyword('NOT')) return { op: 'not', condition: this.#one(depth + 1) };
    if (!this.#isSign('(')) return this.#condition();
    this.#at++;
    const condition = this.#where(depth + 1);
    this.#expectSign(')');
    return condition;
  }

  #condition(): Condition {
    const field = this.#next;
    const isField = field.kind === 'name' || (field.kind === 'word' && !isReserved(field));
    if (!isField) throw this.#unexpected('a field');
    this.#at++;
    const place = `at character ${field.at + 1} of where`;
    const make = (op: Comparison, operands: Operand[]): Condition => ({
      op,
      field: field.text,
      place,
      operands,
    });
    const sign = this.#next.kind === 'sign' ? signs[this.#next.text] : undefined;
    if (sign !== undefined) {
      this.#at++;
      return make(sign, [this.#value()]);
    }
    if (this.#takeKeyword('IS')) {
      const isNot = this.#takeKeyword('NOT');
      if (!this.#takeKeyword('NULL')) throw this.#unexpected('NULL');
      const exists = make('exists', []);
      return isNot ? exists : { op: 'not', condition: exists };
    }
    const negated = this.#takeKeyword('NOT');
    const condition = this.#listOrRange(make);
    return negated ? { op: 'not', condition } : condition;
  }

  #listOrRange(make: (op: Comparison, operands: Operand[]) => Condition): Condition {
    if (this.#takeKeyword('BETWEEN')) {
      const low = this.#value();
      if (!this.#takeKeyword('AND')) throw this.#unexpected('AND');
      return make('between', [low, this.#value()]);
    }
    if (!this.#takeKeyword('IN')) throw this.#unexpected('=, !=, <, <=, >, >=, IN, BETWEEN or IS');
    this.#expectSign('(');
    const operands = this.#listItem();
    while (this.#isSign(',')) {
      this.#at++;
      operands.push(...this.#listItem());
    }
    this.#expectSign(')');
    return make('in', operands);
  }

  /** A value, or a parameter that is an array of values. */
  #listItem(): Operand[] {
    const operand = this.#value();
    if (operand.kind !== 'value' || !Array.isArray(operand.value)) return [operand];
    return operand.value.map((value: unknown) => ({ ...operand, value }));
  }

  #value(): Operand {
    const token = this.#next;
    const place = `at character ${token.at + 1} of where`;
    if (token.kind === 'parameter') {
      this.#at++;
      return { kind: 'value', value: this.#parameters.take(token), place };
    }
    if (token.kind !== 'string' && (token.kind !== 'word' || isReserved(token)))
      throw this.#unexpected('a value');
    this.#take();
    return { kind: 'text', text: token.text, quoted: token.kind === 'string', place };
  }
}

function isReserved(token: Token): boolean {
  return keywords.has(token.text.toUpperCase());
}
