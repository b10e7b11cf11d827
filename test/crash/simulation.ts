/**
 * One seed: the story of a database from its first opening on, over storage that fails, with a model as the oracle.
 *
 * A life begins when a process opens the database and ends when that is stopped at a step of its storage or at any moment
 * in between (killed, or with the power of the whole machine), closes, or is frozen while another takes over. The next life
 * begins with a comparison of everything there is with the model. A story goes on until it has had what a story needs
 * (`isComplete`). Nothing in it depends on anything but the seed: see virtual-time.ts.
 */

import { isShibuDbError } from '../../src/api/errors.ts';
import type { EngineEvent } from '../../src/engine/event-hub.ts';
import { loadParts } from '../../src/engine/parts.ts';
import type { Settings } from '../../src/engine/settings.ts';
import { Random } from '../support/random.ts';
import { type FaultPlan, Faults, type Trace } from './faults.ts';
import { type Machine, makeMachine, type Process } from './machines.ts';
import { MemoryPool } from './memory-pool.ts';
import type { Crash } from './model.ts';
import { VirtualTime } from './virtual-time.ts';
import { Workload } from './workload.ts';

/** What happened in a story. */
export interface Tally {
  operations: number;
  steps: number;
  failures: number;
  crashes: number;
  checkpoints: number;
  compactions: number;
  ownerChanges: number;
}

export function emptyTally(): Tally {
  return {
    operations: 0,
    steps: 0,
    failures: 0,
    crashes: 0,
    checkpoints: 0,
    compactions: 0,
    ownerChanges: 0,
  };
}

/** What a story has to have, at least. */
const needed = { operations: 200, crashes: 3, checkpoints: 1, compactions: 1, ownerChanges: 1 };
/** More lives than any seed takes. */
const livesMax = 60;
const turnsPerLife = 20;

export type Kind = Machine['kind'];

export interface StoryOptions {
  /** Over what. Default: drawn. */
  readonly kind?: Kind;
  /** What befalls each life and how it ends. Default: drawn, until the story is complete. */
  readonly lives?: readonly { readonly plan: FaultPlan; readonly ending: 'process' | 'power' }[];
  readonly trace?: Trace;
}

/** @throws what the model or the database found wrong */
export async function simulate(seed: number, options: StoryOptions = {}): Promise<Tally> {
  await loadParts();
  // Two sources, so that one more look at the clock does not change what is done.
  const time = new VirtualTime(new Random(seed ^ 0x2545f491));
  const story = new Story(new Random(seed), time, options);
  const uninstall = memories.install();
  try {
    return await time.run(() => story.run());
  } finally {
    uninstall();
    memories.reclaim();
  }
}

const memories = new MemoryPool();

class Story {
  readonly #random: Random;
  readonly #time: VirtualTime;
  readonly #trace: Trace;
  readonly #machine: Machine;
  readonly #workload: Workload;
  readonly #settings: Partial<Settings>;
  readonly #memoryBudgetBytes: number;
  readonly #lives: StoryOptions['lives'];
  readonly #tally: Tally = emptyTally();

  constructor(random: Random, time: VirtualTime, { kind, lives, trace = () => {} }: StoryOptions) {
    this.#random = random;
    this.#time = time;
    this.#trace = trace;
    this.#lives = lives;
    this.#machine = makeMachine(kind ?? random.pick(['files', 'files', 'transactions', 'leveldb']));
    this.#workload = new Workload(random, time, trace);
    // Small, so that checkpoints, compactions and letting spaces go happen all the time.
    this.#settings = {
      // In a key-value space of a block or two there always is something to compact: not in every story.
      compactBlocksMin: random.unit() < 0.1 ? 1 : 5,
      compactSlackMin: 0.5,
      compactPauseMs: 60_000,
      checkpointLogBytes: random.pick([2000, 6000, 30_000]),
      checkpointIdleMs: 2000,
      groupOperationsMax: 4,
      residentSpacesMax: random.pick([2, 16, 16, 16]),
      originalBlocksKept: 0,
      blockFramesLeast: 0,
    };
    // In every second story nothing that may be dropped has room.
    this.#memoryBudgetBytes = random.pick([1, 1 << 30]);
    trace(`over ${this.#machine.kind}, ${JSON.stringify(this.#settings)}`);
  }

  async run(): Promise<Tally> {
    let ending: Crash = 'none';
    for (let life = 0; life !== this.#lives?.length; life++) {
      if (this.#lives === undefined && this.#isComplete()) break;
      if (life > livesMax) throw new Error(`After ${livesMax} lives: ${JSON.stringify(this.#tally)}`);
      // What was under way when the former process ended comes to nothing before the next begins.
      await this.#time.nextTask();
      memories.reclaim();
      const told = this.#lives?.[life];
      // Where stops come early again and again, what a story needs does not happen: then one runs on.
      const plan = told?.plan ?? (life % 3 === 2 ? {} : this.#drawPlan());
      this.#trace(`life ${life}: ${planned(plan)}`);
      ending = await this.#live(plan, ending, told?.ending);
      this.#trace(`life ${life} ended: ${ending}`);
    }
    const last = await this.#open({}, ending);
    await last?.close();
    this.#tally.operations = this.#workload.operations;
    return this.#tally;
  }

  #isComplete(): boolean {
    this.#tally.operations = this.#workload.operations;
    return Object.entries(needed).every(([what, least]) => this.#tally[what as keyof Tally] >= least);
  }

  #drawPlan(): FaultPlan {
    const random = this.#random;
    const kinds = this.#machine.kind === 'files' ? 250 : 60;
    const stop =
      random.unit() < 0.6 ? { step: 1 + random.below(kinds), done: random.unit() < 0.5 } : undefined;
    const fail = new Map<number, 'full' | 'broken'>();
    if (random.unit() < 0.5)
      for (let i = random.below(5); i >= 0; i--)
        fail.set(1 + random.below(kinds), random.unit() < 0.8 ? 'full' : 'broken');
    return { stop, fail };
  }

  /** From one opening to the end of the process, or of the one that took over from it. */
  async #live(plan: FaultPlan, before: Crash, ending?: 'process' | 'power'): Promise<Crash> {
    const process = await this.#open(plan, before);
    // What was not compared yet is for the next one, which can only rely on less.
    if (process === undefined) return worse(before, this.#crash(undefined, ending));
    const { db, faults } = process;
    const { unknown } = this.#workload;
    // Files that could not be flushed are not written any more until they are opened again.
    const over = (): boolean =>
      faults.stopped || (this.#machine.kind === 'files' && this.#workload.unknown > unknown);
    await this.#workload.run(db, turnsPerLife, over);
    if (!over() && this.#tally.compactions === 0) await this.#workload.makeRoom(db, over);
    if (!over()) await this.#compareNow(process);
    this.#count(faults);
    if (over() || ending !== undefined) return this.#crash(faults, ending);
    if (this.#random.unit() < (this.#tally.ownerChanges === 0 ? 0.2 : 0.7)) return this.#crash(faults);
    return this.#machine.kind !== 'files' && this.#random.unit() < 0.6
      ? this.#takeOver(process)
      : this.#close(process);
  }

  /** `undefined` when that was cut short by what the plan has. */
  async #open(plan: FaultPlan, before: Crash): Promise<Process | undefined> {
    const faults = new Faults(plan, this.#time, this.#random, this.#trace);
    this.#workload.isStopped = () => faults.stopped;
    this.#workload.wasFull = () => faults.wasFull;
    this.#workload.hasFailed = () => faults.failures > 0;
    try {
      const process = await this.#machine.open(faults, {
        time: this.#time,
        settings: this.#settings,
        memoryBudgetBytes: this.#memoryBudgetBytes,
        onEvent: (event) => this.#note(event),
      });
      if (before !== 'none') await this.#workload.compare(process.db, before);
      return process;
    } catch (error) {
      if (!(faults.stopped || faults.failures > 0) || !isShibuDbError(error)) throw error;
      this.#trace(`  opening: ${error.code}`);
      this.#count(faults);
      faults.stopped = true;
      return undefined;
    }
  }

  /** With what it should show now, unless it is stopped meanwhile. */
  async #compareNow({ db, faults }: Process): Promise<void> {
    try {
      await this.#workload.compare(db, 'none');
    } catch (error) {
      if (!faults.stopped || !isShibuDbError(error)) throw error;
    }
  }

  /** At any moment, with whatever is under way: killed, or with the power. */
  #crash(faults?: Faults, ending?: 'process' | 'power'): Crash {
    if (faults !== undefined) faults.stopped = true;
    this.#time.forgetAll();
    this.#tally.crashes++;
    if ((ending ?? (this.#random.unit() < 0.5 ? 'process' : 'power')) === 'process') return 'process';
    this.#machine.losePower(this.#random);
    return 'power';
  }

  async #close({ faults, close }: Process): Promise<Crash> {
    faults.calm();
    await close();
    faults.stopped = true;
    this.#time.forgetAll();
    this.#tally.ownerChanges++;
    // Files that failed for good take nothing any more: what only memory has is lost, as at a crash.
    return this.#machine.kind === 'files' && faults.failedForGood ? 'process' : 'closed';
  }

  /** The process is frozen with calls under way, another takes the database, and then the first one wakes up. */
  async #takeOver(former: Process): Promise<Crash> {
    const { db, faults } = former;
    const late = this.#workload.writes(db);
    for (let turns = this.#random.below(6); turns > 0; turns--) await this.#time.nextTask();
    if (faults.stopped) {
      await late;
      return this.#crash(faults);
    }
    this.#trace('  frozen');
    faults.freeze();
    const next = await this.#open({}, 'process');
    if (next === undefined) throw new Error('nothing is in the way of the next owner');
    this.#tally.ownerChanges++;
    await this.#workload.run(next.db, 3, () => false);
    this.#trace('  thawed');
    faults.thaw();
    await late;
    await this.#workload.accuse(db);
    await this.#workload.compare(next.db, 'none');
    faults.stopped = true;
    return this.#random.unit() < 0.5 ? this.#crash(next.faults) : this.#close(next);
  }

  #count({ steps, failures }: Faults): void {
    this.#tally.steps += steps;
    this.#tally.failures += failures;
  }

  #note(event: EngineEvent): void {
    if (event.type !== 'log') return;
    const { event: what, space = '' } = event.detail;
    if (what === 'checkpoint') this.#tally.checkpoints++;
    if (what === 'compacted') this.#tally.compactions++;
    this.#trace(`    ${what} ${space}`);
  }
}

/** Of two endings, the one after which less may be relied on. */
function worse(one: Crash, other: Crash): Crash {
  const order: readonly Crash[] = ['none', 'closed', 'process', 'power'];
  return order.indexOf(one) > order.indexOf(other) ? one : other;
}

function planned({ stop, fail }: FaultPlan): string {
  const stops = stop === undefined ? 'runs on' : `stops at step ${stop.step}, ${stop.done ? '' : 'not '}done`;
  const failures = [...(fail ?? [])].map(([step, failure]) => `${failure} at ${step}`);
  return [stops, ...failures].join(', ');
}
