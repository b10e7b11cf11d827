/**
 * Charts of a run, as SVG files: recall against speed for every data set and runtime, and how speed and build rate grow.
 * Drawn by Vega-Lite, which is installed with the peers; without it there are no charts, and the run says so.
 */

import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { importPeer } from './peers.ts';
import type { Row } from './row.ts';

/** What is used of Vega and Vega-Lite. */
interface Vega {
  parse(spec: unknown): unknown;
  View: new (runtime: unknown, options: { renderer: 'none' }) => { toSVG(): Promise<string> };
}
interface VegaLite {
  compile(spec: unknown): { spec: unknown };
}

interface Chart {
  readonly file: string;
  readonly spec: object;
}

/** Writes every chart the rows have points for; returns the files. */
export async function writeCharts(rows: readonly Row[], folder: string): Promise<string[]> {
  const charts = [...curveCharts(rows), ...growthCharts(rows)];
  if (charts.length === 0) return [];
  const vega = (await importPeer('vega')) as Vega;
  const { compile } = (await importPeer('vega-lite')) as VegaLite;
  mkdirSync(folder, { recursive: true });
  const files: string[] = [];
  for (const { file, spec } of charts) {
    const view = new vega.View(vega.parse(compile(spec).spec), { renderer: 'none' });
    const target = path.join(folder, `${file}.svg`);
    writeFileSync(target, await view.toSVG());
    files.push(target);
  }
  return files;
}

const shared = {
  $schema: 'https://vega.github.io/schema/vega-lite/v6.json',
  width: 640,
  height: 400,
  background: 'white',
};

/** Lines of recall (not exact ones) over queries a second; scans of one speed are points. */
function curveCharts(rows: readonly Row[]): Chart[] {
  const points = rows.filter(({ suite, metric }) => suite === 'vectors' && metric === 'qps');
  return [...Map.groupBy(points, ({ runtime, data }) => `${runtime}-${data}`)].map(([name, own]) => ({
    file: `recall-qps-${name}`,
    spec: {
      ...shared,
      title: `${name}: recall@10 against queries a second (up and right is better)`,
      data: {
        values: own.map((row) => ({
          recall: row.params.recall,
          qps: row.value,
          subject: [
            row.subject === 'shibumi' ? row.scenario : row.subject,
            row.params.build,
            row.params.quantization,
            row.params.path,
            row.params.callers === undefined ? undefined : `${row.params.callers} callers`,
          ]
            .filter((part) => part !== undefined)
            .join(' '),
          of: row.subject === 'shibumi' ? 'shibumi' : 'peer',
        })),
      },
      mark: { type: 'line', point: true },
      encoding: {
        x: { field: 'recall', type: 'quantitative', scale: { zero: false }, title: 'recall@10' },
        y: { field: 'qps', type: 'quantitative', scale: { type: 'log' }, title: 'queries/s' },
        color: {
          field: 'subject',
          type: 'nominal',
          legend: { labelLimit: 400 },
          scale: { scheme: 'tableau20' },
        },
        strokeDash: { field: 'of', type: 'nominal', title: null },
      },
    },
  }));
}

function growthCharts(rows: readonly Row[]): Chart[] {
  return [
    { metric: 'qps@0.95', title: 'queries a second at recall@10 0.95' },
    { metric: 'buildPerSecond', title: 'vectors linked a second' },
  ].flatMap(({ metric, title }) => {
    const points = rows.filter((row) => row.suite === 'growth' && row.metric === metric);
    if (points.length === 0) return [];
    const values = points.map((row) => ({
      count: row.params.count,
      value: row.value,
      subject: `${row.scenario} ${row.params.build} ${row.runtime}`,
    }));
    const x = { field: 'count', type: 'quantitative', scale: { type: 'log' }, title: 'vectors' };
    const y = { field: 'value', type: 'quantitative', scale: { type: 'log' }, title };
    const color = { field: 'subject', type: 'nominal', legend: { labelLimit: 400 } };
    const fit = { regression: 'value', on: 'count', method: 'pow', groupby: ['subject'] };
    return [
      {
        file: `growth-${metric.replace('@', '-')}`,
        spec: {
          ...shared,
          title: `${title}, by how many vectors there are (dashed: fitted)`,
          data: { values },
          layer: [
            { mark: { type: 'point', filled: true, size: 70 }, encoding: { x, y, color } },
            {
              transform: [fit],
              mark: { type: 'line', strokeDash: [6, 4] },
              encoding: { x, y, color },
            },
          ],
        },
      },
    ];
  });
}
