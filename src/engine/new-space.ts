/** Parsing what `createSpace` was given. */

import type { Durability } from '../api/database.ts';
import { integerIn, invalid, oneOf, shown, wellFormedText } from '../base/arguments.ts';
import { firstChoice } from '../space/auto-index.ts';
import { checkStored, parseIndexType } from '../space/index-types.ts';
import { parseMetadataFields } from '../space/metadata/fields.ts';
import { bitsMax, dimensionMax, isOfBits, parseMetric, parsePower } from '../space/metrics.ts';
import type { NewSpace } from './space-catalog.ts';

const nameLengthMax = 255;
const keyValueOptions = ['durability'] as const;
const vectorOptions = [
  'dimension',
  'indexType',
  'metric',
  'p',
  'ids',
  'originals',
  'efConstruction',
  'seed',
  'metadataFields',
  'durability',
] as const;

/** @throws INVALID_ARGUMENT */
export function parseNewSpace(name: unknown, engine: unknown, options: unknown): NewSpace {
  const text = wellFormedText(name, 'the name of a space');
  if (text.length === 0 || text.length > nameLengthMax) {
    throw invalid(`Got a name of ${text.length} characters, expected 1 to ${nameLengthMax}`);
  }
  const kind = oneOf(engine, ['key-value', 'vector'], 'engine');
  const bag = parseBag(options ?? {}, kind === 'vector' ? vectorOptions : keyValueOptions);
  const durability = parseDurability(bag.durability ?? 'strict');
  if (kind === 'key-value') return { name: text, engine: kind, durability };
  const metric = parseMetric(bag.metric ?? 'L2');
  const p = parsePower(bag.p, metric);
  const metadataFields = parseMetadataFields(bag.metadataFields ?? []);
  const originals = oneOf(bag.originals ?? 'memory', ['memory', 'storage'], 'originals');
  const dimension = integerIn(bag.dimension, 1, isOfBits(metric) ? bitsMax : dimensionMax, 'dimension');
  if (originals === 'storage') checkStored(bag.indexType ?? 'Flat', metric, dimension);
  return {
    name: text,
    engine: kind,
    durability,
    dimension,
    ...(bag.indexType === 'Auto'
      ? { indexType: 'Auto' as const, auto: firstChoice }
      : { indexType: parseIndexType(bag.indexType ?? 'Flat', metric, dimension).indexType }),
    metric,
    ...(p === undefined ? {} : { p }),
    ids: oneOf(bag.ids ?? 'int', ['int', 'string'], 'ids'),
    ...(originals === 'storage' ? { originals } : {}),
    efConstruction: integerIn(bag.efConstruction ?? 128, 8, 4096, 'efConstruction'),
    seed: integerIn(bag.seed ?? 42, 0, Number.MAX_SAFE_INTEGER, 'seed'),
    ...(metadataFields.length === 0 ? {} : { metadataFields }),
  };
}

/** An option nobody knows is a typing error that would silently do nothing: it is refused. */
function parseBag<Name extends string>(options: unknown, known: readonly Name[]): { [N in Name]?: unknown } {
  if (typeof options !== 'object' || options === null)
    throw invalid(`Got ${shown(options)} for options, expected an object`);
  const stranger = Object.keys(options).find((name) => !known.includes(name as Name));
  if (stranger !== undefined)
    throw invalid(`Got option ${shown(stranger)}, expected only ${known.join(', ')}`);
  return options;
}

function parseDurability(value: unknown): Durability {
  if (typeof value === 'object' && value !== null) {
    const { everyOps, everyMs, ...rest } = value as { everyOps?: unknown; everyMs?: unknown };
    if (Object.keys(rest).length === 0 && (everyOps === undefined) !== (everyMs === undefined)) {
      if (everyOps !== undefined)
        return { everyOps: integerIn(everyOps, 1, 1_000_000, 'durability.everyOps') };
      return { everyMs: integerIn(everyMs, 1, 3_600_000, 'durability.everyMs') };
    }
    throw invalid(`Got ${JSON.stringify(value)} for durability, expected { everyOps: n } or { everyMs: n }`);
  }
  return oneOf<'strict' | 'relaxed' | 'none'>(value, ['strict', 'relaxed', 'none'], 'durability');
}
