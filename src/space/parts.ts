/** The part of the script that reads and writes metadata and filters by it (base/part.ts): few spaces have any. */

import type { MetadataField } from '../api/database.ts';
import { Part } from '../base/part.ts';

export const metadataPart: Part<typeof import('./parts/metadata.ts')> = new Part(
  () => import('./parts/metadata.ts'),
);

/** What a space with these fields takes. @throws SCRIPT_UNAVAILABLE */
export async function loadMetadataFor(fields: readonly MetadataField[] | undefined): Promise<void> {
  if (fields !== undefined && fields.length > 0) await metadataPart.load();
}
