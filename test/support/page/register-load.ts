/**
 * What a tab does while tabs are killed and frozen around it: several callers at once read and write a few keys that all tabs
 * share, and tell Node what they did.
 *
 * Node learns of a call before it is made (a call whose tab is killed has an unknown outcome), and of its answer soon after.
 * Keys change every few seconds, so that a key's history stays short enough to be judged, however many outcomes in it are
 * unknown.
 */

import { isShibuDbError, type OpenOptions, open } from 'shibumi';
import type { Action, Result } from '../linearizability.ts';
import { Random } from '../random.ts';

export interface PlannedCall {
  readonly id: string;
  readonly key: string;
  readonly action: Action;
}
export interface MadeCall {
  readonly id: string;
  /** By the system's clock, to the millisecond: made not before `beginMs`, answered before `endMs`. */
  readonly beginMs: number;
  readonly endMs: number;
  readonly result: Result;
  readonly error: { readonly code: string; readonly message: string } | undefined;
}

export interface LoadOptions {
  readonly database: string;
  readonly tab: string;
  readonly callers: number;
  readonly seed: number;
  readonly open: OpenOptions;
}

export interface LoadReports {
  /** Resolves when Node has it. */
  readonly planned: (calls: PlannedCall[]) => Promise<void>;
  readonly made: (calls: MadeCall[]) => Promise<void>;
}

const keyMs = 2000;
const callsPerPlan = 8;
const reportMs = 20;
export const registerSpace = 'registers';

export class RegisterLoad {
  readonly #options: LoadOptions;
  readonly #reports: LoadReports;
  readonly #made: MadeCall[] = [];
  readonly #running: Promise<void>;
  #stopped = false;
  #db: Awaited<ReturnType<typeof open>> | undefined;

  constructor(options: LoadOptions, reports: LoadReports) {
    this.#options = options;
    this.#reports = reports;
    this.#running = this.#run();
  }

  /** Resolves when every call is answered and told. */
  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#running;
  }

  /** Whether this tab's worker owns the database, and in which epoch. */
  async place(): Promise<{ role: 'owner' | 'client'; epoch: number } | undefined> {
    return (await this.#db?.stats())?.tabs;
  }

  async read(key: string): Promise<string | undefined> {
    return (await this.#db?.get(key, { space: registerSpace })) as string | undefined;
  }

  async #run(): Promise<void> {
    const { database, callers, open: options } = this.#options;
    this.#db = await open(database, options);
    await this.#db
      .createSpace(registerSpace, 'key-value', { durability: 'relaxed' })
      .catch((error: unknown) => {
        if (!isShibuDbError(error) || !['SPACE_EXISTS', 'OUTCOME_UNKNOWN'].includes(error.code)) throw error;
      });
    const telling = setInterval(() => this.#tell(), reportMs);
    await Promise.all(Array.from({ length: callers }, (_, number) => this.#call(number)));
    clearInterval(telling);
    await this.#tell();
  }

  async #tell(): Promise<void> {
    const calls = this.#made.splice(0);
    if (calls.length > 0) await this.#reports.made(calls);
  }

  async #call(number: number): Promise<void> {
    const random = new Random(this.#options.seed + number);
    const seen = new Map<string, string | undefined>();
    for (let plan = 0; !this.#stopped; plan++) {
      const calls = Array.from({ length: callsPerPlan }, (_, i) =>
        this.#plan(`${this.#options.tab}.${number}.${plan}.${i}`, random, seen),
      );
      await this.#reports.planned(calls);
      for (const call of calls) {
        const made = await this.#make(call);
        this.#made.push(made);
        if (call.action.kind === 'get' && made.error === undefined)
          seen.set(call.key, made.result as string | undefined);
        else if (call.action.kind === 'put') seen.set(call.key, call.action.value);
      }
    }
  }

  #plan(id: string, random: Random, seen: ReadonlyMap<string, string | undefined>): PlannedCall {
    const age = Math.floor(Date.now() / keyMs);
    const chance = random.unit();
    if (chance < 0.3) {
      const key = `counter ${age}`;
      return { id, key, action: chance < 0.2 ? { kind: 'increment' } : { kind: 'get' } };
    }
    const key = `register ${age} ${random.below(2)}`;
    if (chance < 0.62) return { id, key, action: { kind: 'get' } };
    if (chance < 0.82) return { id, key, action: { kind: 'put', value: id } };
    if (chance < 0.88) return { id, key, action: { kind: 'delete' } };
    return { id, key, action: { kind: 'putIf', value: id, expected: seen.get(key) } };
  }

  async #make({ id, key, action }: PlannedCall): Promise<MadeCall> {
    const beginMs = Date.now();
    let result: Result;
    let error: MadeCall['error'];
    try {
      result = await this.#ask(key, action);
    } catch (thrown) {
      error = {
        code: isShibuDbError(thrown) ? thrown.code : 'not a ShibuDbError',
        message: thrown instanceof Error ? thrown.message : String(thrown),
      };
    }
    // The clock cuts off what is below a millisecond.
    return { id, beginMs, endMs: Date.now() + 1, result, error };
  }

  async #ask(key: string, action: Action): Promise<Result> {
    const db = this.#db?.space(registerSpace);
    if (db === undefined) throw new Error('the database is not open');
    switch (action.kind) {
      case 'get':
        return (await db.get(key)) as string | undefined;
      case 'put':
        await db.put(key, action.value);
        return undefined;
      case 'delete':
        return db.delete(key);
      case 'putIf':
        return db.putIf(key, action.value, action.expected);
      case 'increment':
        return Number(await db.increment(key));
    }
  }
}
