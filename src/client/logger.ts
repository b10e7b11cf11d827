/** The option `log` of every `open`: what is logged on the caller's side, and where all records go. */

import type { Method } from '../api/calls.ts';
import { isShibuDbError } from '../api/errors.ts';
import type { LogLevel, LogOptions, LogRecord } from '../api/events.ts';
import { invalid, oneOf, shown } from '../base/arguments.ts';

const levels: readonly LogLevel[] = ['debug', 'info', 'warn', 'error'];

export class Logger {
  readonly level: LogLevel;
  readonly #write: (record: LogRecord) => void;

  constructor({ level, write }: LogOptions) {
    this.level = level;
    this.#write = write ?? ((record) => console[record.level]('shibumi', record));
  }

  /** A failing `write` is its owner's business: the call that is being logged goes on. */
  write(record: LogRecord): void {
    if (levels.indexOf(record.level) < levels.indexOf(this.level)) return;
    try {
      this.#write(record);
    } catch (error) {
      queueMicrotask(() => {
        throw error;
      });
    }
  }

  note(level: LogLevel, event: string, facts: Omit<LogRecord, 'level' | 'timeMs' | 'event'> = {}): void {
    this.write({ level, timeMs: Date.now(), event, ...facts });
  }

  /** Runs a call and notes it: its name and space, never its arguments; of an error the code, never the message. */
  async call<Result>(method: Method, args: object, run: () => Promise<Result>): Promise<Result> {
    const startedMs = performance.now();
    const note = (level: LogLevel, code?: LogRecord['code']): void => {
      const space = spaceOf(args);
      this.note(level, 'call', {
        method,
        ...(space === undefined ? {} : { space }),
        durationMs: performance.now() - startedMs,
        ...(code === undefined ? {} : { code }),
      });
    };
    try {
      const result = await run();
      note('debug');
      return result;
    } catch (error) {
      note('warn', isShibuDbError(error) ? error.code : 'INTERNAL');
      throw error;
    }
  }
}

/** @throws INVALID_ARGUMENT */
export function loggerOf(option: LogLevel | LogOptions | undefined): Logger | undefined {
  if (option === undefined) return undefined;
  const given = typeof option === 'string' ? { level: option } : option;
  if (typeof given !== 'object' || given === null)
    throw invalid(`Got ${shown(option)} for log, expected a level or { level, write }`);
  oneOf(given.level, levels, 'the level of the log');
  if (given.write !== undefined && typeof given.write !== 'function')
    throw invalid(`Got ${shown(given.write)} for log.write, expected a function`);
  return new Logger(given);
}

function spaceOf(args: object): string | undefined {
  const { space, name } = args as { space?: unknown; name?: unknown };
  const text = space ?? name;
  return typeof text === 'string' ? text : undefined;
}
