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

function formatParams(params: Params): string {
  return Object.entries(params)
    .map(([name, value]) => `${name}=${value}`)
    .join(' ');
}

function formatValue(value: number): string {
  if (Math.abs(value) >= 1000) return Math.round(value).toString();
  return value
    .toPrecision(4)
    .replace(/(\.\d*?)0+$/, '$1')
    .replace(/\.$/, '');
}

/**
 * Shibumi against each peer: where both have the same metric of the same scenario, ours over theirs. Of several ways
 * to call Shibumi each has its own line; a factor above 1 is a win, whichever direction the metric has.
 */
export function compareSubjects(rows: readonly Row[]): string[] {
  // A latency of one caller is the speed turned over; points of a sweep have no counterpart.
  const left = ['recall', 'qps', 'p50Ms', 'p99Ms'];
  const compared = rows.filter(({ metric }) => !left.includes(metric));
  const lines: string[] = [];
  for (const peer of compared.filter(({ subject }) => subject !== 'shibumi')) {
    for (const ours of compared.filter((row) => row.subject === 'shibumi' && sameWork(row, peer))) {
      const factor = ours.better === 'higher' ? ours.value / peer.value : peer.value / ours.value;
      const { suite, scenario, runtime, data, metric } = ours;
      lines.push(
        `${suite} ${scenario} ${runtime} ${data} ${metric}: ${factor.toFixed(2)}x ${peer.subject} (${formatParams(ours.params)})`,
      );
    }
  }
  return lines;
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
