/**
 * The index types a vector space may have: what a factory string means to the core, one row a shape.
 *
 * A factory string names how vectors are found (`HNSW16`, or nothing for a scan) and in what form they are measured first
 * (`SQ8`, `BQ`, or `Flat` for the originals themselves). It is kept as the caller wrote it.
 */

import type { IndexType, Metric } from '../api/database.ts';
import { integerIn, invalid, shown } from '../base/arguments.ts';

/** `IndexKind` of wasm/vector/format.h. */
export const indexKinds = { Flat: 0, HNSW: 1 } as const;
/** `CodeKind` of wasm/vector/format.h. */
export const codeKinds = { none: 0, SQ8: 1, BQ: 2 } as const;

export type CodeName = keyof typeof codeKinds;

export interface ParsedIndexType {
  readonly index: keyof typeof indexKinds;
  /** Neighbours of a node of the graph; 0 without one. */
  readonly m: number;
  readonly codes: CodeName;
}

interface Shape {
  readonly pattern: RegExp;
  parse(numbers: readonly string[]): ParsedIndexType;
}

const graph = (m: string | undefined, codes: CodeName): ParsedIndexType => ({
  index: 'HNSW',
  m: integerIn(Number(m), 2, 256, 'M of indexType'),
  codes,
});
const scan = (codes: CodeName): ParsedIndexType => ({ index: 'Flat', m: 0, codes });

const shapes: readonly Shape[] = [
  { pattern: /^Flat$/, parse: () => scan('none') },
  { pattern: /^SQ8$/, parse: () => scan('SQ8') },
  { pattern: /^BQ$/, parse: () => scan('BQ') },
  { pattern: /^HNSW(\d{1,4})(?:,Flat)?$/, parse: ([m]) => graph(m, 'none') },
  { pattern: /^HNSW(\d{1,4}),SQ8$/, parse: ([m]) => graph(m, 'SQ8') },
  { pattern: /^HNSW(\d{1,4}),BQ$/, parse: ([m]) => graph(m, 'BQ') },
];

/** Metrics that codes can be measured by. */
const metricsOfCodes: readonly Metric[] = ['L2', 'InnerProduct', 'Cosine'];

/** @throws INVALID_ARGUMENT for what is no index type, has a number out of range, or codes that the metric has none of */
export function parseIndexType(text: unknown, metric: Metric): ParsedIndexType & { indexType: IndexType } {
  for (const { pattern, parse } of shapes) {
    const match = typeof text === 'string' ? pattern.exec(text) : null;
    if (match === null) continue;
    const parsed = parse(match.slice(1));
    if (parsed.codes !== 'none' && !metricsOfCodes.includes(metric)) {
      throw invalid(
        `Got indexType ${text} with metric ${metric}, expected Flat or HNSW{M}: ${parsed.codes} is for ${metricsOfCodes.join(', ')}`,
      );
    }
    return { indexType: text as IndexType, ...parsed };
  }
  throw invalid(
    `Got ${shown(text)} for indexType, expected Flat, SQ8, BQ or HNSW followed by M, alone or with one of them, such as HNSW16 or HNSW16,SQ8`,
  );
}

/**
 * How many candidates are measured again with the originals where the caller does not say: enough for a recall@10 of 0.98
 * on every set of the benchmark (test/recall/codes.test.ts). SQ8 tells neighbours apart well enough on all of them. Bits
 * need the more candidates the fewer they are: 200 do for 1024, 400 for 784 pixels, 1100 for the 128 of SIFT.
 */
export function defaultCandidates(codes: CodeName, k: number, dimension: number): number {
  switch (codes) {
    case 'none':
      return k;
    case 'SQ8':
      return Math.max(2 * k, 20);
    case 'BQ': {
      const each = Math.min(1000, Math.max(45, Math.ceil(14500 / dimension)));
      return Math.max(each * k, 10 * each);
    }
  }
}
