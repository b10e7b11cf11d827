/** The object form of `where`: what ShibuDB 1.2 has on its wire, with `ne` and `exists` added. Checked part by part. */

import { integerIn, invalid, oneOf, shown, wellFormedText } from '../../base/arguments.ts';
import { type Comparison, type Condition, comparisons, type Operand } from './condition.ts';

const nestingMax = 100;
const combinations = ['and', 'or', 'not'] as const;

/** @throws INVALID_ARGUMENT that names the part by its path */
export function parseFilter(filter: unknown, path = 'where', depth = 0): Condition {
  if (typeof filter !== 'object' || filter === null)
    throw invalid(`Got ${shown(filter)} for ${path}, expected { op, … }`);
  if (depth > nestingMax) throw invalid(`Got ${path}, expected at most ${nestingMax} levels`);
  const { op, ...rest } = filter as { op?: unknown };
  const known = oneOf(op, [...comparisons, ...combinations], `${path}.op`);
  if (known === 'and' || known === 'or' || known === 'not') {
    const { filters } = only(rest, ['filters'], path);
    if (!Array.isArray(filters))
      throw invalid(`Got ${shown(filters)} for ${path}.filters, expected an array of filters`);
    const most = known === 'not' ? 1 : Number.MAX_SAFE_INTEGER;
    integerIn(filters.length, 1, most, `the number of ${path}.filters`);
    const conditions = filters.map((each, i) => parseFilter(each, `${path}.filters[${i}]`, depth + 1));
    if (known === 'not') return { op: known, condition: conditions[0] as Condition };
    return { op: known, conditions };
  }
  return comparison(known, rest, path);
}

function comparison(op: Comparison, rest: object, path: string): Condition {
  if (op === 'exists') {
    const { field } = only(rest, ['field'], path);
    return { op, field: fieldOf(field, path), place: `in ${path}`, operands: [] };
  }
  if (op === 'in' || op === 'between') {
    const { field, values } = only(rest, ['field', 'values'], path);
    if (!Array.isArray(values))
      throw invalid(`Got ${shown(values)} for ${path}.values, expected an array of values`);
    if (op === 'between') integerIn(values.length, 2, 2, `the number of ${path}.values`);
    const operands = Array.from(
      values,
      (value: unknown, i): Operand => ({ kind: 'value', value, place: `in ${path}.values[${i}]` }),
    );
    return { op, field: fieldOf(field, path), place: `in ${path}`, operands };
  }
  const { field, value } = only(rest, ['field', 'value'], path);
  const operands: Operand[] = [{ kind: 'value', value, place: `in ${path}.value` }];
  return { op, field: fieldOf(field, path), place: `in ${path}`, operands };
}

function fieldOf(field: unknown, path: string): string {
  return wellFormedText(field, `${path}.field`);
}

/** A property nobody knows is a typing error that would silently do nothing: it is refused. */
function only<Name extends string>(
  rest: object,
  names: readonly Name[],
  path: string,
): { [N in Name]?: unknown } {
  const stranger = Object.keys(rest).find((name) => !names.includes(name as Name));
  if (stranger !== undefined)
    throw invalid(`Got ${shown(stranger)} in ${path}, expected only op, ${names.join(', ')}`);
  return rest;
}
