/**
 * The index types a vector space may have: what a factory string means to the core, one row a shape.
 *
 * A factory string names how vectors are found (`HNSW16`, `IVF256`, or nothing for a scan) and in what form they are
 * measured first (`SQ8`, `BQ`, `PQ16`, or `Flat` for the originals themselves). It is kept as the caller wrote it.
 */

import type { IndexChoice, IndexType, Metric } from '../api/database.ts';
import { integerIn, invalid, shown } from '../base/arguments.ts';
import { metricsOfCodes } from './common-index.ts';
import { VectorSegment } from './vector-segments.ts';
import type { VectorShape } from './vector-space.ts';

/** `IndexKind` of wasm/vector/format.h. */
export const indexKinds = { Flat: 0, HNSW: 1, IVF: 2 } as const;
/** `CodeKind` of wasm/vector/format.h. */
export const codeKinds = { none: 0, SQ8: 1, BQ: 2, PQ: 3 } as const;

export type CodeName = keyof typeof codeKinds;

export interface ParsedIndexType {
  readonly index: keyof typeof indexKinds;
  /** Neighbours of a node of the graph; 0 without one. */
  readonly m: number;
  readonly codes: CodeName;
  /** Posting lists of an inverted file. Codes of PQ without one are kept in a single list. */
  readonly lists: number;
  /** Bytes of a code of PQ. */
  readonly subspaces: number;
}

/** What of an index type is not a number 0. */
type Parts = Partial<ParsedIndexType>;

interface Shape {
  readonly pattern: RegExp;
  parse(numbers: readonly string[], dimension: number): Parts;
}

/** Of wasm/vector/format.h. */
const listsMax = 16_384;
const subspacesMax = 512;

const graph = (m: string | undefined): Parts => ({
  index: 'HNSW',
  m: integerIn(Number(m), 2, 256, 'M of indexType'),
});
const lists = (count: string | undefined): Parts => ({
  index: 'IVF',
  lists: integerIn(Number(count), 1, listsMax, 'nlist of indexType'),
});
const product = (m: string | undefined, dimension: number): Parts => ({
  codes: 'PQ',
  subspaces: integerIn(
    Number(m),
    1,
    Math.min(subspacesMax, dimension),
    `m of indexType with dimension ${dimension}`,
  ),
});

const shapes: readonly Shape[] = [
  { pattern: /^Flat$/, parse: () => ({}) },
  { pattern: /^SQ8$/, parse: () => ({ codes: 'SQ8' }) },
  { pattern: /^BQ$/, parse: () => ({ codes: 'BQ' }) },
  {
    pattern: /^PQ(\d{1,4})(?:,Flat)?$/,
    parse: ([m], dimension) => ({ index: 'IVF', lists: 1, ...product(m, dimension) }),
  },
  { pattern: /^HNSW(\d{1,4})(?:,Flat)?$/, parse: ([m]) => graph(m) },
  { pattern: /^HNSW(\d{1,4}),SQ8$/, parse: ([m]) => ({ ...graph(m), codes: 'SQ8' }) },
  { pattern: /^HNSW(\d{1,4}),BQ$/, parse: ([m]) => ({ ...graph(m), codes: 'BQ' }) },
  {
    pattern: /^HNSW(\d{1,4}),PQ(\d{1,4})$/,
    parse: ([m, bytes], dimension) => ({ ...graph(m), lists: 1, ...product(bytes, dimension) }),
  },
  { pattern: /^IVF(\d{1,6})(?:,Flat)?$/, parse: ([count]) => lists(count) },
  { pattern: /^IVF(\d{1,6}),SQ8$/, parse: ([count]) => ({ ...lists(count), codes: 'SQ8' }) },
  { pattern: /^IVF(\d{1,6}),BQ$/, parse: ([count]) => ({ ...lists(count), codes: 'BQ' }) },
  {
    pattern: /^IVF(\d{1,6}),PQ(\d{1,4})$/,
    parse: ([count, bytes], dimension) => ({ ...lists(count), ...product(bytes, dimension) }),
  },
];

const noParts: ParsedIndexType = { index: 'Flat', m: 0, codes: 'none', lists: 0, subspaces: 0 };

/** With indexType `Auto`. */
export const firstChoice: IndexChoice = { indexType: 'Flat', reason: 'there are no vectors yet' };

/**
 * @throws INVALID_ARGUMENT for what is no index type, has a number out of range, or needs a metric that the space does not
 * have
 */
export function parseIndexType(
  text: unknown,
  metric: Metric,
  dimension: number,
): ParsedIndexType & { indexType: IndexType } {
  for (const { pattern, parse } of shapes) {
    const match = typeof text === 'string' ? pattern.exec(text) : null;
    if (match === null) continue;
    const parsed = { ...noParts, ...parse(match.slice(1), dimension) };
    const { codes, index } = parsed;
    if ((codes !== 'none' || index === 'IVF') && !metricsOfCodes.includes(metric)) {
      throw invalid(
        `Got indexType ${text} with metric ${metric}, expected Flat or HNSW{M}: ${codes === 'none' ? 'IVF' : codes} is for ${metricsOfCodes.join(', ')}`,
      );
    }
    return { indexType: text as IndexType, ...parsed };
  }
  throw invalid(
    `Got ${shown(text)} for indexType, expected Flat, SQ8, BQ, PQ followed by m, HNSW followed by M or IVF followed by nlist, the latter two alone or with one of the former, such as HNSW16, HNSW16,SQ8 or IVF256,PQ16; or Auto`,
  );
}

/** @throws INVALID_ARGUMENT for an index type whose originals have to be in memory */
export function checkStored(indexType: unknown, metric: Metric, dimension: number): void {
  const expected = "expected SQ8 or HNSW{M},SQ8, or originals: 'memory'";
  const got = `Got originals: 'storage' with indexType ${shown(indexType)}, ${expected}:`;
  if (indexType === 'Auto') throw invalid(`${got} it may become one that searches the originals themselves`);
  const { index, codes } = parseIndexType(indexType, metric, dimension);
  if (codes === 'none') throw invalid(`${got} without codes a search measures the originals themselves`);
  if (index === 'IVF' || codes !== 'SQ8') throw invalid(`${got} it is trained on the originals`);
}

/**
 * How many candidates are measured again with the originals where the caller does not say: enough for a recall@10 of 0.98
 * on every set of the benchmark (test/recall/codes.test.ts). SQ8 tells neighbours apart well enough on all of them. Bits
 * need the more candidates the fewer they are: 200 do for 1024, 400 for 784 pixels, 1100 for the 128 of SIFT. PQ needs the more
 * the more components share a byte.
 */
export function defaultCandidates(
  { codes, subspaces }: ParsedIndexType,
  k: number,
  dimension: number,
): number {
  switch (codes) {
    case 'none':
      return k;
    case 'SQ8':
      return Math.max(2 * k, 20);
    case 'BQ': {
      const each = Math.min(1000, Math.max(45, Math.ceil(14500 / dimension)));
      return Math.max(each * k, 10 * each);
    }
    case 'PQ': {
      const each = Math.min(1000, Math.max(8, Math.ceil(dimension / subspaces)));
      return Math.max(each * k, 10 * each);
    }
  }
}

/**
 * How many of an inverted file's lists are looked through where the caller does not say: neighbours are spread over more
 * lists the more there are, but over a smaller part of them.
 */
export function defaultProbes({ lists }: ParsedIndexType): number {
  return Math.min(lists, Math.ceil(3 * Math.sqrt(lists)));
}

/** What a graph is linked by: the codes, but for those of PQ, which are too coarse for it. */
export function segmentOfMeasure({ indexType, metric, dimension }: VectorShape): number {
  const { codes } = parseIndexType(indexType, metric, dimension);
  return codes === 'none' || codes === 'PQ' ? VectorSegment.Vectors : VectorSegment.Codes;
}
