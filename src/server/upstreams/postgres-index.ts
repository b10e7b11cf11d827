/** Metrics and indexes of pgvector, and how its distances become the contract's: its `<->` is not squared, its `<#>` is negated. */

import type { SpaceInfo } from '../../api/database.ts';
import { unsupported } from './upstream.ts';

const indexedDimensionMax = 2000;

interface Operator {
  readonly sql: string;
  readonly operators: string;
  /** The contract's distance, in SQL, from pgvector's `d`. */
  readonly distance: string;
}

const operators: { readonly [Metric in NonNullable<SpaceInfo['metric']>]?: Operator } = {
  // It is the root of a float4, which comes back exactly.
  L2: { sql: '<->', operators: 'vector_l2_ops', distance: '(d * d)::float4::float8' },
  InnerProduct: { sql: '<#>', operators: 'vector_ip_ops', distance: '-d' },
  Cosine: { sql: '<=>', operators: 'vector_cosine_ops', distance: 'd' },
  L1: { sql: '<+>', operators: 'vector_l1_ops', distance: 'd' },
};

export function operatorOf({ metric = 'L2' }: SpaceInfo): Operator {
  const operator = operators[metric];
  if (operator !== undefined) return operator;
  throw unsupported(
    'postgres',
    'createSpace',
    `metric ${metric}; it has ${Object.keys(operators).join(', ')}`,
  );
}

/** What makes the index. Nothing: there is none. */
export function accessMethodOf(info: SpaceInfo, efConstruction: number): string | undefined {
  const { dimension = 0 } = info;
  const indexType: string = info.indexType ?? 'Flat';
  if (indexType === 'Flat') return undefined;
  const { operators: family } = operatorOf(info);
  if (dimension > indexedDimensionMax)
    throw unsupported(
      'postgres',
      'createSpace',
      `an index over ${dimension} dimensions, at most ${indexedDimensionMax}`,
    );
  const M = /^HNSW(\d+)(,Flat)?$/.exec(indexType)?.[1];
  if (M !== undefined) {
    if (Number(M) > 100) throw unsupported('postgres', 'createSpace', `HNSW with M ${M}, at most 100`);
    const ef = Math.min(1000, Math.max(efConstruction, Number(M) * 2));
    return `USING hnsw (embedding ${family}) WITH (m = ${Number(M)}, ef_construction = ${ef})`;
  }
  const lists = /^IVF(\d+),Flat$/.exec(indexType)?.[1];
  if (lists !== undefined && info.metric !== 'L1')
    return `USING ivfflat (embedding ${family}) WITH (lists = ${Number(lists)})`;
  throw unsupported('postgres', 'createSpace', `index type ${indexType}; it has Flat, HNSW and IVF,Flat`);
}
