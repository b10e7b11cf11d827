/**
 * One client that speaks the Redis protocol. Commands are answered in the order they came in. Plain writes overlap, so that
 * a pipeline of them shares its commits; every other command waits for what is before it, as if each was run to its end.
 */

import { isShibuDbError } from '../../api/errors.ts';
import type { ListenerClient } from '../listeners/listener-client.ts';
import type { Conversation, Wire } from '../listeners/tcp-listener.ts';
import { connectionCommands } from './connection-commands.ts';
import type { RespCommand, RespContext } from './resp-command.ts';
import { RespParser, RespProtocolError } from './resp-parser.ts';
import { ok, type Reply, RespError, RespWriter } from './resp-writer.ts';
import type { ScanCursors } from './scan-cursors.ts';
import { putRun, setRunLength } from './set-run.ts';
import { stringCommands } from './string-commands.ts';
import { vectorCommands } from './vector-commands.ts';

const commands: ReadonlyMap<string, RespCommand> = allCommands();

function allCommands(): Map<string, RespCommand> {
  const all = new Map<string, RespCommand>();
  for (const command of [...stringCommands, ...vectorCommands, ...connectionCommands(all)])
    all.set(command.name, command);
  return all;
}

/** Commands that wait, before nothing more is read. */
const waitingMax = 1024;
/** Writes of one client that are under way at once. */
const overlappingMax = 1024;
/** Answers gathered before they are sent, at most. */
const gatheredBytes = 256 * 1024;

/** What all connections of a listener share. */
export interface RespOptions {
  readonly spaces: ReadonlyMap<number, string>;
  readonly connections: () => number;
}

interface Answer {
  reply: Reply;
  isThere: boolean;
}

export class RespConversation implements Conversation {
  static #count = 0;
  readonly #wire: Wire;
  readonly #parser: RespParser = new RespParser();
  readonly #writer: RespWriter = new RespWriter();
  readonly #context: RespContext;
  readonly #waiting: Buffer[][] = [];
  #next = 0;
  /** Answers of commands that have begun, in their order; the first is not there yet. */
  readonly #answers: Answer[] = [];
  #running = 0;
  #isAlone = false;
  #isPaused = false;
  #isScheduled = false;
  #isQuitting = false;
  #isFinished = false;
  /** What has come after the last command is no command: said when those before it are answered. */
  #fault: RespError | undefined;

  constructor(
    client: ListenerClient,
    wire: Wire,
    { spaces, connections }: RespOptions,
    cursors: ScanCursors,
  ) {
    this.#wire = wire;
    this.#parser.isSignedIn = client.user !== undefined;
    this.#context = {
      client,
      writer: this.#writer,
      cursors,
      database: 0,
      spaces,
      id: ++RespConversation.#count,
      name: '',
      connections,
      quit: () => {
        this.#isQuitting = true;
      },
      signedIn: () => {
        this.#parser.isSignedIn = true;
      },
    };
  }

  receive(chunk: Buffer): void {
    if (this.#isQuitting || this.#fault !== undefined) return;
    try {
      for (const words of this.#parser.commands(chunk)) this.#waiting.push(words);
    } catch (error) {
      if (!(error instanceof RespProtocolError)) throw error;
      this.#fault = new RespError(`ERR Protocol error: ${error.message}`);
    }
    this.#run();
    if (!this.#isPaused && this.#waiting.length - this.#next > waitingMax) {
      this.#isPaused = true;
      this.#wire.pause();
    }
  }

  finish(): void {
    this.#isFinished = true;
    this.#endIfDone();
  }

  #run(): void {
    while (this.#next < this.#waiting.length && !this.#isAlone) {
      const count = setRunLength(this.#waiting, this.#next);
      if (count > 1 && this.#running < overlappingMax && this.#beginSets(count)) continue;
      const words = this.#waiting[this.#next] ?? [];
      const command = commands.get((words[0] ?? Buffer.alloc(0)).toString('latin1').toLowerCase());
      const overlaps = command !== undefined && overlapsOthers(command, words);
      if (this.#running > 0 && (!overlaps || this.#running >= overlappingMax)) break;
      this.#next++;
      this.#begin(command, words, overlaps);
      if (this.#isQuitting) {
        this.#next = this.#waiting.length;
        break;
      }
    }
    if (this.#next === this.#waiting.length) {
      this.#waiting.length = 0;
      this.#next = 0;
    } else if (this.#next > waitingMax) {
      this.#waiting.splice(0, this.#next);
      this.#next = 0;
    }
    if (this.#fault !== undefined && this.#running === 0 && this.#next === this.#waiting.length) {
      this.#answers.push({ reply: this.#fault, isThere: true });
      this.#isQuitting = true;
    }
    this.#flush();
    if (this.#isPaused && this.#waiting.length - this.#next <= waitingMax / 2) {
      this.#isPaused = false;
      this.#wire.resume();
    }
  }

  #begin(command: RespCommand | undefined, words: readonly Buffer[], overlaps: boolean): void {
    const result = this.#resultOf(command, words);
    if (!(result instanceof Promise)) {
      if (this.#answers.length === 0) this.#writer.write(result);
      else this.#answers.push({ reply: result, isThere: true });
      if (this.#writer.length > gatheredBytes) this.#send();
      return;
    }
    this.#isAlone = !overlaps;
    this.#await(result, 1);
  }

  /** So many plain SETs as one call; whether they could be: what is at fault among them is found one by one. */
  #beginSets(count: number): boolean {
    if (this.#context.client.user === undefined) return false;
    try {
      const run = this.#waiting.slice(this.#next, this.#next + count);
      const result = putRun(this.#context, run);
      this.#next += count;
      this.#await(
        result.then(() => ok),
        count,
      );
      return true;
    } catch {
      return false;
    }
  }

  /** The answer of `count` commands, when it comes. */
  #await(result: Promise<Reply>, count: number): void {
    const first: Answer = { reply: undefined, isThere: false };
    const answers = [first];
    for (let i = 1; i < count; i++) answers.push({ reply: undefined, isThere: false });
    this.#answers.push(...answers);
    this.#running++;
    const settle = (reply: Reply): void => {
      for (const answer of answers) {
        answer.reply = reply;
        answer.isThere = true;
      }
      this.#running--;
      this.#isAlone = false;
      // Answers of one commit come together, and are sent together.
      if (this.#running === 0 || this.#answers[0] === first) this.#schedule();
    };
    result.then(settle, (error: unknown) => settle(asError(error)));
  }

  #schedule(): void {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    queueMicrotask(() => {
      this.#isScheduled = false;
      this.#run();
    });
  }

  #resultOf(command: RespCommand | undefined, words: readonly Buffer[]): Reply | Promise<Reply> {
    try {
      if (command === undefined) {
        const given = words.slice(1, 4).map((word) => `'${word.toString('latin1', 0, 128)}' `);
        throw new RespError(
          `ERR unknown command '${(words[0] ?? Buffer.alloc(0)).toString('latin1', 0, 128)}', with args beginning with: ${given.join('')}`,
        );
      }
      const { name, arity, flags, run } = command;
      if (arity > 0 ? words.length !== arity : words.length < -arity)
        throw new RespError(`ERR wrong number of arguments for '${name}' command`);
      if (this.#context.client.user === undefined && !flags.includes('noauth'))
        throw new RespError('NOAUTH Authentication required.');
      return run(this.#context, words);
    } catch (error) {
      return asError(error);
    }
  }

  #flush(): void {
    let sent = 0;
    for (const { reply, isThere } of this.#answers) {
      if (!isThere) break;
      sent++;
      this.#writer.write(reply);
      if (this.#writer.length > gatheredBytes) this.#send();
    }
    if (sent > 0) this.#answers.splice(0, sent);
    this.#send();
    this.#endIfDone();
  }

  #send(): void {
    if (this.#writer.length > 0) this.#wire.write(this.#writer.take());
  }

  #endIfDone(): void {
    const isDone = this.#running === 0 && this.#answers.length === 0 && this.#next === this.#waiting.length;
    if (isDone && (this.#isQuitting || this.#isFinished)) this.#wire.end();
  }
}

function overlapsOthers({ overlaps }: RespCommand, words: readonly Buffer[]): boolean {
  return typeof overlaps === 'boolean' ? overlaps : overlaps(words);
}

/** Redis' own words where it has some for it. */
function asError(error: unknown): RespError {
  if (error instanceof RespError) return error;
  if (!isShibuDbError(error)) return new RespError('ERR the server failed; its log says why');
  switch (error.code) {
    case 'NOT_AUTHENTICATED':
      return new RespError('NOAUTH Authentication required.');
    case 'INVALID_CREDENTIALS':
      return new RespError('WRONGPASS invalid username-password pair or user is disabled.');
    case 'PERMISSION_DENIED':
      return new RespError(`NOPERM ${error.message}`);
    case 'NOT_A_NUMBER':
      return new RespError('ERR value is not an integer or out of range');
    case 'OVERFLOW':
      return new RespError('ERR increment or decrement would overflow');
    case 'WRONG_ENGINE':
      return new RespError(`WRONGTYPE ${error.message}`);
    case 'OUT_OF_MEMORY':
    case 'QUOTA_EXCEEDED':
      return new RespError(`OOM ${error.message}`);
    default:
      return new RespError(`ERR ${error.message}`);
  }
}
