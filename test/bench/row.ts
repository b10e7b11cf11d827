/** What a benchmark yields. The names of suites, scenarios and metrics are the ones docs/benchmarks.md lists. */

export type Params = Readonly<Record<string, string | number>>;

export interface Row {
  readonly suite: string;
  readonly scenario: string;
  /** `shibumi`, or the peer that did the same work in the same run. */
  readonly subject: string;
  readonly runtime: 'node' | 'chromium' | 'bun' | 'deno' | 'workerd';
  /** The data set, or what the operations work on. */
  readonly data: string;
  readonly params: Params;
  readonly metric: string;
  readonly value: number;
  readonly unit: string;
  readonly better: 'higher' | 'lower';
}

/** Metric -> its unit and direction. */
const metrics = {
  recall: ['ratio', 'higher'],
  qps: ['queries/s', 'higher'],
  'qps@0.9': ['queries/s', 'higher'],
  'qps@0.95': ['queries/s', 'higher'],
  'qps@0.99': ['queries/s', 'higher'],
  'qps@0.995': ['queries/s', 'higher'],
  p50Ms: ['ms', 'lower'],
  p99Ms: ['ms', 'lower'],
  mostMs: ['ms', 'lower'],
  nsPerVector: ['ns', 'lower'],
  gigabytesPerSecond: ['GB/s', 'higher'],
  exponent: ['slope', 'higher'],
  buildPerSecond: ['vectors/s', 'higher'],
  bytesPerVector: ['bytes', 'lower'],
  bytesPerKey: ['bytes', 'lower'],
  openMs: ['ms', 'lower'],
  fetchedShare: ['ratio', 'lower'],
  readMs: ['ms', 'lower'],
  stallP99Ms: ['ms', 'lower'],
  stallMaxMs: ['ms', 'lower'],
  putsPerSecond: ['operations/s', 'higher'],
  getsPerSecond: ['operations/s', 'higher'],
  opsPerSecond: ['operations/s', 'higher'],
  megabytesPerSecond: ['MB/s', 'higher'],
  rssBytes: ['bytes', 'lower'],
  memoryBytes: ['bytes', 'lower'],
  entriesPerSecond: ['entries/s', 'higher'],
  gzipBytes: ['bytes', 'lower'],
} as const satisfies Record<string, readonly [string, 'higher' | 'lower']>;

export type Metric = keyof typeof metrics;

/** What the rows of one measurement have in common. */
export type RowFrame = Pick<Row, 'suite' | 'scenario' | 'subject' | 'runtime' | 'data' | 'params'>;

export function makeRow(frame: RowFrame, metric: Metric, value: number, params: Params = {}): Row {
  const [unit, better] = metrics[metric];
  return { ...frame, params: { ...frame.params, ...params }, metric, value, unit, better };
}

export function median(values: readonly number[]): number {
  return percentile(values, 50);
}

/** By nearest rank. */
export function percentile(values: readonly number[], percent: number): number {
  if (values.length === 0) throw new Error('Got no values for a percentile, expected at least one');
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil((percent / 100) * sorted.length) - 1)] as number;
}
