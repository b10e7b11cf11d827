/**
 * Real tabs of a real Chromium on one database, all reading and writing, while they are killed, stopped, frozen, closed and
 * reloaded at random, the owner above all. Afterwards the history of every key is judged.
 */

import { setTimeout as sleep } from 'node:timers/promises';
import type { CDPSession, Page } from 'playwright-core';
import type { Chromium } from './chromium.ts';
import { nonLinearizable, type Operation } from './linearizability.ts';
import type { LoadOptions, LoadReports, MadeCall, PlannedCall, RegisterLoad } from './page/register-load.ts';
import type { Random } from './random.ts';
import { rendererOf } from './renderer.ts';

export interface CampaignOptions {
  readonly url: string;
  readonly tabs: number;
  readonly callersPerTab: number;
  /** How many of them. The first two are for the owner: it is killed, then stopped for long enough to be followed. */
  readonly blows: number;
  readonly random: Random;
  /** What the pages do without: `SharedWorker`, `locks`. */
  readonly without: string;
  readonly ownerTimeoutMs: number;
}

export type Blow = 'kill' | 'stop' | 'freeze' | 'close' | 'reload';
const blows: readonly Blow[] = ['kill', 'stop', 'freeze', 'close', 'reload'];
const firstBlows: readonly Blow[] = ['kill', 'stop'];
/** Of the blows that hit the owner. */
const ownerShare = 0.7;

export interface CampaignResult {
  readonly calls: number;
  readonly unknown: number;
  readonly blows: Readonly<Record<Blow, number>>;
  /** The last owner's: how many there were. */
  readonly epoch: number;
  /** What is wrong, if anything. */
  readonly faults: readonly string[];
}

declare global {
  interface Window {
    load: RegisterLoad;
  }
}

const database = 'campaign';
/** A tab that does not answer within this time is stopped, frozen or gone. */
const answerMs = 2000;
/** Every caller goes on after a takeover; nothing may take longer than this. */
const settleMs = 60_000;

interface Tab {
  readonly name: string;
  readonly page: Page;
  readonly session: CDPSession;
  readonly pid: number;
  isHit: boolean;
}

export class TabCampaign {
  readonly #browser: Chromium;
  readonly #options: CampaignOptions;
  readonly #planned: Map<string, PlannedCall & { readonly atMs: number }> = new Map();
  readonly #made: Map<string, MadeCall> = new Map();
  readonly #faults: string[] = [];
  readonly #tabs: Set<Tab> = new Set();
  readonly #healing: Set<Promise<void>> = new Set();
  readonly #blows: Record<Blow, number> = { kill: 0, stop: 0, freeze: 0, close: 0, reload: 0 };
  #opened = 0;

  constructor(browser: Chromium, options: CampaignOptions) {
    this.#browser = browser;
    this.#options = options;
  }

  async run(): Promise<CampaignResult> {
    const { tabs, random } = this.#options;
    for (let i = 0; i < tabs; i++) await this.#open();
    for (let struck = 0; struck < this.#options.blows; ) {
      await sleep(200 + random.below(1000));
      const first = firstBlows[struck];
      // Whoever is to follow must be there.
      if (first !== undefined) await Promise.all(this.#healing);
      if (await this.#strike(first)) struck++;
    }
    await Promise.all(this.#healing);
    // On a busy machine a stopped owner may be awake again before anybody missed it: more are killed until some have changed.
    for (let more = 0; more < 20 && (await this.#epochNow()) <= 2; more++) {
      await sleep(500);
      await this.#strike('kill');
      await Promise.all(this.#healing);
    }
    const epoch = await this.#settle();
    for (const [key, history] of this.#histories()) this.#judge(key, history);
    return {
      calls: this.#planned.size,
      unknown: [...this.#planned.keys()].filter((id) => this.#isUnknown(id)).length,
      blows: this.#blows,
      epoch,
      faults: this.#faults,
    };
  }

  // --- tabs ---------------------------------------------------------------------------------------------------------

  async #open(): Promise<void> {
    const { url, without } = this.#options;
    const page = await this.#browser.newPage();
    const session = await page.context().newCDPSession(page);
    await page.exposeFunction('planned', (calls: PlannedCall[]) => this.#plan(calls));
    await page.exposeFunction('made', (calls: MadeCall[]) => this.#note(calls));
    page.on('pageerror', (error) => this.#faults.push(`${page.url()}: ${error.message}`));
    await page.goto(`${url}?without=${without}`);
    await page.waitForFunction(() => window.tests !== undefined);
    const pid = await rendererOf(page, this.#browser.group);
    const shared = [...this.#tabs].find((tab) => tab.pid === pid);
    if (shared !== undefined) throw new Error(`Two tabs have one process, ${pid}: killing one kills both`);
    const tab: Tab = { name: '', page, session, pid, isHit: false };
    this.#tabs.add(tab);
    await this.#start(tab);
  }

  async #start({ page }: Tab): Promise<void> {
    const { callersPerTab, ownerTimeoutMs, random } = this.#options;
    const load: LoadOptions = {
      database,
      tab: `t${++this.#opened}`,
      callers: callersPerTab,
      seed: random.bits(),
      open: { ownerTimeoutMs, openTimeoutMs: settleMs },
    };
    await page.evaluate((options) => {
      const { planned, made } = window as unknown as LoadReports;
      Object.assign(window, { load: new window.tests.RegisterLoad(options, { planned, made }) });
    }, load);
  }

  #plan(calls: PlannedCall[]): void {
    const atMs = Date.now();
    for (const call of calls) this.#planned.set(call.id, { ...call, atMs: atMs - 1 });
  }

  #note(calls: MadeCall[]): void {
    for (const call of calls) {
      this.#made.set(call.id, call);
      if (call.error !== undefined && call.error.code !== 'OUTCOME_UNKNOWN')
        this.#faults.push(
          `${call.id} ${JSON.stringify(this.#planned.get(call.id)?.action)}: ${JSON.stringify(call.error)}`,
        );
    }
  }

  // --- blows --------------------------------------------------------------------------------------------------------

  /** False when there is nobody to strike just now. `chosen` is for the owner. */
  async #strike(chosen: Blow | undefined): Promise<boolean> {
    const { random } = this.#options;
    const free = [...this.#tabs].filter((tab) => !tab.isHit);
    const owner = await this.#owner(free);
    const tab = owner !== undefined && random.unit() < ownerShare ? owner : random.pick(free);
    const target = chosen === undefined ? tab : owner;
    if (target === undefined) return false;
    const blow = chosen ?? random.pick(blows);
    this.#blows[blow]++;
    target.isHit = true;
    const healing: Promise<void> = this.#hit(target, blow, this.#pauseMs(chosen !== undefined)).catch(
      (error: Error) => {
        this.#faults.push(`${blow}: ${error.stack}`);
      },
    );
    this.#healing.add(healing);
    healing.then(() => this.#healing.delete(healing));
    return true;
  }

  /** Some pauses are too short to be noticed, most are long enough for another to take over. */
  #pauseMs(isLong: boolean): number {
    const { ownerTimeoutMs, random } = this.#options;
    return isLong ? 3 * ownerTimeoutMs + 1000 : random.below(3 * ownerTimeoutMs + 1000);
  }

  async #owner(tabs: readonly Tab[]): Promise<Tab | undefined> {
    const places = await Promise.all(tabs.map((tab) => this.#place(tab)));
    return tabs.find((_, i) => places[i]?.role === 'owner');
  }

  async #epochNow(): Promise<number> {
    const places = await Promise.all([...this.#tabs].map((tab) => this.#place(tab)));
    return Math.max(0, ...places.map((place) => place?.epoch ?? 0));
  }

  #place({ page }: Tab): Promise<{ role: string; epoch: number } | undefined> {
    const asked = page.evaluate(() => window.load.place()).catch(() => undefined);
    return Promise.race([asked, sleep(answerMs, undefined)]);
  }

  async #hit(tab: Tab, blow: Blow, pauseMs: number): Promise<void> {
    switch (blow) {
      case 'kill':
        process.kill(tab.pid, 'SIGKILL');
        return this.#replace(tab);
      case 'close':
        return this.#replace(tab);
      case 'stop':
        process.kill(tab.pid, 'SIGSTOP');
        await sleep(pauseMs);
        process.kill(tab.pid, 'SIGCONT');
        break;
      case 'freeze':
        await tab.session.send('Page.setWebLifecycleState', { state: 'frozen' });
        await sleep(pauseMs);
        await tab.session.send('Page.setWebLifecycleState', { state: 'active' });
        break;
      case 'reload':
        await tab.page.reload();
        await tab.page.waitForFunction(() => window.tests !== undefined);
        await this.#start(tab);
    }
    tab.isHit = false;
  }

  async #replace(tab: Tab): Promise<void> {
    this.#tabs.delete(tab);
    await tab.page.close();
    await this.#open();
  }

  // --- the judgement ------------------------------------------------------------------------------------------------

  /** Lets every call come to its end, and reads every key once more. Resolves with the epoch. */
  async #settle(): Promise<number> {
    const tabs = [...this.#tabs];
    await Promise.all(
      tabs.map(async ({ page }, i) => {
        const stopped = page.evaluate(() => window.load.stop()).then(() => true);
        if (!(await Promise.race([stopped, sleep(settleMs, false)])))
          this.#faults.push(`tab ${i}: some call was not answered within ${settleMs} ms`);
      }),
    );
    const [tab] = tabs;
    if (tab === undefined) throw new Error('no tab is left');
    const keys = [...new Set([...this.#planned.values()].map(({ key }) => key))];
    for (const key of keys) {
      const beginMs = Date.now();
      const result = await tab.page.evaluate((name) => window.load.read(name), key);
      const id = `last of ${key}`;
      this.#planned.set(id, { id, key, action: { kind: 'get' }, atMs: beginMs });
      this.#made.set(id, { id, beginMs, endMs: Date.now() + 1, result, error: undefined });
    }
    return (await this.#place(tab))?.epoch ?? 0;
  }

  #isUnknown(id: string): boolean {
    const made = this.#made.get(id);
    return made === undefined || made.error !== undefined;
  }

  #histories(): Map<string, Operation[]> {
    const histories = new Map<string, Operation[]>();
    for (const { id, key, action, atMs } of this.#planned.values()) {
      const made = this.#made.get(id);
      const operation: Operation = this.#isUnknown(id)
        ? { action, beginMs: made?.beginMs ?? atMs, endMs: undefined, result: undefined }
        : { action, beginMs: made?.beginMs ?? atMs, endMs: made?.endMs, result: made?.result };
      const history = histories.get(key);
      if (history === undefined) histories.set(key, [operation]);
      else history.push(operation);
    }
    return histories;
  }

  #judge(key: string, history: readonly Operation[]): void {
    const stuck = nonLinearizable(history);
    if (stuck === undefined) return;
    const shown = stuck.slice(0, 10).map((operation) => JSON.stringify(operation));
    this.#faults.push(
      `${key} (${history.length} calls) is not linearizable at:\n    ${shown.join('\n    ')}`,
    );
  }
}
