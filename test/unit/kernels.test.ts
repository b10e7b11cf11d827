/**
 * The distance kernels that ship, in both WASM builds, against their scalar references and against f64 arithmetic:
 * every tail length, every misalignment, values at the edges. (The native tests do the same under sanitizers.)
 */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { CoreInstance } from '../../src/kernel/instance.ts';
import { type BuildName, supportedBuild } from '../../src/kernel/module.ts';
import { makeKernelInstance } from './core.ts';

type PairKernel = (a: number, b: number, dimension: number) => number;
type FourKernel = (query: number, vectors: number, dimension: number, out: number) => void;

interface KernelExports {
  kernel_l2sq: PairKernel;
  kernel_l2sq_scalar: PairKernel;
  kernel_ip: PairKernel;
  kernel_ip_scalar: PairKernel;
  kernel_cosine: PairKernel;
  kernel_cosine_scalar: PairKernel;
  kernel_l2sq_x4: FourKernel;
  kernel_l2sq_x4_scalar: FourKernel;
  kernel_dot_x4: FourKernel;
  kernel_dot_x4_scalar: FourKernel;
  vec_all_finite(values: number, count: number): number;
}

const builds: readonly BuildName[] = ['simd128', 'relaxed'];
const dimensions = [...Array.from({ length: 70 }, (_, i) => i + 1), 127, 384, 1023, 1024, 4095, 4096];
const edges = [0, -0, 1e-42, 3e38, -3e38, Infinity, -Infinity, NaN];

/** xorshift32: the same numbers on every machine. */
function makeRandom(seed: number): () => number {
  let state = seed >>> 0 || 1;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state = (state ^ (state << 5)) >>> 0;
    return state / 2 ** 31 - 1;
  };
}

function randomVector(dimension: number, random: () => number): Float32Array {
  return Float32Array.from({ length: dimension }, random);
}

class Kernels {
  readonly instance: CoreInstance;
  readonly exports: KernelExports;
  private readonly base: number;

  constructor(build: BuildName) {
    this.instance = makeKernelInstance(build);
    this.exports = this.instance.exports as unknown as KernelExports;
    this.base = this.instance.scratch(7 * 4096 * 4);
  }

  /** Puts vectors one after another, `shift` bytes past alignment; returns their addresses. */
  place(vectors: readonly Float32Array[], shift: number): number[] {
    let next = this.base + shift;
    return vectors.map((vector) => {
      const at = next;
      this.instance.bytes().set(new Uint8Array(vector.buffer, vector.byteOffset, vector.byteLength), at);
      next += vector.byteLength;
      return at;
    });
  }

  four(kernel: FourKernel, query: number, vectors: number, dimension: number): number[] {
    const out = this.base + 6 * 4096 * 4 + 64;
    kernel(query, vectors, dimension, out);
    return Array.from(new Float32Array(this.instance.bytes().buffer, out, 4));
  }
}

/** Equal, both NaN, or apart by less than rounding can explain for sums of this size. */
function assertClose(got: number, expected: number, scale: number, what: string): void {
  if (Object.is(got, expected) || got === expected) return;
  if (Number.isNaN(got) && Number.isNaN(expected)) return;
  assert.ok(Math.abs(got - expected) <= 3e-6 * scale, `${what}: got ${got}, expected ${expected}`);
}

function scales(a: Float32Array, b: Float32Array): { l2: number; dot: number } {
  let l2 = 0;
  let dot = 0;
  for (const [i, x] of a.entries()) {
    const y = b[i] ?? 0;
    l2 += (x - y) ** 2;
    dot += Math.abs(x * y);
  }
  return { l2, dot };
}

function compareTwins(
  kernels: Kernels,
  a: Float32Array,
  b: Float32Array,
  other: Float32Array,
  shift: number,
): void {
  const n = a.length;
  const { l2, dot } = scales(a, b);
  const vectors = [other, b, other, other];
  const [query = 0, first = 0, second = 0] = kernels.place([a, ...vectors], shift);
  const core = kernels.exports;
  const what = `dimension ${n}, ${shift} bytes past alignment`;
  assertClose(
    core.kernel_l2sq(query, second, n),
    core.kernel_l2sq_scalar(query, second, n),
    l2,
    `l2sq, ${what}`,
  );
  assertClose(core.kernel_ip(query, second, n), core.kernel_ip_scalar(query, second, n), dot, `ip, ${what}`);
  assertClose(
    core.kernel_cosine(query, second, n),
    core.kernel_cosine_scalar(query, second, n),
    1,
    `cosine, ${what}`,
  );
  const l2Four = kernels.four(core.kernel_l2sq_x4, query, first, n);
  const l2Scalar = kernels.four(core.kernel_l2sq_x4_scalar, query, first, n);
  assertClose(l2Four[1] ?? -1, l2Scalar[1] ?? -2, l2, `l2sq_x4, ${what}`);
  const dotFour = kernels.four(core.kernel_dot_x4, query, first, n);
  const dotScalar = kernels.four(core.kernel_dot_x4_scalar, query, first, n);
  assertClose(dotFour[1] ?? -1, dotScalar[1] ?? -2, dot, `dot_x4, ${what}`);
  // The vector's place among the four does not matter.
  assert.deepEqual([l2Four[2], l2Four[3]], [l2Four[0], l2Four[0]]);
  assert.deepEqual([dotFour[2], dotFour[3]], [dotFour[0], dotFour[0]]);
}

for (const build of builds) {
  const reason = build === 'relaxed' && supportedBuild() !== 'relaxed' ? 'no relaxed SIMD here' : undefined;

  test(`${build}: kernels agree with their scalar twins at every dimension and alignment`, (t) => {
    if (reason !== undefined) return t.skip(reason);
    const kernels = new Kernels(build);
    const random = makeRandom(7);
    for (const dimension of dimensions) {
      for (const shift of [0, 1, 4, 6]) {
        const [a, b, other] = [0, 1, 2].map(() => randomVector(dimension, random));
        assert.ok(a && b && other);
        compareTwins(kernels, a, b, other, shift);
      }
    }
  });

  test(`${build}: kernels agree on zero, denormal, huge, infinite and NaN values wherever they stand`, (t) => {
    if (reason !== undefined) return t.skip(reason);
    const kernels = new Kernels(build);
    const random = makeRandom(8);
    for (const dimension of [1, 3, 4, 7, 8, 15, 16, 17, 35]) {
      for (const value of edges) {
        for (let place = 0; place < dimension; place++) {
          const [a, b, other] = [0, 1, 2].map(() => randomVector(dimension, random));
          assert.ok(a && b && other);
          a[place] = value;
          compareTwins(kernels, a, b, other, 0);
          compareTwins(kernels, b, a, other, 1);
        }
      }
    }
  });

  test(`${build}: distances worked out by hand`, (t) => {
    if (reason !== undefined) return t.skip(reason);
    const kernels = new Kernels(build);
    const core = kernels.exports;
    const [a = 0, b = 0, zero = 0] = kernels.place(
      [Float32Array.of(1, 2, 3, 4, 5), Float32Array.of(5, 4, 3, 2, 1), new Float32Array(5)],
      0,
    );
    assert.equal(core.kernel_l2sq(a, b, 5), 16 + 4 + 0 + 4 + 16);
    assert.equal(core.kernel_ip(a, b, 5), -(5 + 8 + 9 + 8 + 5));
    assertClose(core.kernel_cosine(a, b, 5), 1 - 35 / 55, 1, 'cosine');
    assertClose(core.kernel_cosine(a, a, 5), 0, 1, 'cosine of a vector with itself');
    assert.equal(core.kernel_cosine(a, zero, 5), 1);
    assert.equal(core.kernel_cosine(zero, zero, 5), 1);
  });

  test(`${build}: the finite check sees a NaN or infinity in any place`, (t) => {
    if (reason !== undefined) return t.skip(reason);
    const kernels = new Kernels(build);
    for (let dimension = 1; dimension < 40; dimension++) {
      const vector = new Float32Array(dimension).fill(-3e38);
      const finite = (): number =>
        kernels.exports.vec_all_finite(kernels.place([vector], 0)[0] ?? 0, dimension);
      assert.equal(finite(), 1);
      for (let place = 0; place < dimension; place++) {
        for (const bad of [NaN, Infinity, -Infinity]) {
          vector[place] = bad;
          assert.equal(finite(), 0);
          vector[place] = -3e38;
        }
      }
    }
  });
}
