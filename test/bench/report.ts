/** Rows as text for people. */

import type { Params, Row } from './row.ts';

const columns = [
  'suite',
  'scenario',
  'runtime',
  'data',
  'subject',
  'metric',
  'value',
  'unit',
  'params',
] as const;

export function formatTable(rows: readonly Row[]): string {
  const cells = rows.map((row) =>
    columns.map((column) => {
      if (column === 'params') return formatParams(row.params);
      return column === 'value' ? formatValue(row.value) : row[column];
    }),
  );
  const widths = columns.map((name, i) =>
    Math.max(name.length, ...cells.map((line) => (line[i] as string).length)),
  );
  const format = (line: readonly string[]): string =>
    line
      .map((cell, i) =>
        columns[i] === 'value' ? cell.padStart(widths[i] ?? 0) : cell.padEnd(widths[i] ?? 0),
      )
      .join('  ')
      .trimEnd();
  return [columns, ...cells].map(format).join('\n');
}

export function formatParams(params: Params): string {
  return Object.entries(params)
    .map(([name, value]) => `${name}=${value}`)
    .join(' ');
}

export function formatValue(value: number): string {
  if (Math.abs(value) >= 1000) return Math.round(value).toString();
  return value
    .toPrecision(4)
    .replace(/(\.\d*?)0+$/, '$1')
    .replace(/\.$/, '');
}

/** A latency of one caller is the speed turned over; points of a sweep have no counterpart. */
const uncompared = ['recall', 'qps', 'p50Ms', 'p99Ms'];

/**
 * The peers that did the same work as one of Shibumi's rows, and how it compares: a factor above 1 is a win, whichever
 * direction the metric has.
 */
export function peersOf(ours: Row, rows: readonly Row[]): { peer: Row; factor: number }[] {
  if (uncompared.includes(ours.metric)) return [];
  return rows
    .filter((row) => row.subject !== 'shibumi' && sameWork(ours, row))
    .map((peer) => ({
      peer,
      factor: ours.better === 'higher' ? ours.value / peer.value : peer.value / ours.value,
    }));
}

/** A line for each of Shibumi's rows and each peer of it. Of several ways to call Shibumi each has its own line. */
export function compareSubjects(rows: readonly Row[]): string[] {
  return rows
    .filter(({ subject }) => subject === 'shibumi')
    .flatMap((ours) =>
      peersOf(ours, rows).map(({ peer, factor }) => {
        const { suite, scenario, runtime, data, metric, params } = ours;
        return `${suite} ${scenario} ${runtime} ${data} ${metric}: ${factor.toFixed(2)}x ${peer.subject} (${formatParams(params)})`;
      }),
    );
}

function sameWork(a: Row, b: Row): boolean {
  const sameMetric = a.metric === b.metric || (a.metric === 'openMs' && b.metric === 'readMs');
  const sameBytes = a.params.where === b.params.where;
  const sameCommand =
    a.params.command === b.params.command &&
    (a.params.command === undefined || a.params.durability === b.params.durability);
  return (
    sameMetric &&
    sameBytes &&
    sameCommand &&
    ['suite', 'scenario', 'runtime', 'data'].every((key) => a[key as 'suite'] === b[key as 'suite'])
  );
}
