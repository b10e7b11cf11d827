/** Kills the writer of history-writer.ts again and again, and after each time checks what the database holds. */

import assert from 'node:assert/strict';
import { readdir } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { open } from '../../src/node.ts';
import { type Runtime, start } from './child.ts';
import { changesOf, contentsOf, inFlight, type SpaceName, spaceNames } from './history.ts';

/** The contents of every space as far as its history is known to be in the database. */
interface Known {
  /** Operations that are in. */
  count: number;
  contents: Map<string, string>;
}

export interface Tally {
  kills: number;
  /** Kills while the writer was still opening. */
  early: number;
  acknowledged: number;
  /** Operations that were in although nobody had been told. */
  unreported: number;
}

/** Mulberry32: the same kills for the same seed, as far as a scheduler allows. */
function randomFrom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

export async function killAgainAndAgain(
  runtime: Runtime,
  folder: string,
  kills: number,
  seed: number,
): Promise<Tally> {
  const random = randomFrom(seed);
  const tally: Tally = { kills: 0, early: 0, acknowledged: 0, unreported: 0 };
  const known = new Map(spaceNames.map((space) => [space, { count: 0, contents: new Map() } as Known]));
  for (; tally.kills < kills; tally.kills++) {
    const starts = spaceNames.map((space) => String(known.get(space)?.count));
    const writer = start(runtime, 'history-writer.ts', [folder, ...starts]);
    // One in six is killed while it opens, perhaps while it takes over the lock or replays the log.
    const early = random() < 1 / 6;
    if (!early) await writer.line('ready');
    await sleep(early ? random() * 400 : 20 + random() * 350);
    writer.child.kill('SIGKILL');
    const { signal, errors } = await writer.ended;
    assert.equal(signal, 'SIGKILL', `the writer ended by itself: ${errors}`);
    if (!writer.lines.includes('ready')) tally.early++;
    else assert.ok(await leftLock(folder, writer.child.pid as number), 'a killed process leaves its lock');
    await check(folder, known, writer.lines, tally);
  }
  return tally;
}

async function leftLock(folder: string, pid: number): Promise<boolean> {
  return (await readdir(folder)).some((name) => name.startsWith(`lock-held-${pid}-`));
}

async function check(
  folder: string,
  known: Map<SpaceName, Known>,
  lines: readonly string[],
  tally: Tally,
): Promise<void> {
  // Opening takes over the lock of the process that was killed.
  await using db = await open(folder);
  const there = new Set((await db.listSpaces()).map(({ name }) => name));
  for (const [space, state] of known) {
    const acknowledged = lines.filter((line) => line.startsWith(`${space} `));
    tally.acknowledged += acknowledged.length;
    // Operations of a space take effect in order; those that were stored together may be reported in another.
    const least = Math.max(state.count, ...acknowledged.map((line) => Number(line.split(' ')[1]) + 1));
    if (!there.has(space)) {
      assert.equal(least, 0, `space ${space} is gone`);
      continue;
    }
    const found = await contentsOf(db, space);
    const most = least + inFlight;
    while (state.count < least) apply(state, space);
    while (!sameContents(found, state.contents) && state.count < most) {
      apply(state, space);
      tally.unreported++;
    }
    assert.ok(
      sameContents(found, state.contents),
      `space ${space} holds no prefix of its history with ${least} to ${most} operations: ${difference(found, state)}`,
    );
  }
}

function apply(state: Known, space: SpaceName): void {
  for (const [key, value] of changesOf(space, state.count)) {
    if (value === undefined) state.contents.delete(key);
    else state.contents.set(key, value);
  }
  state.count++;
}

function sameContents(a: ReadonlyMap<string, string>, b: ReadonlyMap<string, string>): boolean {
  if (a.size !== b.size) return false;
  for (const [key, value] of a) if (b.get(key) !== value) return false;
  return true;
}

function difference(found: ReadonlyMap<string, string>, { count, contents }: Known): string {
  const wrong = [...new Set([...found.keys(), ...contents.keys()])].filter(
    (key) => found.get(key) !== contents.get(key),
  );
  return `${wrong.length} entries differ from the state after ${count}, among them ${wrong.slice(0, 5).join(', ')}`;
}
