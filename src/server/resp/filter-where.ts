/**
 * A FILTER expression as a `where`, which the engine applies before it searches: then no candidate is looked at in vain, and as many
 * hits come back as there are. It works where every field is one of the space's `metadataFields`, compared with what such a
 * field can hold; any other expression is evaluated on the attributes of the nearest elements.
 */

import type { Filter, MetadataField } from '../../api/database.ts';
import type { Expression, Operand } from './filter-expression.ts';

const comparisons: Readonly<Record<string, 'eq' | 'ne' | 'lt' | 'lte' | 'gt' | 'gte'>> = {
  '==': 'eq',
  '!=': 'ne',
  '<': 'lt',
  '<=': 'lte',
  '>': 'gt',
  '>=': 'gte',
};
const turned = { eq: 'eq', ne: 'ne', lt: 'gt', lte: 'gte', gt: 'lt', gte: 'lte' } as const;

/** Nothing: it is not to be said as one. */
export function whereOf(expression: Expression, fields: readonly MetadataField[]): Filter | undefined {
  const used = new Set<string>();
  const condition = conditionOf(expression, fields, used);
  if (condition === undefined) return undefined;
  // An element without one of the fields fails, whatever the expression says of it.
  const there = [...used].map((field): Filter => ({ op: 'exists', field }));
  return { op: 'and', filters: [...there, condition] };
}

function conditionOf(
  expression: Expression,
  fields: readonly MetadataField[],
  used: Set<string>,
): Filter | undefined {
  if (expression.kind === 'not') {
    const inner = conditionOf(expression.of, fields, used);
    return inner && { op: 'not', filters: [inner] };
  }
  if (expression.kind !== 'binary') return undefined;
  const { operator, left, right } = expression;
  if (operator === 'and' || operator === 'or') {
    const [a, b] = [conditionOf(left, fields, used), conditionOf(right, fields, used)];
    return a && b && { op: operator, filters: [a, b] };
  }
  const named = left.kind === 'field' ? left : right.kind === 'field' ? right : undefined;
  const given = named === left ? right : left;
  const field = fields.find(({ name }) => name === named?.name);
  if (field === undefined || given.kind !== 'value') return undefined;
  used.add(field.name);
  if (operator === 'in') return membership(field, given.value, named === left);
  const op = comparisons[operator];
  return op && comparison(field, named === left ? op : turned[op], given.value);
}

function comparison(
  { name: field, type }: MetadataField,
  op: Exclude<(typeof comparisons)[string], undefined>,
  value: Operand,
): Filter | undefined {
  const isEquality = op === 'eq' || op === 'ne';
  if (type === 'bool')
    return isEquality && (value === 0 || value === 1) ? { op, field, value: value === 1 } : undefined;
  if (type === 'string')
    // There texts that are numbers are ordered as numbers, and equal to numbers.
    return isEquality && typeof value === 'string' ? { op, field, value } : undefined;
  return isNumberOf(type, value) ? { op, field, value } : undefined;
}

function membership(
  { name: field, type }: MetadataField,
  value: Operand,
  isFieldFirst: boolean,
): Filter | undefined {
  if (!isFieldFirst)
    return type === 'string[]' && typeof value === 'string' ? { op: 'eq', field, value } : undefined;
  if (!Array.isArray(value) || value.length === 0) return undefined;
  const values = value as (number | string)[];
  const fits =
    type === 'string'
      ? values.every((item) => typeof item === 'string')
      : values.every((item) => isNumberOf(type, item));
  return fits ? { op: 'in', field, values } : undefined;
}

function isNumberOf(type: MetadataField['type'], value: Operand): value is number {
  if (typeof value !== 'number') return false;
  return type === 'int' ? Number.isSafeInteger(value) : type === 'float' && Number.isFinite(value);
}
