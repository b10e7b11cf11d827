/** Whether compacting a space is worth it. */

import type { ResidentSpace } from './resident-space.ts';
import type { Settings } from './settings.ts';

/** Whether it has enough to give back. Cheap: asked after every write. */
export function isWorthCompacting(
  { backgroundTimers, compactBlocksMin, compactSlackMin }: Settings,
  resident: ResidentSpace,
): boolean {
  if (!backgroundTimers || !isIdle(resident)) return false;
  // An image for which storage had no room gets smaller with what is deleted since: only then is there room for anything.
  const isSmall = resident.space.instance.exports.arena_frames_in_use() < compactBlocksMin;
  if (isSmall && !resident.isNewImage) return false;
  const slack = resident.space.slack();
  // What is left is in memory a second time until it has been stored.
  return slack >= compactSlackMin && resident.blocks?.copyFits(1 - slack) !== false;
}

/** Linking goes first: what it does to the old image would be lost. */
export function isIdle({ broken, readOnly, space }: ResidentSpace): boolean {
  return !broken && readOnly === undefined && space.pending() === 0;
}
