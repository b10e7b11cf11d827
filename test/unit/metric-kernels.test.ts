/** The kernels of the further metrics in both WASM builds, against their scalar twins and the definitions in f64. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Metric } from '../../src/api/database.ts';
import { type BuildName, supportedBuild } from '../../src/kernel/module.ts';
import { exactDistance } from '../support/metrics.ts';
import { Random } from '../support/random.ts';
import { makeKernelInstance } from './core.ts';

interface MetricExports {
  kernel_metric(which: number, scalar: number, a: number, b: number, n: number, p: number): number;
  kernel_metric_x4(which: number, query: number, vectors: number, n: number, p: number, out: number): void;
}

/** In the order of the core's numbers. */
const kernels: readonly { metric: Metric; powers: readonly number[] }[] = [
  { metric: 'L1', powers: [0] },
  { metric: 'Linf', powers: [0] },
  { metric: 'Lp', powers: [0.5, 1, 2, 2.7, 3, 7] },
  { metric: 'Canberra', powers: [0] },
  { metric: 'BrayCurtis', powers: [0] },
  { metric: 'JensenShannon', powers: [0] },
  { metric: 'Hamming', powers: [0] },
  { metric: 'Jaccard', powers: [0] },
];
const lengths = [...Array.from({ length: 34 }, (_, i) => i + 1), 127, 384, 1023, 4096];
const builds: readonly BuildName[] = ['simd128', 'relaxed'];

for (const build of builds) {
  test(`${build}: further metrics agree with their scalar twins and f64 at every length and alignment`, (t) => {
    if (build === 'relaxed' && supportedBuild() !== 'relaxed') return t.skip('no relaxed SIMD here');
    const instance = makeKernelInstance(build);
    const core = instance.exports as unknown as MetricExports;
    const base = instance.scratch(6 * 4096 * 4 + 64);
    const random = new Random(5);
    for (const [which, { metric, powers }] of kernels.entries()) {
      const isOfBits = metric === 'Hamming' || metric === 'Jaccard';
      for (const length of lengths) {
        const bytes = length * 4;
        const makeVector = (): Float32Array | Uint8Array => {
          if (isOfBits) return Uint8Array.from({ length: bytes }, () => random.below(256));
          const vector = random.vectors(length);
          return metric === 'JensenShannon' ? vector.map(Math.abs) : vector;
        };
        for (const shift of [0, 5]) {
          const query = makeVector();
          const four = Array.from({ length: 4 }, makeVector);
          const [queryAt, fourAt] = [base + shift, base + shift + bytes];
          for (const [i, { buffer }] of [query, ...four].entries())
            instance.bytes().set(new Uint8Array(buffer), queryAt + i * bytes);
          for (const p of powers) {
            const out = base + 5 * 4096 * 4 + 32;
            core.kernel_metric_x4(which, queryAt, fourAt, length, p, out);
            const results = Array.from(instance.f32(out, 4));
            for (const [i, vector] of four.entries()) {
              const exact = exactDistance(metric, query, vector, p);
              const what = `${metric} p ${p}, length ${length}, shift ${shift}`;
              const close = (got: number, part: string): void =>
                assert.ok(
                  Math.abs(got - exact) <= 1e-5 * exact + 1e-6,
                  `${part} ${what}: ${got}, not ${exact}`,
                );
              close(core.kernel_metric(which, 0, queryAt, fourAt + i * bytes, length, p), 'simd');
              close(core.kernel_metric(which, 1, queryAt, fourAt + i * bytes, length, p), 'scalar');
              close(results[i] ?? Number.NaN, 'x4');
            }
          }
        }
      }
    }
  });
}
