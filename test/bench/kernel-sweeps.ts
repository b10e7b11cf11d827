/**
 * The suite `kernels`: each distance kernel of each build over records that lie one after another, in ns a vector and in
 * GB/s of records, beside a plain read of the same bytes. `cached` records stay in the first-level cache and show what
 * the instructions cost; `memory` ones do not fit any cache and show whether memory is what is waited for.
 *
 * The loop is in the core (`kernel_sweep`), so that no call is timed. Subjects take turns, round after round. Runs in Node
 * and in a page.
 */

import { CoreInstance } from '../../src/kernel/instance.ts';
import type { Core } from '../../src/kernel/module.ts';
import { makeRow, type Row } from './row.ts';

/** In the order of `Sweep` in wasm/exports_kernels.cc. */
const kernels = [
  { name: 'read', of: 'floats' },
  { name: 'l2sq, scalar', of: 'floats' },
  { name: 'l2sq', of: 'floats' },
  { name: 'l2sq, 4 at a time', of: 'floats' },
  { name: 'dot, scalar', of: 'floats' },
  { name: 'dot', of: 'floats' },
  { name: 'dot, 4 at a time', of: 'floats' },
  { name: 'SQ8 dot, scalar', of: 'codes' },
  { name: 'SQ8 dot', of: 'codes' },
  { name: 'SQ8 dot, 4 at a time', of: 'codes' },
  { name: 'BQ difference, scalar', of: 'bits' },
  { name: 'BQ difference', of: 'bits' },
] as const;

type Kernel = (typeof kernels)[number];

const dimension = 384;
const strides: Record<Kernel['of'], number> = {
  floats: dimension * 4,
  codes: dimension,
  bits: dimension / 8,
};
const cachedBytes = 24_576;
const arenaFramesMax = 2048;

interface SweepExports {
  kernel_sweep(
    which: number,
    query: number,
    n: number,
    records: number,
    stride: number,
    count: number,
  ): number;
}

interface Sweep {
  readonly build: string;
  readonly kernel: Kernel;
  readonly data: 'cached' | 'memory';
  readonly count: number;
  readonly nsPerVector: number[];
  run(): number;
}

export function measureKernels(cores: readonly Core[], runtime: Row['runtime'], quick: boolean): Row[] {
  const memoryBytes = quick ? 196_608 : 96 * 1024 * 1024;
  const sweeps = cores.flatMap((core) => sweepsOf(core, memoryBytes));
  const rounds = quick ? 2 : 9;
  const roundMs = quick ? 1 : 40;
  for (const sweep of sweeps) sweep.run();
  for (let round = 0; round < rounds; round++) for (const sweep of sweeps) timeRound(sweep, roundMs);
  return sweeps.flatMap((sweep) => rowsOf(sweep, runtime));
}

/** One instance a kind of records: they are what fills its memory. */
function sweepsOf(core: Core, memoryBytes: number): Sweep[] {
  return (['floats', 'codes', 'bits'] as const).flatMap((kind) => {
    const stride = strides[kind];
    const instance = new CoreInstance(core);
    instance.exports.arena_init(arenaFramesMax);
    const queryBytes = dimension * 4;
    const query = instance.scratch(queryBytes + memoryBytes);
    const records = query + queryBytes;
    fill(instance, core, kind, query, records, memoryBytes);
    const exports = instance.exports as unknown as SweepExports;
    // The plain read is measured on each kind: its speed depends on how much there is to read.
    const own = kernels.filter(({ name, of }) => of === kind || name === 'read');
    return own.flatMap((kernel) =>
      (['cached', 'memory'] as const).map((data): Sweep => {
        const count = Math.floor((data === 'cached' ? cachedBytes : memoryBytes) / stride) & ~3;
        const n = kind === 'bits' ? stride : dimension;
        return {
          build: core.build,
          kernel: { ...kernel, of: kind } as Kernel,
          data,
          count,
          nsPerVector: [],
          run: () => exports.kernel_sweep(kernels.indexOf(kernel), query, n, records, stride, count),
        };
      }),
    );
  });
}

function fill(
  instance: CoreInstance,
  core: Core,
  kind: Kernel['of'],
  query: number,
  records: number,
  bytes: number,
): void {
  let state = 1;
  const next = (): number => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state >>> 16;
  };
  if (kind === 'floats') {
    const values = instance.f32(query, dimension + bytes / 4);
    for (let i = 0; i < values.length; i++) values[i] = next() / 65536 - 0.5;
    return;
  }
  // A query's code has a sign, and 16 bits a component where there is no 8-bit dot product (wasm/kernels/code_dot.h).
  const lanes =
    core.build === 'relaxed'
      ? new Int8Array(instance.bytes().buffer, query, dimension)
      : new Int16Array(instance.bytes().buffer, query, dimension);
  for (let i = 0; i < dimension; i++) lanes[i] = (next() % 255) - 127;
  const codes = instance.bytes().subarray(records, records + bytes);
  for (let i = 0; i < bytes; i++) codes[i] = kind === 'codes' ? next() & 127 : next();
}

function timeRound(sweep: Sweep, roundMs: number): void {
  const started = performance.now();
  let passes = 0;
  let sum = 0;
  let took = 0;
  // Passes are counted in batches that double: a clock as coarse as a page's must not be asked after every one.
  for (let batch = 1; took < roundMs; batch *= 2) {
    for (let i = 0; i < batch; i++) sum += sweep.run();
    passes += batch;
    took = performance.now() - started;
  }
  if (Number.isNaN(sum)) throw new Error(`${sweep.kernel.name} gave no number`);
  sweep.nsPerVector.push((took * 1e6) / (passes * sweep.count));
}

function rowsOf({ build, kernel, data, nsPerVector }: Sweep, runtime: Row['runtime']): Row[] {
  // The least: whatever else the machine does only adds to it.
  const ns = Math.min(...nsPerVector);
  const bytes = strides[kernel.of];
  const frame = {
    suite: 'kernels',
    scenario: kernel.name,
    subject: kernel.name === 'read' ? 'memory-read' : 'shibumi',
    runtime,
    data: `${kernel.of}, ${data}`,
    params: { build, dimension },
  };
  return [makeRow(frame, 'nsPerVector', ns), makeRow(frame, 'gigabytesPerSecond', bytes / ns)];
}
