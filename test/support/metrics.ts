/** Every metric in float64, straight from its definition: what searches are compared with. On the contract's scale. */

import type { Metric } from '../../src/api/database.ts';

type Terms = (x: number, y: number) => number;

const zeroAtZero = (x: number, ratio: number): number => (x === 0 ? 0 : x * Math.log(ratio));

const sums: Partial<Record<Metric, Terms>> = {
  L2: (x, y) => (x - y) ** 2,
  InnerProduct: (x, y) => x * y,
  L1: (x, y) => Math.abs(x - y),
  Canberra: (x, y) => (x === y ? 0 : Math.abs(x - y) / (Math.abs(x) + Math.abs(y))),
  JensenShannon: (x, y) => (zeroAtZero(x, (2 * x) / (x + y)) + zeroAtZero(y, (2 * y) / (x + y))) / 2,
};

/** `exactDistance`, fast for the three metrics that are asked for a million times in a test run. A zero vector has cosine 0 with everything. */
export function exactDistanceOf(metric: Metric, a: ArrayLike<number>, b: ArrayLike<number>): number {
  if (metric !== 'L2' && metric !== 'InnerProduct' && metric !== 'Cosine') return exactDistance(metric, a, b);
  let product = 0;
  let squares = 0;
  let ofA = 0;
  let ofB = 0;
  for (let i = 0; i < a.length; i++) {
    const x = a[i] as number;
    const y = b[i] as number;
    product += x * y;
    squares += (x - y) * (x - y);
    ofA += x * x;
    ofB += y * y;
  }
  if (metric === 'L2') return squares;
  if (metric === 'InnerProduct') return product;
  return ofA === 0 || ofB === 0 ? 1 : 1 - product / Math.sqrt(ofA * ofB);
}

export function exactDistance(metric: Metric, a: ArrayLike<number>, b: ArrayLike<number>, p = 2): number {
  const total = (terms: Terms): number => {
    let sum = 0;
    for (let i = 0; i < a.length; i++) sum += terms(a[i] as number, b[i] as number);
    return sum;
  };
  const terms = sums[metric];
  if (terms !== undefined) return total(terms);
  const ratio = (part: number, whole: number): number => (part === 0 && whole === 0 ? 0 : part / whole);
  switch (metric) {
    case 'Cosine': {
      const lengths = Math.sqrt(total((x) => x * x) * total((_, y) => y * y));
      return lengths === 0 ? 1 : 1 - total((x, y) => x * y) / lengths;
    }
    case 'Linf':
      return Array.from(a).reduce((most, x, i) => Math.max(most, Math.abs(x - (b[i] as number))), 0);
    case 'Lp':
      return total((x, y) => Math.abs(x - y) ** p);
    case 'BrayCurtis':
      return ratio(
        total((x, y) => Math.abs(x - y)),
        total((x, y) => Math.abs(x + y)),
      );
    case 'Hamming':
      return total((x, y) => ones(x ^ y));
    default:
      return ratio(
        total((x, y) => ones(x ^ y)),
        total((x, y) => ones(x | y)),
      );
  }
}

function ones(byte: number): number {
  return byte.toString(2).replaceAll('0', '').length;
}
