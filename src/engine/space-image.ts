/** Putting stored blocks into an instance of the core. */

import type { StorageFault } from '../api/database.ts';
import { shibuDbError } from '../api/errors.ts';
import { CoreInstance } from '../kernel/instance.ts';
import type { Core, CoreKind } from '../kernel/module.ts';
import { isCommon } from '../space/common-index.ts';
import { type CatalogEntry, indexTypeOf } from '../storage/catalog.ts';
import type { ManifestBlock } from '../storage/manifest.ts';
import { blockBytes, framesMax } from './resident-space.ts';
import type { Environment } from './settings.ts';
import { blockFault, indexOf, segmentOf } from './stored-space.ts';

/** Which core serves a space: the whole one where no smaller one does. */
export function coreKindOf(entry: CatalogEntry): CoreKind {
  if (entry.engine === 'key-value') return 'key-value';
  return isCommon(indexTypeOf(entry), entry.metric ?? 'L2') ? 'vector' : 'whole';
}

/** Which cores serve them all. */
export function coreKindsOf(entries: readonly CatalogEntry[]): Iterable<CoreKind> {
  const kinds = new Set(entries.map(coreKindOf));
  return kinds.has('whole') ? ['whole'] : kinds;
}

/** Requires: whoever takes it releases it. */
export function freshInstance(environment: Environment, core: Core): CoreInstance {
  const instance = new CoreInstance(core, environment.memory);
  instance.exports.arena_init(framesMax);
  return instance;
}

/** Puts a block's bytes where they belong; answers what is wrong with them. @throws OUT_OF_MEMORY */
export function adopt(
  entry: CatalogEntry,
  block: ManifestBlock,
  bytes: Uint8Array,
  instance: CoreInstance,
): StorageFault | undefined {
  instance.askBudget();
  const place = (): number => instance.exports.block_adopt(segmentOf(block), indexOf(block)) >>> 0;
  let address = place();
  while (address === 0 && instance.makeRoom(blockBytes)) address = place();
  if (address === 0) {
    throw shibuDbError(
      'OUT_OF_MEMORY',
      `No memory is left to open space "${entry.name}" (${instance.memoryBytes} bytes used)`,
    );
  }
  instance.bytes().set(bytes, address);
  const hash = BigInt.asUintN(64, instance.exports.checksum64(address, bytes.length));
  return hash === block.checksum ? undefined : blockFault(block, 'does not match its checksum');
}

/** Runs `work` with a fresh instance, which is released when `work` fails; else it is the result's to release. */
export async function inFreshInstance<Result>(
  environment: Environment,
  core: Core,
  work: (instance: CoreInstance) => Promise<Result>,
): Promise<Result> {
  const instance = freshInstance(environment, core);
  try {
    return await work(instance);
  } catch (error) {
    instance.release();
    throw error;
  }
}
