/** Copying a space's blocks from one instance to another: to where helpers work, or to one of another core. */

import { shibuDbError } from '../api/errors.ts';
import type { CoreInstance } from '../kernel/instance.ts';
import type { Core } from '../kernel/module.ts';
import type { Space } from '../space/space.ts';
import { blockBytes, makeSpace, type ResidentSpace } from './resident-space.ts';
import type { Environment } from './settings.ts';
import { freshInstance } from './space-image.ts';

/** As many segments as an arena may have (wasm/core/arena.h). */
const segmentsMax = 32;

/** False when the block is not in memory. @throws OUT_OF_MEMORY */
export function copyBlock(
  source: CoreInstance,
  target: CoreInstance,
  segment: number,
  index: number,
): boolean {
  const from = source.exports.block_at(segment, index) >>> 0;
  if (from === 0) return false;
  target.askBudget();
  const place = (): number => target.exports.block_adopt(segment, index) >>> 0;
  let to = place();
  while (to === 0 && target.makeRoom(blockBytes)) to = place();
  if (to === 0) throw shibuDbError('OUT_OF_MEMORY', 'No memory is left for a second copy of the space');
  target.bytes().set(source.bytes().subarray(from, from + blockBytes), to);
  return true;
}

/** All of it at one moment. False when blocks of it are not in memory. @throws OUT_OF_MEMORY */
export function copyBlocks(source: CoreInstance, target: CoreInstance): boolean {
  return eachBlock(source, (segment, index) => copyBlock(source, target, segment, index));
}

/** Until `visit` says false; then it is false. */
function eachBlock({ exports }: CoreInstance, visit: (segment: number, index: number) => boolean): boolean {
  for (let segment = 0; segment < segmentsMax; segment++) {
    const count = exports.arena_segment_blocks(segment) >>> 0;
    for (let index = 0; index < count; index++) if (!visit(segment, index)) return false;
  }
  return true;
}

/** The space in an instance of another core; nothing of it is stored. Requires: all of it is in memory. @throws OUT_OF_MEMORY */
export function copyOf({ entry, space }: ResidentSpace, environment: Environment, core: Core): Space {
  const instance = freshInstance(environment, core);
  try {
    if (!copyBlocks(space.instance, instance))
      throw new Error(`Blocks of space "${entry.name}" are not in memory`);
    const copy = makeSpace(entry, instance, environment.wallClock);
    copy.open();
    eachBlock(space.instance, (segment, index) => {
      instance.exports.block_unsaved(segment, index);
      return true;
    });
    return copy;
  } catch (error) {
    instance.release();
    throw error;
  }
}
