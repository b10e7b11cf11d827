/**
 * The parts of the engine's script, each loaded when something first needs it (base/part.ts). Everything else is there from the beginning,
 * also what two parts have in common.
 */

import { Part } from '../base/part.ts';
import type { Scrypt } from '../base/password.ts';

/** Encryption at rest. */
export const encryptionPart: Part<typeof import('./parts/encryption.ts')> = new Part(
  () => import('./parts/encryption.ts'),
);
/** What a database comes to seldom: being moved, checked, saved from damage, and made small again. */
export const maintenancePart: Part<typeof import('./parts/maintenance.ts')> = new Part(
  () => import('./parts/maintenance.ts'),
);
/** What a page has an engine of its own for: static snapshots, and a database in memory. */
export const privatePart: Part<typeof import('./parts/private.ts')> = new Part(
  () => import('./parts/private.ts'),
);
/** Signing in and managing users, with scrypt in JavaScript. */
export const usersPart: Part<typeof import('./parts/users.ts')> = new Part(() => import('./parts/users.ts'));

/** For runtimes that have none themselves. */
export const portableScrypt: Scrypt = async (...given) => (await usersPart.load()).portableScrypt(...given);
