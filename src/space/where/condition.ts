/** A `where` as a tree, whichever way it was written: what the parser and the object form become, and `compile` reads. */

/** A value as it was written; what it means depends on the field's type. */
export type Operand =
  | { readonly kind: 'value'; readonly value: unknown; readonly place: string }
  /** A bare word of a text (`quoted` false) may be a number or a truth value, a quoted one is a text. */
  | { readonly kind: 'text'; readonly text: string; readonly quoted: boolean; readonly place: string };

export type Comparison = 'eq' | 'ne' | 'lt' | 'lte' | 'gt' | 'gte' | 'in' | 'between' | 'exists';

export type Condition =
  | {
      readonly op: Comparison;
      readonly field: string;
      /** Where the field stands, for messages. */
      readonly place: string;
      readonly operands: readonly Operand[];
    }
  | { readonly op: 'and' | 'or'; readonly conditions: readonly Condition[] }
  | { readonly op: 'not'; readonly condition: Condition };

export const comparisons: readonly Comparison[] = [
  'eq',
  'ne',
  'lt',
  'lte',
  'gt',
  'gte',
  'in',
  'between',
  'exists',
];
