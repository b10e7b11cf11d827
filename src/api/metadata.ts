/** Metadata of vectors and filters over it: the types of the contract. What they mean at length is in docs/filters.md. */

/** What an indexed field holds. `int`: safe integers, and bigints of 64 bits; `float`: finite numbers. */
export type MetadataFieldType = 'string' | 'int' | 'float' | 'bool' | 'string[]';

/** An indexed field: every vector may have a value of this type, and `where` may ask for it. */
export interface MetadataField {
  /** How filters name it; one that is no word stands in backticks there. */
  name: string;
  /** What it holds; a value of another type is refused with its name. */
  type: MetadataFieldType;
}

/** What JSON can hold. */
export type Json = string | number | boolean | null | readonly Json[] | { readonly [name: string]: Json };

/**
 * Fields and their values, at most 64 KiB a vector as stored. Fields of `metadataFields` are typed and can be filtered by;
 * any other may hold whatever JSON can and only comes back. `null` and `undefined` are no value.
 */
export type Metadata = { readonly [field: string]: Json | bigint | undefined };

/**
 * What a field is compared with: of the field's type.
 */
export type FilterValue = string | number | bigint | boolean;

/** The object form of `where`. On a list of strings `eq` and `in` ask whether one of its texts is so. */
export type Filter =
  | { op: 'eq' | 'ne' | 'lt' | 'lte' | 'gt' | 'gte'; field: string; value: FilterValue }
  | { op: 'in'; field: string; values: readonly FilterValue[] }
  /** Both ends included. */
  | { op: 'between'; field: string; values: readonly [FilterValue, FilterValue] }
  /** The field has a value. */
  | { op: 'exists'; field: string }
  | { op: 'and' | 'or'; filters: readonly Filter[] }
  | { op: 'not'; filters: readonly [Filter] };

/** A text with places for values: `?` takes the next of an array, `:name` one by its name; in a list also an array. */
export interface WhereText {
  /** The filter, with `?` or `:name` where values belong. */
  text: string;
  /** The values: never read as part of the text. Too few, too many or unknown ones are refused. */
  params?: readonly unknown[] | { readonly [name: string]: unknown };
}

/** Which vectors: `category = books AND price < 500`, the same with parameters, or as an object. */
export type Where = string | WhereText | Filter;

/** Of calls that may be narrowed down to some vectors. */
export interface WhereOptions {
  /** Only vectors whose metadata it holds for. Default: all. */
  where?: Where;
}
