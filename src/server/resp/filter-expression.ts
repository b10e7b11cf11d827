/**
 * The expressions of VSIM's FILTER, as Redis 8 has them: `.year >= 1980 and (.genre == "action" or 5 in .codes)`. They are
 * evaluated on the attributes of an element; what has no value there, or one of a kind that an operator cannot take, makes the
 * whole expression fail. https://redis.io/docs/latest/develop/data-types/vector-sets/filtered-search/
 */

import type { Json, Metadata } from '../../api/database.ts';
import { RespError } from './resp-writer.ts';

/** Truth is 1, falsehood 0. */
export type Operand = number | string | readonly (number | string)[];

export type Expression =
  | { readonly kind: 'value'; readonly value: Operand }
  | { readonly kind: 'field'; readonly name: string }
  | { readonly kind: 'not'; readonly of: Expression }
  | {
      readonly kind: 'binary';
      readonly operator: string;
      readonly left: Expression;
      readonly right: Expression;
    };

const bytesMax = 16 * 1024;
const depthMax = 64;

/** How strongly they bind: all to the left, but for `**`. */
const strength: Readonly<Record<string, number>> = {
  or: 0,
  and: 1,
  '<': 2,
  '<=': 2,
  '>': 2,
  '>=': 2,
  '==': 2,
  '!=': 2,
  in: 2,
  '+': 3,
  '-': 3,
  '*': 4,
  '/': 4,
  '%': 4,
  '**': 5,
};
const notStrength = 6;
const otherNames: Readonly<Record<string, string>> = { '&&': 'and', '||': 'or', '!': 'not' };

interface Token {
  readonly kind: 'number' | 'string' | 'field' | 'word';
  readonly text: string;
  readonly at: number;
}

const tokenPattern =
  /\s*(?:(?<number>\d+(?:\.\d*)?(?:[eE][+-]?\d+)?)|\.(?<field>[\p{L}_][\p{L}\p{N}_-]*)|"(?<double>(?:[^"\\]|\\.)*)"|'(?<single>(?:[^'\\]|\\.)*)'|(?<word>and\b|or\b|not\b|in\b|&&|\|\||\*\*|[<>=!]=|[-<>!+*/%()[\],]))/uy;

/** @throws RespError where it is no expression */
export function parseExpression(text: string): Expression {
  if (text.length > bytesMax)
    throw new RespError(`ERR FILTER expressions have at most ${bytesMax} characters`);
  return new Parser(text).parse();
}

class Parser {
  readonly #text: string;
  readonly #tokens: readonly Token[];
  #next = 0;
  #depth = 0;

  constructor(text: string) {
    this.#text = text;
    this.#tokens = tokensOf(text);
  }

  parse(): Expression {
    const parsed = this.#expression(0);
    if (this.#next < this.#tokens.length) throw this.#fault();
    return parsed;
  }

  #fault(): RespError {
    return faultAt(this.#text, this.#tokens[this.#next]?.at ?? this.#text.length);
  }

  #word(): string | undefined {
    const token = this.#tokens[this.#next];
    return token?.kind === 'word' ? token.text : undefined;
  }

  #take(word: string): boolean {
    if (this.#word() !== word) return false;
    this.#next++;
    return true;
  }

  #expect(word: string): void {
    if (!this.#take(word)) throw this.#fault();
  }

  #expression(least: number): Expression {
    if (++this.#depth > depthMax) throw new RespError(`ERR the FILTER expression is nested too deeply`);
    let left = this.#operand();
    for (;;) {
      const operator = this.#word() ?? '';
      const bound = strength[operator];
      if (bound === undefined || bound < least) break;
      this.#next++;
      const right = this.#expression(operator === '**' ? bound : bound + 1);
      left = { kind: 'binary', operator, left, right };
    }
    this.#depth--;
    return left;
  }

  #operand(): Expression {
    if (this.#take('(')) {
      const inner = this.#expression(0);
      this.#expect(')');
      return inner;
    }
    if (this.#take('not')) return { kind: 'not', of: this.#expression(notStrength) };
    if (this.#take('[')) return { kind: 'value', value: this.#list() };
    const token = this.#tokens[this.#next];
    if (token?.kind === 'field') {
      this.#next++;
      return { kind: 'field', name: token.text };
    }
    return { kind: 'value', value: this.#literal() };
  }

  #list(): (number | string)[] {
    const values: (number | string)[] = [];
    if (this.#take(']')) return values;
    do values.push(this.#literal());
    while (this.#take(','));
    this.#expect(']');
    return values;
  }

  #literal(): number | string {
    const isNegative = this.#take('-');
    const token = this.#tokens[this.#next];
    if (token?.kind === 'number') {
      this.#next++;
      return isNegative ? -Number(token.text) : Number(token.text);
    }
    if (token?.kind !== 'string' || isNegative) throw this.#fault();
    this.#next++;
    return token.text;
  }
}

function tokensOf(text: string): Token[] {
  const tokens: Token[] = [];
  const end = text.trimEnd().length;
  for (let at = 0; at < end; at = tokenPattern.lastIndex) {
    tokenPattern.lastIndex = at;
    const found = tokenPattern.exec(text)?.groups;
    if (found === undefined) throw faultAt(text, at);
    const { number, field, double, single, word } = found;
    const quoted = double ?? single;
    if (number !== undefined) tokens.push({ kind: 'number', text: number, at });
    else if (field !== undefined) tokens.push({ kind: 'field', text: field, at });
    else if (quoted !== undefined) tokens.push({ kind: 'string', text: quoted.replace(/\\(.)/gs, '$1'), at });
    else tokens.push({ kind: 'word', text: otherNames[word ?? ''] ?? word ?? '', at });
  }
  return tokens;
}

function faultAt(text: string, at: number): RespError {
  return new RespError(`ERR syntax error in FILTER expression near: ${text.slice(at, at + 40).trim()}`);
}

/** Whether it holds for an element with these attributes. */
export function holds(expression: Expression, attributes: Metadata): boolean {
  const value = operandAt(expression, attributes);
  return value !== undefined && isTrue(value);
}

const isTrue = (value: Operand): boolean => (typeof value === 'number' ? value !== 0 : value.length > 0);

/** Nothing: what it needs is not there, or not of that kind. Both sides are always looked at. */
function operandAt(expression: Expression, attributes: Metadata): Operand | undefined {
  switch (expression.kind) {
    case 'value':
      return expression.value;
    case 'field':
      return operandOf(Object.hasOwn(attributes, expression.name) ? attributes[expression.name] : undefined);
    case 'not': {
      const value = operandAt(expression.of, attributes);
      return value === undefined ? undefined : Number(!isTrue(value));
    }
    default: {
      const left = operandAt(expression.left, attributes);
      const right = operandAt(expression.right, attributes);
      return left === undefined || right === undefined
        ? undefined
        : resultOf(expression.operator, left, right);
    }
  }
}

function operandOf(value: Json | bigint | undefined): Operand | undefined {
  if (typeof value === 'boolean' || typeof value === 'bigint') return Number(value);
  if (typeof value === 'number' || typeof value === 'string') return value;
  const isTuple =
    Array.isArray(value) && value.every((item) => typeof item === 'number' || typeof item === 'string');
  return isTuple ? (value as (number | string)[]) : undefined;
}

function resultOf(operator: string, left: Operand, right: Operand): Operand | undefined {
  if (operator === 'and') return Number(isTrue(left) && isTrue(right));
  if (operator === 'or') return Number(isTrue(left) || isTrue(right));
  if (operator === '==') return Number(areEqual(left, right));
  if (operator === '!=') return Number(!areEqual(left, right));
  if (operator === 'in') {
    if (typeof right === 'number') return undefined;
    if (typeof right === 'string') return typeof left === 'string' ? Number(right.includes(left)) : undefined;
    return Number(right.some((item) => areEqual(left, item)));
  }
  const [a, b] = [numberOf(left), numberOf(right)];
  return a === undefined || b === undefined ? undefined : arithmetic(operator, a, b);
}

function areEqual(left: Operand, right: Operand): boolean {
  if (typeof left === typeof right) return left === right;
  const [a, b] = [numberOf(left), numberOf(right)];
  return a !== undefined && a === b;
}

/** A text may be one. */
function numberOf(value: Operand): number | undefined {
  if (typeof value === 'number') return value;
  if (typeof value !== 'string' || value.trim() === '') return undefined;
  const number = Number(value);
  return Number.isNaN(number) ? undefined : number;
}

function arithmetic(operator: string, a: number, b: number): number {
  switch (operator) {
    case '<':
      return Number(a < b);
    case '<=':
      return Number(a <= b);
    case '>':
      return Number(a > b);
    case '>=':
      return Number(a >= b);
    case '+':
      return a + b;
    case '-':
      return a - b;
    case '*':
      return a * b;
    case '/':
      return a / b;
    case '%':
      return a % b;
    default:
      return a ** b;
  }
}
