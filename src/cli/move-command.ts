/**
 * `shibumi move <from> <space> --to <place>`: a space that has outgrown its place goes to another one. Places are folders, servers
 * and upstreams. The source stays as it is, unless `--delete-source` is given and both were found to hold the same.
 */

import type { Database, Durability } from '../api/database.ts';
import { isShibuDbError, shibuDbError } from '../api/errors.ts';
import { invalid, oneOf } from '../base/arguments.ts';
import { fingerprintOf } from './move/fingerprint.ts';
import { copySpace, isUnsupported } from './move/move-space.ts';
import { MoveState } from './move/move-state.ts';
import { ProgressLine } from './transfer/progress.ts';

export interface MoveOptions {
  readonly to?: string | undefined;
  readonly state?: string | undefined;
  readonly durability?: string | undefined;
  readonly 'delete-source'?: boolean | undefined;
}

/** Opens a place: the source first, then the target. */
export type OpenPlace = (place: string, settings: { create: boolean }) => Promise<Database>;

export async function runMove(
  open: OpenPlace,
  source: string,
  space: string,
  { to: target, state: file, durability: given, 'delete-source': deletes }: MoveOptions,
): Promise<void> {
  if (target === undefined) throw invalid('Got no --to, expected the place to move to\nTry shibumi --help');
  if (target === source) throw invalid('Got the same place twice, expected another one for --to');
  const durability: Durability | undefined =
    given === undefined ? undefined : oneOf(given, ['strict', 'relaxed', 'none'] as const, '--durability');
  const from = await open(source, { create: false });
  const to = await open(target, { create: true });
  const progress = new ProgressLine();
  try {
    const state = new MoveState(source, space, target, file);
    const before = state.read();
    const { count, engine } = await from.describeSpace(space);
    const already = before?.copied ?? 0;
    await copySpace({
      from,
      to,
      space,
      durability,
      cursor: before?.cursor,
      onPage: (cursor, copied) => {
        if (cursor !== undefined) state.write(cursor, already + copied);
        progress.update(() => `${already + copied} of ${count} copied`);
      },
    }).catch((error: unknown) => {
      progress.clear();
      throw sayHowToGoOn(error, state);
    });
    progress.update(() => 'comparing');
    const ours = await fingerprintOf(from, space, engine);
    const theirs = await fingerprintOf(to, space, engine).catch((error: unknown) => {
      if (!isUnsupported(error)) throw error;
      throw shibuDbError(
        'UNSUPPORTED',
        `"${space}" was copied, but cannot be compared: ${(error as Error).message}`,
        { cause: error },
      );
    });
    if (ours.count !== theirs.count || ours.hash !== theirs.hash) {
      // Copied again from the beginning, it overwrites what differs.
      state.remove();
      throw shibuDbError(
        'CORRUPTION',
        `"${space}" differs: ${ours.count} items with checksum ${ours.hash.slice(0, 16)} in the source, ${theirs.count} with ${theirs.hash.slice(0, 16)} in the target. Was it written to meanwhile? The source was left as it is`,
      );
    }
    if (deletes) await from.deleteSpace(space);
    state.remove();
    progress.finish(
      `${ours.count} items of ${space} moved, checksum ${ours.hash.slice(0, 16)} on both sides${deletes ? '; the source was deleted' : ''}`,
    );
  } finally {
    progress.clear();
    await Promise.all([from.close(), to.close()]);
  }
}

function sayHowToGoOn(error: unknown, { file }: MoveState): unknown {
  if (!isShibuDbError(error)) return error;
  return shibuDbError(error.code, `${error.message}\nThe same command goes on where it stopped (${file})`, {
    details: error.details,
    cause: error,
  });
}
