/**
 * What keeps data safe, taken out of the sources piece by piece, to see that a test notices. A mutant is a change of the text of a
 * module while it is loaded (mutate.ts; in a page, test/support/test-page.ts): the product knows nothing of it. A piece of text
 * that is not there exactly once is an error, so that no mutant goes out of date unseen.
 */

export interface Mutant {
  readonly name: string;
  /** Below src/. */
  readonly file: string;
  readonly changes: readonly { readonly find: string; readonly replace: string }[];
  /** The simulation, or the file of the tests that are there for it. */
  readonly caughtBy: 'simulation' | string;
  /** Which of them, where all would take long. */
  readonly pattern?: string;
}

export const mutants: readonly Mutant[] = [
  {
    name: 'a strict write does not ask for a flush',
    file: 'engine/commit-queue.ts',
    changes: [{ find: "return policy === 'strict';", replace: 'return false;' }],
    caughtBy: 'simulation',
  },
  {
    name: 'a checkpoint drops the log and the old blocks before its manifest counts',
    file: 'engine/checkpoint.ts',
    changes: [
      {
        find: 'await backend.publish(resident.entry.id, manifestBytes, 0);',
        replace:
          'await backend.drop(resident.entry.id, replaced, logFrom); await backend.publish(resident.entry.id, manifestBytes, 0);',
      },
    ],
    caughtBy: 'simulation',
  },
  {
    name: 'a write is acknowledged before it is in the log',
    file: 'engine/commit-queue.ts',
    changes: [
      {
        find: 'if (entries.length > 0) await this.#environment.backend.append(entries, flush, freeing);',
        replace:
          'if (entries.length > 0) this.#environment.backend.append(entries, flush, freeing).catch(() => {});',
      },
    ],
    caughtBy: 'simulation',
  },
  {
    name: 'the log is not flushed',
    file: 'node/space-log.ts',
    changes: [
      {
        find: `const { bytes } = tail;
    await flushed(() => tail.file.flush(), tail.file.path);`,
        replace: 'const { bytes } = tail;',
      },
    ],
    caughtBy: 'simulation',
  },
  {
    name: 'blocks are not flushed before the manifest that names them',
    file: 'node/block-file.ts',
    changes: [
      {
        find: `await flushed(() => file.flush(), file.path);
      this.#dirty = false;`,
        replace: 'this.#dirty = false;',
      },
    ],
    caughtBy: 'simulation',
  },
  {
    name: 'a file takes its name before its contents are flushed',
    file: 'node/file-system.ts',
    changes: [
      { find: 'await flushed(() => open.flush(), fresh);', replace: 'await files.rename(fresh, file);' },
      { find: 'await files.rename(fresh, file);', replace: 'await files.rename(file, file);' },
    ],
    caughtBy: 'simulation',
  },
  {
    name: 'a folder is not flushed after a name in it has changed',
    file: 'node/file-system.ts',
    changes: [{ find: 'await flushed(() => files.flushFolder(path.dirname(file)), file);', replace: '' }],
    caughtBy: 'simulation',
  },
  {
    name: 'what a killed process left unflushed is built upon',
    file: 'node/file-backend.ts',
    changes: [{ find: 'this.#settled ??= this.#settle();', replace: '' }],
    caughtBy: 'simulation',
  },
  {
    name: 'the checksum of envelopes is not looked at',
    file: 'storage/envelope.ts',
    changes: [{ find: 'if (checksum(copy) !== expected)', replace: 'if (checksum(copy) === -1n)' }],
    caughtBy: 'test/fuzz/storage.test.ts',
  },
  {
    name: 'an owner answers without looking whether it still is one',
    file: 'tabs/owner.ts',
    changes: [{ find: 'if (replies.length > 0) await this.#owner.confirmed();', replace: '' }],
    caughtBy: 'simulation',
  },
  {
    name: 'the checksum of blocks is not looked at',
    file: 'engine/space-image.ts',
    changes: [{ find: 'return hash === block.checksum ?', replace: 'return hash !== -1n ?' }],
    caughtBy: 'test/fuzz/storage.test.ts',
  },
  {
    name: 'a flush does not write again what only a former log of the browser has',
    file: 'storage/unflushed-records.ts',
    changes: [{ find: 'if (!this.#wanted) return;', replace: 'return;' }],
    caughtBy: 'simulation',
  },
  {
    name: 'a gap in what nobody was promised counts as damage',
    file: 'engine/stored-space.ts',
    changes: [{ find: 'if (this.#isTorn(entries, expected)) {', replace: 'if (entries.length < 0) {' }],
    caughtBy: 'simulation',
  },
  {
    name: 'what is behind a gap stays in the log',
    file: 'engine/open-space.ts',
    changes: [
      {
        find: 'if (stored.tornAt !== undefined) await environment.backend.cutLog?.(entry.id, stored.tornAt);',
        replace: '',
      },
    ],
    caughtBy: 'test/unit/log-gap.test.ts',
  },
  {
    name: 'a gap in what was promised counts as the end of the log',
    file: 'engine/stored-space.ts',
    changes: [{ find: 'return record.flushedBefore <= missing;', replace: 'return true;' }],
    caughtBy: 'test/unit/log-gap.test.ts',
  },
  {
    name: 'a strict record does not say that all before it are on the disk',
    file: 'engine/commit-queue.ts',
    changes: [{ find: 'flush ? 0 : unflushed', replace: 'unflushed' }],
    caughtBy: 'test/unit/log-gap.test.ts',
  },
  {
    name: 'a flush is not remembered by the records after it',
    file: 'engine/commit-queue.ts',
    changes: [
      {
        find: 'if (resident.loggedIn <= this.#flushedPeriod) resident.flushedBefore = nextSequence;',
        replace: '',
      },
    ],
    caughtBy: 'test/unit/log-gap.test.ts',
  },
  {
    name: 'blocks that no manifest names stay',
    file: 'engine/open-space.ts',
    changes: [{ find: 'orphans.push(name);', replace: '{}' }],
    caughtBy: 'test/unit/cut-off-checkpoint.test.ts',
  },
  {
    name: 'a transaction does not look at the epoch',
    file: 'storage/indexeddb-backend.ts',
    changes: [
      {
        find: 'if (epoch === this.#owned.epoch && identity === this.#owned.identity) return;',
        replace: 'if (identity !== undefined) return;',
      },
    ],
    caughtBy: 'test/browser/fence.test.ts',
    pattern: 'every write of a former owner|side by side',
  },
];

/** The mutant that this process is to be, if any. */
export function chosenMutant(): Mutant | undefined {
  const name = process.env.SHIBUMI_TEST_MUTANT;
  if (name === undefined) return undefined;
  const mutant = mutants.find((one) => one.name === name);
  if (mutant === undefined) throw new Error(`There is no mutant "${name}"`);
  return mutant;
}

/** @throws when the source is not as the mutant expects */
export function mutated({ name, file, changes }: Mutant, source: string): string {
  // All at their places first: a later change may look like what an earlier one wrote.
  const places = changes.map(({ find, replace }) => {
    const at = source.indexOf(find);
    if (at < 0 || source.indexOf(find, at + 1) >= 0)
      throw new Error(`"${name}": expected once in src/${file}: ${find}`);
    return { at, find, replace };
  });
  return places
    .sort((a, b) => b.at - a.at)
    .reduce(
      (text, { at, find, replace }) => text.slice(0, at) + replace + text.slice(at + find.length),
      source,
    );
}
