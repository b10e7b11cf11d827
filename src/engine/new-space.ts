/** Parsing what `createSpace` was given. */

import type { Durability } from '../api/database.ts';
import { integerIn, invalid, oneOf, shown, wellFormedText } from '../base/arguments.ts';
import { vectorsPart } from './parts.ts';
import type { NewSpace } from './space-catalog.ts';

const nameLengthMax = 255;
const keyValueOptions = ['durability'] as const;
/** @throws INVALID_ARGUMENT, SCRIPT_UNAVAILABLE */
export async function parseNewSpace(name: unknown, engine: unknown, options: unknown): Promise<NewSpace> {
  const text = wellFormedText(name, 'the name of a space');
  if (text.length === 0 || text.length > nameLengthMax) {
    throw invalid(`Got a name of ${text.length} characters, expected 1 to ${nameLengthMax}`);
  }
  const kind = oneOf(engine, ['key-value', 'vector'], 'engine');
  if (kind === 'vector') {
    const { parseVectorOptions } = await vectorsPart.load();
    return { name: text, engine: kind, ...(await parseVectorOptions(options ?? {})) };
  }
  const { durability } = parseBag(options ?? {}, keyValueOptions);
  return { name: text, engine: kind, durability: parseDurability(durability) };
}

/** An option nobody knows is a typing error that would silently do nothing: it is refused. */
export function parseBag<Name extends string>(
  options: unknown,
  known: readonly Name[],
): { [N in Name]?: unknown } {
  if (typeof options !== 'object' || options === null)
    throw invalid(`Got ${shown(options)} for options, expected an object`);
  const stranger = Object.keys(options).find((name) => !known.includes(name as Name));
  if (stranger !== undefined)
    throw invalid(`Got option ${shown(stranger)}, expected only ${known.join(', ')}`);
  return options;
}

export function parseDurability(value: unknown = 'strict'): Durability {
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
