/**
 * `where` as SQL over the column `metadata` (jsonb). Names and values are parameters, never text of the statement. What has no value
 * meets no comparison, and so does not fail NOT and `!=`: as in the engine, they are everything else.
 */

import type { MetadataField } from '../../api/database.ts';
import type { Scalar } from '../../space/metadata/fields.ts';
import { compileWhere, conditionOf, scalarOf } from '../../space/where/compile.ts';
import type { Condition } from '../../space/where/condition.ts';

/** @param values the statement's parameters, to which those of the condition are added. @throws INVALID_ARGUMENT */
export function whereSql(where: unknown, fields: readonly MetadataField[], values: unknown[]): string {
  // Checks fields, types and size, in the engine's words.
  compileWhere(where, fields);
  return sqlOf(conditionOf(where), fields, values);
}

function sqlOf(condition: Condition, fields: readonly MetadataField[], values: unknown[]): string {
  switch (condition.op) {
    case 'not':
      return `NOT ${sqlOf(condition.condition, fields, values)}`;
    case 'and':
    case 'or': {
      const parts = condition.conditions.map((each) => sqlOf(each, fields, values));
      return `(${parts.join(condition.op === 'and' ? ' AND ' : ' OR ')})`;
    }
    default: {
      const field = fields.find(({ name }) => name === condition.field) as MetadataField;
      const operands = condition.operands.map((operand) => scalarOf(operand, field));
      const met = `coalesce(${comparison(condition.op, field, operands, values)}, false)`;
      return condition.op === 'ne' ? `NOT ${met}` : met;
    }
  }
}

const signs = { eq: '=', ne: '=', lt: '<', lte: '<=', gt: '>', gte: '>=' } as const;
const casts = {
  string: 'text',
  int: 'numeric',
  float: 'float8',
  bool: 'boolean',
  'string[]': 'text',
} as const;

function comparison(
  op: Extract<Condition, { operands: unknown }>['op'],
  { name, type }: MetadataField,
  operands: readonly Scalar[],
  values: unknown[],
): string {
  const add = (value: unknown): string => `$${values.push(value)}`;
  const nameAt = add(name);
  if (op === 'exists') {
    const has = `jsonb_typeof(metadata -> ${nameAt}::text) <> 'null'`;
    return type === 'string[]' ? `${has} AND jsonb_array_length(metadata -> ${nameAt}::text) > 0` : has;
  }
  if (type === 'string[]') return `jsonb_exists_any(metadata -> ${nameAt}::text, ${add(operands)}::text[])`;
  const cast = casts[type];
  // Texts are ordered by their bytes, whatever the database's own order is.
  const found =
    type === 'string'
      ? `(metadata ->> ${nameAt}::text) COLLATE "C"`
      : `(metadata ->> ${nameAt}::text)::${cast}`;
  const given = operands.map(
    (operand) => `${add(typeof operand === 'bigint' ? String(operand) : operand)}::${cast}`,
  );
  if (op === 'in') return given.length === 0 ? 'false' : `${found} IN (${given.join(', ')})`;
  if (op === 'between') return `${found} BETWEEN ${given[0]} AND ${given[1]}`;
  return `${found} ${signs[op]} ${given[0]}`;
}
