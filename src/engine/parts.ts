/**
 * The parts of the engine's script, each loaded when something first needs it (base/part.ts). Everything else is there from the beginning,
 * also what two parts have in common.
 */

import { Part } from '../base/part.ts';
import type { Scrypt } from '../base/password.ts';
import { metadataPart } from '../space/parts.ts';

/** Key-value spaces, and the calls on them. */
export const keyValuePart: Part<typeof import('./parts/key-value.ts')> = new Part(
  () => import('./parts/key-value.ts'),
);
/** Vector spaces, the calls on them, and their indexes. */
export const vectorsPart: Part<typeof import('./parts/vectors.ts')> = new Part(
  () => import('./parts/vectors.ts'),
);
/** Another index for a space, also by itself, and bulk work by several threads. */
export const indexingPart: Part<typeof import('./parts/indexing.ts')> = new Part(
  () => import('./parts/indexing.ts'),
  [vectorsPart],
);
/** What a database comes to seldom: being moved, checked, saved from damage, and made small again. */
export const maintenancePart: Part<typeof import('./parts/maintenance.ts')> = new Part(
  () => import('./parts/maintenance.ts'),
  [keyValuePart, vectorsPart, metadataPart],
);
/** What a page has an engine of its own for: static snapshots, and a database in memory. */
export const privatePart: Part<typeof import('./parts/private.ts')> = new Part(
  () => import('./parts/private.ts'),
);
/** Users and what they may do, and encryption at rest: both with scrypt in JavaScript. */
export const secretsPart: Part<typeof import('./parts/secrets.ts')> = new Part(
  () => import('./parts/secrets.ts'),
);

/** For runtimes that have none themselves. */
export const portableScrypt: Scrypt = async (...given) => (await secretsPart.load()).portableScrypt(...given);

/**
 * All of them. For runtimes whose script is whole, and where a call has the caller's own arrays, not copies: what it takes from them it
 * then takes in its own turn, before the caller can write to them again.
 */
export async function loadParts(): Promise<void> {
  const parts = [
    keyValuePart,
    vectorsPart,
    metadataPart,
    indexingPart,
    maintenancePart,
    privatePart,
    secretsPart,
  ];
  await Promise.all(parts.map((part: Part<object>) => part.load()));
}
