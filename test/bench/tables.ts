/**
 * `npm run bench:tables -- RUN.json ...`: turns the JSON of bench runs into docs/figures.md. What is a table row there is a
 * measured row here, or nothing: the page holds no figure that was typed in.
 */

import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { formatParams, formatValue, peersOf } from './report.ts';
import type { Row } from './row.ts';

interface Run {
  readonly date: string;
  readonly cpu: string;
  readonly cores: number;
  readonly versions: Readonly<Record<string, string>>;
  readonly rows: readonly Row[];
}

const page = path.resolve(import.meta.dirname, '../../docs/figures.md');
/** Points of a sweep: the charts show them. */
const sweepMetrics: ReadonlySet<string> = new Set(['qps', 'recall']);

const files = process.argv.slice(2);
if (files.length === 0) {
  console.error('Usage: npm run bench:tables -- RUN.json ...');
  process.exitCode = 2;
} else {
  const runs = files.map((file) => JSON.parse(readFileSync(file, 'utf8')) as Run);
  writeFileSync(page, render(runs));
  console.log(`${runs.reduce((count, { rows }) => count + rows.length, 0)} rows are in ${page}`);
}

function render(runs: readonly Run[]): string {
  const parts = [
    '# Figures',
    '',
    'Written by `npm run bench:tables` from the JSON of the runs below; [benchmarks.md](benchmarks.md) says how each is measured. The last',
    'column is Shibumi over that peer, by the direction of the metric: above 1 is a win. Compare within a run, not between runs.',
    '',
  ];
  for (const run of runs) {
    const suites = [...new Set(run.rows.map(({ suite }) => suite))];
    const versions = Object.entries(run.versions).map(([name, version]) => `${name} ${version}`);
    parts.push(
      `## ${suites.join(', ')}`,
      '',
      `${run.date.slice(0, 16).replace('T', ' ')} UTC, ${run.cpu.trim()}, ${run.cores} cores: ${versions.join(', ')}.`,
      '',
    );
    for (const suite of suites)
      for (const scenario of new Set(
        run.rows.filter((row) => row.suite === suite).map((row) => row.scenario),
      ))
        parts.push(...renderScenario(run.rows, suite, scenario));
  }
  return `${parts.join('\n').trimEnd()}\n`;
}

function renderScenario(all: readonly Row[], suite: string, scenario: string): string[] {
  const rows = all.filter(
    (row) => row.suite === suite && row.scenario === scenario && !sweepMetrics.has(row.metric),
  );
  if (rows.length === 0) return [];
  const ordered = rows.toSorted(
    (a, b) =>
      a.runtime.localeCompare(b.runtime) ||
      a.data.localeCompare(b.data) ||
      a.metric.localeCompare(b.metric) ||
      Number(a.subject !== 'shibumi') - Number(b.subject !== 'shibumi'),
  );
  const lines = ordered.map((row) => {
    const { runtime, data, metric, subject, params, value, unit } = row;
    const factors = subject === 'shibumi' ? peersOf(row, rows) : [];
    const against = factors.map(({ peer, factor }) => `${factor.toFixed(2)} × ${peer.subject}`).join(', ');
    const cells = [runtime, data, metric, subject, formatParams(params), formatValue(value), unit, against];
    return `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
  });
  return [
    `### ${suite}: \`${scenario}\``,
    '',
    '| runtime | data | metric | subject | how | value | unit | against |',
    '|---|---|---|---|---|--:|---|---|',
    ...lines,
    '',
  ];
}
