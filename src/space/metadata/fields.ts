/** The indexed fields of a space's metadata: what `metadataFields` may be, and how a value is checked against its field. */

import type { MetadataField, MetadataFieldType } from '../../api/database.ts';
import { integerIn, invalid, oneOf, shown, wellFormedText } from '../../base/arguments.ts';
import { encodeUtf8 } from '../../base/text.ts';
import { asInt64 } from '../vector-ids.ts';

export const fieldTypes = ['string', 'int', 'float', 'bool', 'string[]'] as const;
/** wasm/metadata/record.h */
const fieldsMax = 64;
const indexedTextBytesMax = 1024;
export const nameBytesMax = 255;

/** @throws INVALID_ARGUMENT */
export function parseMetadataFields(value: unknown): MetadataField[] {
  if (!Array.isArray(value))
    throw invalid(`Got ${shown(value)} for metadataFields, expected an array of { name, type }`);
  integerIn(value.length, 0, fieldsMax, 'the number of metadataFields');
  const names = new Set<string>();
  return value.map((field: unknown, i): MetadataField => {
    const where = `metadataFields[${i}]`;
    if (typeof field !== 'object' || field === null)
      throw invalid(`Got ${shown(field)} for ${where}, expected { name, type }`);
    const { name, type, ...rest } = field as { name?: unknown; type?: unknown };
    const stranger = Object.keys(rest)[0];
    if (stranger !== undefined)
      throw invalid(`Got ${shown(stranger)} in ${where}, expected only name and type`);
    const checked = checkName(name, `${where}.name`);
    if (names.has(checked)) throw invalid(`Got the name ${shown(checked)} twice in metadataFields`);
    names.add(checked);
    return { name: checked, type: oneOf(type, fieldTypes, `${where}.type`) };
  });
}

export function checkName(name: unknown, what: string): string {
  const text = wellFormedText(name, what);
  const length = text.length * 3 <= nameBytesMax ? text.length : encodeUtf8(text).length;
  if (length === 0 || length > nameBytesMax)
    throw invalid(`Got a name of ${length} bytes for ${what}, expected 1 to ${nameBytesMax}`);
  return text;
}

/** A value of an indexed field as it is stored; of a list field, one of its texts. */
export type Scalar = string | bigint | number | boolean;

/**
 * The value as one of the field's type, or the reason why it is none. Integers become bigints, which is how they are told
 * from floats from here on.
 */
export function checkScalar(value: unknown, type: MetadataFieldType, what: string): Scalar {
  switch (type) {
    case 'int': {
      const integer = asInt64(value);
      if (integer !== undefined) return integer;
      throw invalid(`Got ${shown(value)} for ${what}, expected a safe integer or a bigint of 64 bits`);
    }
    case 'float':
      if (typeof value === 'number' && Number.isFinite(value)) return value;
      throw invalid(`Got ${shown(value)} for ${what}, expected a finite number`);
    case 'bool':
      if (typeof value === 'boolean') return value;
      throw invalid(`Got ${shown(value)} for ${what}, expected true or false`);
    default: {
      const text = wellFormedText(value, what);
      if (text.length * 3 > indexedTextBytesMax && encodeUtf8(text).length > indexedTextBytesMax) {
        throw invalid(
          `Got ${shown(text)} for ${what}, expected at most ${indexedTextBytesMax} bytes; keep long texts in a field that is not in metadataFields`,
        );
      }
      return text;
    }
  }
}
