/** Random filters in every form there is, with what they mean: a function over one vector's metadata. */

import type { Filter, FilterValue, Metadata, Where } from '../../src/api/database.ts';
import type { Random } from './random.ts';

export interface RandomFilter {
  /** The same filter as a text, as a text with parameters by place and by name, and as an object. */
  readonly forms: readonly Where[];
  holds(metadata: Metadata): boolean;
}

type Kind = 'string' | 'int' | 'float' | 'bool' | 'string[]';
const kinds: readonly (readonly [string, Kind])[] = [
  ['category', 'string'],
  ['year', 'int'],
  ['price', 'float'],
  ['sold', 'bool'],
  ['tags', 'string[]'],
];
const words = ['a', 'b', 'ab', 'cat_0', 'cat 1', "it's", '"q"', 'é', '2001', 'AND', ''];
const signs = { eq: '=', ne: '!=', lt: '<', lte: '<=', gt: '>', gte: '>=' } as const;
type Sign = keyof typeof signs;

/** A filter as a tree that each form is written from. */
type Node =
  | { op: Sign; field: string; values: [FilterValue] }
  | { op: 'in' | 'between'; field: string; values: FilterValue[] }
  | { op: 'exists'; field: string; values: [] }
  | { op: 'and' | 'or' | 'not'; nodes: Node[] };

export function randomValue(random: Random, kind: Kind): FilterValue {
  if (kind === 'int') return random.below(12) - 4;
  if (kind === 'float') return (random.below(40) - 20) / 4;
  if (kind === 'bool') return random.below(2) === 0;
  return random.pick(words);
}

export function randomMetadata(random: Random): Metadata {
  const metadata: Record<string, unknown> = {};
  for (const [name, kind] of kinds) {
    if (random.below(4) === 0) continue;
    metadata[name] =
      kind === 'string[]'
        ? Array.from({ length: random.below(4) }, () => randomValue(random, kind))
        : randomValue(random, kind);
  }
  return metadata as Metadata;
}

export function randomFilter(random: Random, depth = 3): RandomFilter {
  const node = randomNode(random, depth);
  const placed: unknown[] = [];
  const named: Record<string, unknown> = {};
  const byPlace = textOf(node, random, (value) => {
    placed.push(value);
    return '?';
  });
  const byName = textOf(node, random, (value) => {
    const name = `p${Object.keys(named).length}`;
    named[name] = value;
    return `:${name}`;
  });
  return {
    forms: [
      textOf(node, random, (value) => literal(value, random)),
      { text: byPlace, params: placed },
      { text: byName, params: named },
      objectOf(node),
    ],
    holds: (metadata) => holds(node, metadata),
  };
}

function randomNode(random: Random, depth: number): Node {
  const roll = depth === 0 ? 0 : random.below(6);
  if (roll === 3 || roll === 4) {
    const nodes = Array.from({ length: 2 + random.below(2) }, () => randomNode(random, depth - 1));
    return { op: roll === 3 ? 'and' : 'or', nodes };
  }
  if (roll === 5) return { op: 'not', nodes: [randomNode(random, depth - 1)] };
  const [field, kind] = random.pick(kinds);
  const value = (): FilterValue => randomValue(random, kind);
  const ordered = kind !== 'bool' && kind !== 'string[]';
  switch (random.below(ordered ? 6 : 4)) {
    case 0:
      return { op: 'in', field, values: Array.from({ length: 1 + random.below(4) }, value) };
    case 1:
      return random.below(3) === 0
        ? { op: 'exists', field, values: [] }
        : { op: 'ne', field, values: [value()] };
    case 4:
      return { op: 'between', field, values: [value(), value()] };
    case 5:
      return { op: random.pick(['lt', 'lte', 'gt', 'gte'] as const), field, values: [value()] };
    default:
      return { op: 'eq', field, values: [value()] };
  }
}

function holds(node: Node, metadata: Metadata): boolean {
  if ('nodes' in node) {
    if (node.op === 'and') return node.nodes.every((each) => holds(each, metadata));
    if (node.op === 'or') return node.nodes.some((each) => holds(each, metadata));
    return !holds(node.nodes[0] as Node, metadata);
  }
  const value = metadata[node.field] as FilterValue | FilterValue[] | undefined;
  const there = value === undefined ? [] : Array.isArray(value) ? value : [value];
  const [first, second] = node.values as FilterValue[];
  const some = (test: (order: number, each: FilterValue) => boolean): boolean =>
    there.some((each) => test(compare(each, first as FilterValue), each));
  switch (node.op) {
    case 'exists':
      return there.length > 0;
    case 'eq':
      return some((order) => order === 0);
    case 'ne':
      return !some((order) => order === 0);
    case 'lt':
      return some((order) => order < 0);
    case 'lte':
      return some((order) => order <= 0);
    case 'gt':
      return some((order) => order > 0);
    case 'gte':
      return some((order) => order >= 0);
    case 'between':
      return some((order, each) => order >= 0 && compare(each, second as FilterValue) <= 0);
    default:
      return node.values.some((one) => there.some((each) => compare(each, one) === 0));
  }
}

const encoder = new TextEncoder();

/** Texts by their bytes, numbers by value. */
function compare(a: FilterValue, b: FilterValue): number {
  if (typeof a !== 'string') return a < b ? -1 : a > b ? 1 : 0;
  const [x, y] = [encoder.encode(a), encoder.encode(b as string)];
  for (let i = 0; i < Math.min(x.length, y.length); i++)
    if (x[i] !== y[i]) return (x[i] as number) - (y[i] as number);
  return x.length - y.length;
}

function literal(value: FilterValue, random: Random): string {
  if (typeof value !== 'string') return String(value);
  if (/^\w+$/.test(value) && value !== 'AND' && random.below(2) === 0) return value;
  return random.below(2) === 0 ? `'${value.replaceAll("'", "''")}'` : `"${value.replaceAll('"', '""')}"`;
}

function textOf(node: Node, random: Random, value: (value: FilterValue) => string): string {
  const keyword = (word: string): string => (random.below(2) === 0 ? word : word.toLowerCase());
  if ('nodes' in node) {
    const parts = node.nodes.map((each) => `(${textOf(each, random, value)})`);
    if (node.op === 'not') return `${keyword('NOT')} ${parts[0]}`;
    return parts.join(` ${keyword(node.op.toUpperCase())} `);
  }
  const field = random.below(4) === 0 ? `\`${node.field}\`` : node.field;
  const [first, second] = node.values as FilterValue[];
  switch (node.op) {
    case 'exists':
      return `${field} ${keyword('IS')} ${keyword('NOT')} ${keyword('NULL')}`;
    case 'in':
      return `${field} ${keyword('IN')} (${node.values.map(value).join(random.below(2) === 0 ? ',' : ' , ')})`;
    case 'between':
      return `${field} ${keyword('BETWEEN')} ${value(first as FilterValue)} ${keyword('AND')} ${value(second as FilterValue)}`;
    default: {
      const blank = random.below(2) === 0 ? ' ' : '';
      return `${field}${blank}${signs[node.op]}${blank}${value(first as FilterValue)}`;
    }
  }
}

function objectOf(node: Node): Filter {
  if ('nodes' in node) return { op: node.op, filters: node.nodes.map(objectOf) } as unknown as Filter;
  const { op, field, values } = node;
  if (op === 'exists') return { op, field };
  if (op === 'in' || op === 'between') return { op, field, values } as Filter;
  return { op, field, value: values[0] };
}
