/**
 * A step of a scan of keys as columns: two buffers to hand over, where thousands of small objects would be cloned one by one,
 * which costs several times what it takes to read them.
 */

import type { PackedValues, ScanStep } from '../api/calls.ts';
import type { Entry, Value, VectorData, VectorEntry } from '../api/database.ts';
import { packValues, unpackValues } from '../base/packed-values.ts';

type Step = ScanStep<Entry | VectorEntry<VectorData>>;

/** `keys` are texts. */
interface StepColumns extends Omit<Step, 'items'> {
  readonly keys: PackedValues;
  readonly values: PackedValues;
}

/** Above it a value costs more to copy than to clone. */
const valueLengthMost = 4096;

/** The step as it travels: as it is where it has other than keys and short values. */
export function packStep(step: Step): Step | StepColumns {
  const { items, ...rest } = step;
  const keys: string[] = [];
  const values: Value[] = [];
  for (const item of items) {
    if (!('key' in item) || item.value.length > valueLengthMost) return step;
    keys.push(item.key);
    values.push(item.value);
  }
  return { ...rest, keys: packValues(keys), values: packValues(values) };
}

export function unpackStep(step: Step | StepColumns): Step {
  if ('items' in step) return step;
  const { keys, values, ...rest } = step;
  const contents = unpackValues(values) as Value[];
  const items = (unpackValues(keys) as string[]).map((key, i) => ({ key, value: contents[i] as Value }));
  return { ...rest, items };
}
