/** Parsing what `createSpace` was given for a vector space, and what `reindex` was. */

import { integerIn, oneOf } from '../base/arguments.ts';
import { checkStored, firstChoice, parseIndexType } from '../space/index-types.ts';
import { bitsMax, dimensionMax, isOfBits, parseMetric, parsePower } from '../space/metrics.ts';
import { metadataPart } from '../space/parts.ts';
import { type CatalogEntry, indexTypeOf, vectorKind } from '../storage/catalog.ts';
import { parseBag, parseDurability } from './new-space.ts';
import type { IndexChange } from './reindex.ts';
import type { NewSpace } from './space-catalog.ts';

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
export async function parseVectorOptions(options: unknown): Promise<Omit<NewSpace, 'name' | 'engine'>> {
  const bag = parseBag(options, vectorOptions);
  const durability = parseDurability(bag.durability);
  const metric = parseMetric(bag.metric ?? 'L2');
  const p = parsePower(bag.p, metric);
  const { metadataFields: given } = bag;
  const metadataFields = given === undefined ? [] : (await metadataPart.load()).parseMetadataFields(given);
  const originals = oneOf(bag.originals ?? 'memory', ['memory', 'storage'], 'originals');
  const dimension = integerIn(bag.dimension, 1, isOfBits(metric) ? bitsMax : dimensionMax, 'dimension');
  if (originals === 'storage') checkStored(bag.indexType ?? 'Flat', metric, dimension);
  return {
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

/** @throws INVALID_ARGUMENT */
export function parseReindex(
  entry: CatalogEntry,
  options: { indexType: unknown; efConstruction: unknown },
): IndexChange {
  const { dimension, metric } = vectorKind(entry);
  const efConstruction = integerIn(
    options.efConstruction ?? entry.efConstruction ?? 128,
    8,
    4096,
    'efConstruction',
  );
  if (entry.originals === 'storage') checkStored(options.indexType, metric, dimension);
  if (options.indexType === 'Auto') {
    // The index that is there stays until it is known that another one pays.
    const auto = entry.auto ?? { ...firstChoice, indexType: indexTypeOf(entry) };
    return { indexType: 'Auto', auto, efConstruction };
  }
  return { indexType: parseIndexType(options.indexType, metric, dimension).indexType, efConstruction };
}
