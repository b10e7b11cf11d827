/** A copy of a memory disk, to damage. Stored bytes are shared: replace them, never change them. */

import { MemoryDisk } from '../../src/storage/memory-backend.ts';

export function cloneDisk(disk: MemoryDisk): MemoryDisk {
  const clone = new MemoryDisk();
  clone.catalog = disk.catalog;
  clone.catalogCopy = disk.catalogCopy;
  for (const [id, { manifest, manifestCopy, blocks, log }] of disk.spaces) {
    const space = clone.space(id);
    space.manifest = manifest;
    space.manifestCopy = manifestCopy;
    for (const [key, block] of blocks) {
      // Its bytes are not written over when one of the two drops it.
      block.read = true;
      space.blocks.set(key, block);
    }
    space.log = [...log];
  }
  return clone;
}
