/** The calls about a database as a whole: checking it, its encryption, and moving it in and out as a stream, which its caller pulls or pushes. */

import type { ArgumentsOf, CallContext, ExportStep, ImportStep } from '../api/calls.ts';
import type { VerifyReport } from '../api/database.ts';
import { invalid, shown } from '../base/arguments.ts';
import type { DatabaseEngine } from './database-engine.ts';
import type { HandlersOf } from './handlers.ts';
import { secretsPart } from './parts.ts';
import { exportFrames } from './transfer/export.ts';
import { Import } from './transfer/import.ts';

const transfersMax = 16;

export class MaintenanceCalls implements HandlersOf<'maintenance'> {
  readonly #engine: DatabaseEngine;
  readonly #exports: Map<number, ExportState> = new Map();
  readonly #imports: Map<number, Import> = new Map();
  #next = 1;

  constructor(engine: DatabaseEngine) {
    this.#engine = engine;
  }

  async changeEncryption({ current, next }: ArgumentsOf<'changeEncryption'>): Promise<undefined> {
    const { checkEncryption } = await secretsPart.load();
    const former = checkEncryption(current, 'the current encryption');
    await this.#engine.changeEncryption(former, checkEncryption(next, 'the next encryption'));
  }

  verify({ deep }: ArgumentsOf<'verify'>, { signal, onProgress }: CallContext): Promise<VerifyReport> {
    checkFlag(deep ?? true, 'deep');
    return this.#engine.verify(deep ?? true, signal, onProgress);
  }

  exportOpen({ spaces, users = false }: ArgumentsOf<'exportOpen'>): number {
    checkFlag(users, 'users');
    const all = this.#engine.listSpaces().map(({ name }) => name);
    if (spaces !== undefined && !Array.isArray(spaces))
      throw invalid(`Got ${shown(spaces)} for spaces, expected an array of names`);
    const names = [...new Set(spaces ?? all)];
    for (const name of names) this.#engine.entryOf(name);
    const state = new ExportState(this.#engine, { names, users });
    return this.#keep(this.#exports, state);
  }

  async exportNext({ transfer }: { transfer: number }): Promise<ExportStep> {
    const state = this.#find(this.#exports, transfer);
    try {
      const step = await state.next();
      if (step.done) this.#exports.delete(transfer);
      return step;
    } catch (error) {
      this.#exports.delete(transfer);
      throw error;
    }
  }

  importOpen({ users = false }: ArgumentsOf<'importOpen'>): number {
    checkFlag(users, 'users');
    return this.#keep(this.#imports, new Import(this.#engine, users));
  }

  /** `last`: the stream is over. */
  async importNext({ transfer, bytes, last }: ArgumentsOf<'importNext'>): Promise<ImportStep> {
    const state = this.#find(this.#imports, transfer);
    if (!(bytes instanceof Uint8Array))
      throw invalid(`Got ${shown(bytes)} from the stream, expected a Uint8Array`);
    try {
      await state.take(bytes);
      if (last) {
        await state.end();
        this.#imports.delete(transfer);
      }
      return { progress: state.progress, spaces: state.spaces, users: state.users };
    } catch (error) {
      this.#imports.delete(transfer);
      throw error;
    }
  }

  transferClose({ transfer }: { transfer: number }): undefined {
    this.#exports.delete(transfer);
    this.#imports.delete(transfer);
  }

  #keep<State>(states: Map<number, State>, state: State): number {
    if (this.#exports.size + this.#imports.size >= transfersMax)
      throw invalid(`${transfersMax} exports and imports are under way already; finish or abort some first`);
    states.set(this.#next, state);
    return this.#next++;
  }

  #find<State>(states: Map<number, State>, transfer: number): State {
    const state = states.get(transfer);
    if (state === undefined) throw invalid(`Got transfer ${shown(transfer)}, which is not under way`);
    return state;
  }
}

function checkFlag(value: unknown, what: string): void {
  if (typeof value !== 'boolean') throw invalid(`Got ${shown(value)} for ${what}, expected a boolean`);
}

class ExportState {
  readonly #frames: AsyncGenerator<Uint8Array, void, undefined>;
  #progress = { done: 0, total: 0 };

  constructor(engine: DatabaseEngine, wanted: { names: readonly string[]; users: boolean }) {
    this.#frames = exportFrames(engine, wanted, (progress) => {
      this.#progress = progress;
    });
  }

  async next(): Promise<ExportStep> {
    const { value, done } = await this.#frames.next();
    return { bytes: value ?? new Uint8Array(0), done: done === true, progress: this.#progress };
  }
}
