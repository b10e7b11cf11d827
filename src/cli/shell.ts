/**
 * One caller's session: which space is chosen, and the way from a line to its reply.
 *
 * A command that is `pipelined` hands its write to the database before its first wait, so that many can be started one
 * behind another: they take effect in this order. All others must have the session to themselves.
 */

import type { Database, SpaceDescription } from '../api/database.ts';
import { shibuDbError } from '../api/errors.ts';
import { invalid } from '../base/arguments.ts';
import { failure, type Reply } from './reply.ts';
import { type Arguments, splitWords, takeOptions } from './words.ts';

/** Where key-value commands work while no space is chosen. Made on first use. */
export const defaultSpace = 'default';

export interface Command {
  readonly name: string;
  readonly aliases?: readonly string[];
  /** The arguments as HELP shows them: `key value [ttlSeconds]`. */
  readonly usage: string;
  readonly summary: string;
  /** Least and most words behind the name. */
  readonly words: readonly [least: number, most: number];
  readonly options?: readonly string[];
  readonly pipelined?: true;
  /** Works on keys: without a chosen space, in the default one. */
  readonly onKeys?: true;
  run(shell: Shell, args: Arguments): Promise<Reply>;
}

/** A line that was understood. */
export interface Task {
  readonly command: Command;
  readonly args: Arguments;
}

export class Shell {
  readonly db: Database;
  readonly #commands: ReadonlyMap<string, Command>;
  #current: SpaceDescription | undefined;
  #hasDefault = false;

  constructor(db: Database, commands: ReadonlyMap<string, Command>) {
    this.db = db;
    this.#commands = commands;
  }

  /** The chosen space. */
  get current(): SpaceDescription | undefined {
    return this.#current;
  }

  /** The space that key-value commands work in. */
  get keySpace(): string {
    return this.#current?.name ?? defaultSpace;
  }

  /** The chosen space, for commands on vectors. @throws NO_SPACE_SELECTED, WRONG_ENGINE */
  vectorSpace(command: string): SpaceDescription {
    if (this.#current === undefined) {
      throw shibuDbError('NO_SPACE_SELECTED', `${command} needs a vector space: choose one with USE name`);
    }
    if (this.#current.engine !== 'vector') {
      const { name, engine } = this.#current;
      throw shibuDbError(
        'WRONG_ENGINE',
        `Space "${name}" is a ${engine} space, ${command} needs a vector space`,
      );
    }
    return this.#current;
  }

  async use(name: string): Promise<void> {
    // Describing it also brings it into memory, where writes keep the order they are started in.
    this.#current = await this.db.describeSpace(name);
  }

  forget(name: string): void {
    if (this.#current?.name === name) this.#current = undefined;
    if (name === defaultSpace) this.#hasDefault = false;
  }

  /** @returns nothing for an empty line or a comment; @throws INVALID_ARGUMENT for what is no command */
  parse(line: string): Task | undefined {
    const trimmed = line.trim();
    if (trimmed === '' || trimmed.startsWith('#')) return undefined;
    const [first, ...rest] = splitWords(trimmed);
    const name = first?.text.toUpperCase() ?? '';
    const command = this.#commands.get(name);
    if (command === undefined) throw invalid(`Unknown command ${name}; HELP lists all`);
    const args = takeOptions(rest, command.options ?? []);
    const [least, most] = command.words;
    if (args.words.length < least || args.words.length > most) {
      const count = args.words.length === 1 ? '1 argument' : `${args.words.length} arguments`;
      throw invalid(`Got ${count}, expected: ${`${name} ${command.usage}`.trimEnd()}`);
    }
    return { command, args };
  }

  /** Whether `task` may be started while earlier ones are still under way. */
  canPipeline({ command }: Task): boolean {
    return command.pipelined === true && (command.onKeys !== true || this.#isPrepared());
  }

  /** Never rejects: what goes wrong is a reply. */
  async run({ command, args }: Task): Promise<Reply> {
    try {
      if (command.onKeys === true && !this.#isPrepared()) await this.#makeDefault();
      return await command.run(this, args);
    } catch (error) {
      return failure(error);
    }
  }

  #isPrepared(): boolean {
    return this.#current !== undefined || this.#hasDefault;
  }

  async #makeDefault(): Promise<void> {
    const spaces = await this.db.listSpaces();
    if (!spaces.some(({ name }) => name === defaultSpace))
      await this.db.createSpace(defaultSpace, 'key-value');
    await this.db.describeSpace(defaultSpace);
    this.#hasDefault = true;
  }
}
