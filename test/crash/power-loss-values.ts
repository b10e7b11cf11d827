/** What power-loss-writer.ts puts and power-loss.test.ts expects. */

import { Random } from '../support/random.ts';

/** Over 64 KiB: such records are written apart from small ones by several storage engines. */
export function relaxedValue(i: number): Uint8Array {
  return new Random(i).bytes(70_000 + (i % 7) * 10_000);
}

export function strictValue(i: number): string {
  return `value ${i} `.repeat(1 + (i % 20));
}
