/**
 * A file system that loses power: ext4 in a file, mounted through a loop device, and shut down by EXT4_IOC_SHUTDOWN without
 * flushing its journal. What was not flushed to it is gone then, as it would be on a real disk.
 *
 * Needs root, loop devices, mkfs.ext4, and perl for the one ioctl: where one of them is missing, `missingForLossyDisk` says which.
 */

import { spawnSync } from 'node:child_process';
import {
  closeSync,
  existsSync,
  ftruncateSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import os from 'node:os';
import path from 'node:path';

/** _IOR('X', 125, __u32), and its flag for "do not flush the log" (linux/fs/ext4/ext4.h). */
const shutdown = 'my $how = pack("L", 2); ioctl(F, 0x8004587d, $how) or die "ioctl: $!"';

export class LossyDisk {
  readonly #home: string;
  readonly folder: string;

  private constructor(home: string) {
    this.#home = home;
    this.folder = path.join(home, 'disk');
  }

  /** @throws what the system says when it does not allow it */
  static make(megabytes: number): LossyDisk {
    const disk = new LossyDisk(mkdtempSync(path.join(os.tmpdir(), 'shibumi-power-')));
    try {
      mkdirSync(disk.folder);
      const image = openSync(disk.#image, 'w');
      ftruncateSync(image, megabytes * 1024 * 1024);
      closeSync(image);
      run('mkfs.ext4', ['-q', disk.#image]);
      disk.mount();
      return disk;
    } catch (error) {
      rmSync(disk.#home, { recursive: true, force: true });
      throw error;
    }
  }

  get #image(): string {
    return path.join(this.#home, 'image');
  }

  mount(): void {
    run('mount', ['-o', 'loop', this.#image, this.folder]);
  }

  /** From here on nothing can be read or written, until it is mounted again. */
  losePower(): void {
    run('perl', ['-e', `open(F, "<", $ARGV[0]) or die $!; ${shutdown}`, this.folder]);
  }

  unmount(): void {
    run('umount', [this.folder]);
  }

  /** Replays what is there of the journal. */
  remount(): void {
    this.unmount();
    this.mount();
  }

  remove(): void {
    spawnSync('umount', ['-l', this.folder]);
    rmSync(this.#home, { recursive: true, force: true });
  }
}

const controlBytes = 100_000;

/** Written just before the power goes, and flushed by nobody: that it is lost shows that there was a power loss. */
export class ControlFile {
  readonly #path: string;

  constructor(disk: LossyDisk, round: number) {
    this.#path = path.join(disk.folder, `control-${round}`);
  }

  write(): void {
    writeFileSync(this.#path, new Uint8Array(controlBytes));
  }

  isWhole(): boolean {
    return existsSync(this.#path) && statSync(this.#path).size === controlBytes;
  }
}

/** Why there can be no such disk here; `undefined` where there can. */
export function missingForLossyDisk(): string | undefined {
  if (process.platform !== 'linux') return 'power loss is simulated with ext4, which only Linux has';
  try {
    const disk = LossyDisk.make(16);
    try {
      disk.losePower();
    } finally {
      disk.remove();
    }
    return undefined;
  } catch (error) {
    return `no ext4 can be mounted and shut down here (${(error as Error).message})`;
  }
}

function run(command: string, args: readonly string[]): void {
  const { status, stderr, error } = spawnSync(command, args, { encoding: 'utf8' });
  if (error !== undefined) throw error;
  if (status !== 0) throw new Error(`${command}: ${stderr.trim()}`);
}
