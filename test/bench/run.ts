/**
 * `npm run bench -- <suite> [--quick] [--only PATTERN] [--out FILE]`: measures, prints a table, and writes JSON:
 * `{ date, cpu, cores, versions, rows }`. docs/benchmarks.md says what the names mean.
 */

import { readFileSync, writeFileSync } from 'node:fs';
import { availableParallelism, cpus } from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { browserVersion } from './browser.ts';
import { writeCharts } from './charts.ts';
import { ensurePeers } from './peers.ts';
import { compareSubjects, formatTable } from './report.ts';
import type { Row } from './row.ts';
import { type SuiteRun, suites } from './suites.ts';

const usage = `Usage: npm run bench -- <suite> [--quick] [--only PATTERN] [--out FILE]
  <suite>   ${Object.keys(suites).join(', ')}, or all
  --quick   a run of tiny parameters that only shows that everything works: its figures mean nothing
  --only    of the vectors suite: a regular expression that '<data> <scenario> <runtime>' has to match;
            of the suites storage and memory: one that the scenario has to match
  --out     where the JSON goes; default build/bench.json`;

// It ends here, whatever a suite that failed has left running.
try {
  process.exit(await main());
} catch (error) {
  console.error(error);
  process.exit(1);
}

async function main(): Promise<number> {
  const { positionals, values } = parseArgs({
    allowPositionals: true,
    options: {
      quick: { type: 'boolean', default: false },
      only: { type: 'string', default: '' },
      out: { type: 'string' },
    },
  });
  const [name, ...rest] = positionals;
  if (name === undefined || rest.length > 0 || (name !== 'all' && !Object.hasOwn(suites, name))) {
    console.error(usage);
    return 2;
  }
  const chosen = name === 'all' ? Object.keys(suites) : [name];
  if (chosen.every((suite) => suites[suite] === undefined)) {
    console.error(`The suite "${name}" has no scenarios yet.`);
    return 1;
  }
  const { rows, failed } = await measure(chosen, values.quick, values.only);
  const out = values.out ?? path.resolve(import.meta.dirname, '../../build/bench.json');
  writeFileSync(out, `${JSON.stringify({ ...(await describeMachine()), rows }, null, 1)}\n`);
  console.log(`\n${formatTable(rows)}\n`);
  for (const line of compareSubjects(rows)) console.log(line);
  console.log(`\n${rows.length} rows, also in ${out}`);
  for (const line of await drawCharts(rows, out)) console.log(line);
  return failed || rows.length === 0 ? 1 : 0;
}

async function measure(
  chosen: readonly string[],
  quick: boolean,
  only: string,
): Promise<{ rows: Row[]; failed: boolean }> {
  const rows: Row[] = [];
  let failed = false;
  const run: SuiteRun = {
    quick,
    only,
    add: (more) => void rows.push(...more),
    log: (line) => console.log(line),
  };
  for (const [peer, reason] of ensurePeers().missing) console.log(`${peer} is left out: ${reason}`);
  for (const suite of chosen) {
    const runSuite = suites[suite];
    if (runSuite === undefined) console.log(`${suite}: no scenarios yet`);
    // What was measured before a failure is minutes of work: it is still shown and written.
    await runSuite?.(run).catch((error: unknown) => {
      failed = true;
      console.error(`${suite} failed:`, error);
    });
  }
  return { rows, failed };
}

/** Beside the JSON, in a folder of its name. A run whose charts cannot be drawn is still a run. */
async function drawCharts(rows: readonly Row[], out: string): Promise<string[]> {
  try {
    return await writeCharts(rows, `${out.replace(/\.json$/, '')}-charts`);
  } catch (error) {
    return [`No charts: ${error instanceof Error ? error.message : String(error)}`];
  }
}

async function describeMachine(): Promise<Record<string, unknown>> {
  const manifest = path.resolve(import.meta.dirname, '../../package.json');
  const chromium = await browserVersion();
  return {
    date: new Date().toISOString(),
    cpu: cpus()[0]?.model ?? 'unknown',
    cores: availableParallelism(),
    versions: {
      shibumi: JSON.parse(readFileSync(manifest, 'utf8')).version,
      node: process.versions.node,
      v8: process.versions.v8,
      ...(chromium === undefined ? {} : { chromium }),
      ...ensurePeers().versions,
    },
  };
}
