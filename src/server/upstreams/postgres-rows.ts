/** Vectors, ids and conditions as statements hold them, and rows as callers get them. */

import type { Metadata, Metric, SpaceInfo, VectorId } from '../../api/database.ts';
import { toPublicId } from '../../space/vector-ids.ts';
import { whereSql } from './postgres-where.ts';

export interface Row {
  readonly id: string;
  readonly distance?: number;
  readonly embedding?: string;
  readonly metadata?: Metadata | null;
}

export function kindOf({ dimension = 0, metric = 'L2' }: SpaceInfo): { dimension: number; metric: Metric } {
  return { dimension, metric };
}

export const idOf = ({ ids }: SpaceInfo, { id }: Row): VectorId =>
  ids === 'string' ? id : toPublicId(BigInt(id));
export const textOf = (vector: ArrayLike<number>): string => `[${Array.from(vector).join(',')}]`;
export const vectorOf = (text: string): Float32Array => Float32Array.from(JSON.parse(text) as number[]);

/** AND and the condition, if there is one. */
export function andWhere(where: unknown, { metadataFields = [] }: SpaceInfo, values: unknown[]): string {
  return where === undefined ? '' : `AND ${whereSql(where, metadataFields, values)}`;
}
