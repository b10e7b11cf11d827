/**
 * Keeps a folder to one owner, across processes, with nothing but files: Node has no file locks.
 *
 * Each contender makes a file with a name of its own, `lock-claim-<pid>-<start>-<token>`, then looks for others. Whoever
 * sees another's claim takes its own back and tries again after a random while; whoever sees none renames its own to
 * `lock-held-…` and has the folder. Since everybody writes before looking, two can never both see nobody. Files of
 * processes that are gone are removed on sight: their names are never used again, so that this never hits a live one.
 *
 * The process's start time tells a process from a later one with the same number (usual in containers), where the system
 * gives it. Another host's processes cannot be judged from here: a lock of theirs stands until somebody removes it.
 */

import { randomBytes } from 'node:crypto';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { shibuDbError } from '../api/errors.ts';
import { errorCode } from './file-system.ts';

/** Contenders that keep meeting wait longer and longer, in all about 2 s. */
const meetingsMax = 25;
const pollMs = 50;

interface Contender {
  readonly name: string;
  readonly held: boolean;
  readonly pid: number;
  /** Start time in the system's own terms; 0 where it has none. */
  readonly start: number;
}

/** Names of the lock files that this process holds: what is left of them when it exits in good order is removed. */
const heldPaths: Set<string> = new Set();
let watchingExit = false;

export interface FolderLock {
  /** Lets the folder go. May be called twice. */
  release(): void;
}

/** @throws LOCKED when another has the folder for longer than `timeoutMs` */
export async function lockFolder(folder: string, timeoutMs: number): Promise<FolderLock> {
  const deadline = performance.now() + timeoutMs;
  let meetings = 0;
  for (;;) {
    const outcome = tryLock(folder);
    if (typeof outcome !== 'string') return hold(outcome.path);
    const held = outcome.startsWith('lock-held-');
    if (!held && ++meetings <= meetingsMax) {
      await sleep(1 + Math.random() * 8 * meetings);
    } else if (performance.now() < deadline) {
      await sleep(pollMs);
    } else {
      throw lockedBy(folder, outcome);
    }
  }
}

/** The path of the lock, or the name of the file that stands in the way. All in one turn. */
function tryLock(folder: string): { path: string } | string {
  const other = firstOther(folder, undefined);
  if (other !== undefined) return other;
  const identity = `${process.pid}-${startOf(process.pid) ?? 0}-${randomBytes(8).toString('hex')}`;
  const claim = `lock-claim-${identity}`;
  const held = path.join(folder, `lock-held-${identity}`);
  const owner = { pid: process.pid, host: os.hostname(), since: new Date().toISOString() };
  fs.writeFileSync(path.join(folder, claim), `${JSON.stringify(owner)}\n`, { flag: 'wx' });
  const seen = firstOther(folder, claim);
  if (seen !== undefined) {
    fs.rmSync(path.join(folder, claim), { force: true });
    return seen;
  }
  try {
    fs.renameSync(path.join(folder, claim), held);
  } catch (error) {
    // Somebody who could not see this process took its claim for a dead one's.
    if (errorCode(error) === 'ENOENT') return claim;
    throw error;
  }
  return { path: held };
}

function firstOther(folder: string, own: string | undefined): string | undefined {
  let claim: string | undefined;
  for (const name of fs.readdirSync(folder)) {
    const contender = parse(name);
    if (contender === undefined || name === own) continue;
    if (!isAlive(folder, contender)) fs.rmSync(path.join(folder, name), { force: true });
    else if (contender.held) return name;
    else claim = name;
  }
  return claim;
}

function parse(name: string): Contender | undefined {
  const match = /^lock-(claim|held)-(\d+)-(\d+)-[0-9a-f]+$/.exec(name);
  if (match === null) return undefined;
  return { name, held: match[1] === 'held', pid: Number(match[2]), start: Number(match[3]) };
}

function isAlive(folder: string, { name, pid, start }: Contender): boolean {
  const file = path.join(folder, name);
  const host = ownerOf(file)?.host;
  if (host !== undefined && host !== os.hostname()) return true;
  const found = startOf(pid);
  if (found !== undefined && start !== 0) return found === start;
  if (pid === process.pid) return madeSinceStart(file);
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // Anything else (no permission to ask) may be a living one.
    return errorCode(error) !== 'ESRCH';
  }
}

/** Without start times, a lock under this process's number that is older than this process is a former one's. */
function madeSinceStart(file: string): boolean {
  try {
    return fs.statSync(file).mtimeMs >= Date.now() - process.uptime() * 1000 - 1000;
  } catch {
    return false;
  }
}

function ownerOf(file: string): { host?: string; since?: string } | undefined {
  try {
    return JSON.parse(fs.readFileSync(file, 'utf8')) as { host?: string; since?: string };
  } catch {
    // A claim that is just being written, or was cut short: its name says enough.
    return undefined;
  }
}

/** When a process started, in ticks since boot: Linux tells. 0 where the process is gone, `undefined` elsewhere. */
function startOf(pid: number): number | undefined {
  if (process.platform !== 'linux') return undefined;
  try {
    const stat = fs.readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The second field is the program's name in parentheses, which may hold anything; the start is the 22nd.
    return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19]);
  } catch (error) {
    return errorCode(error) === 'ENOENT' ? 0 : undefined;
  }
}

function lockedBy(folder: string, name: string): Error {
  const { pid } = parse(name) ?? {};
  const { host, since } = ownerOf(path.join(folder, name)) ?? {};
  const elsewhere = host !== undefined && host !== os.hostname();
  const holder = pid === process.pid && !elsewhere ? 'this process' : `process ${pid}`;
  const where = elsewhere ? ` on ${host} (if that is gone, remove ${path.join(folder, name)})` : '';
  const when = since === undefined ? '' : ` since ${since}`;
  return shibuDbError('LOCKED', `The database in ${folder} is open in ${holder}${where}${when}`, {
    details: { path: folder, pid, host, since },
  });
}

function hold(file: string): FolderLock {
  heldPaths.add(file);
  if (!watchingExit) {
    watchingExit = true;
    process.on('exit', () => {
      for (const each of heldPaths) {
        try {
          fs.rmSync(each, { force: true });
        } catch {
          // A disk that is gone keeps the file; it names a process that is gone too, and holds nobody up.
        }
      }
    });
  }
  return {
    release() {
      if (heldPaths.delete(file)) fs.rmSync(file, { force: true });
    },
  };
}
