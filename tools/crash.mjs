// Kills browsers, more of them than the ordinary tests do: `npm run test:crash -- --kills 500`.
//
//   --kills N        how many, in all workloads of test/browser/kill.test.ts together (default 100)
//   --store NAME     'leveldb' (default) or 'sqlite': which of Chromium's IndexedDB stores
//   --load           keeps the processor and the disk busy meanwhile, so that more is under way when the kill comes

import { spawn, spawnSync } from 'node:child_process';
import path from 'node:path';
import { parseArgs } from 'node:util';

const root = path.dirname(import.meta.dirname);
/** A kill takes 3 to 10 s with what is checked after it. */
const msPerKill = 30_000;
const sqliteFlags = '--enable-features=IdbSqliteBackingStore,IdbSqliteOnDiskRollout';

const { values } = parseArgs({
  options: {
    kills: { type: 'string', default: '100' },
    store: { type: 'string', default: 'leveldb' },
    load: { type: 'boolean', default: false },
  },
});
const kills = Number(values.kills);
if (!Number.isInteger(kills) || kills < 1) throw new Error(`Got --kills ${values.kills}, expected a number`);
if (!['leveldb', 'sqlite'].includes(values.store)) {
  throw new Error(`Got --store ${values.store}, expected leveldb or sqlite`);
}

const burners = values.load
  ? ['processor', 'disk'].map((kind) =>
      spawn(process.execPath, [path.join(import.meta.dirname, 'burn.mjs'), kind]),
    )
  : [];
const { status } = spawnSync(
  process.execPath,
  [path.join(import.meta.dirname, 'test.mjs'), 'test/browser/kill.test.ts'],
  {
    cwd: root,
    stdio: 'inherit',
    env: {
      ...process.env,
      SHIBUMI_TEST_KILLS: String(kills),
      SHIBUMI_TEST_FILE_TIMEOUT_MS: String(60_000 + kills * msPerKill),
      ...(values.store === 'sqlite' ? { SHIBUMI_BROWSER_FLAGS: sqliteFlags } : {}),
    },
  },
);
for (const burner of burners) burner.kill();
process.exitCode = status ?? 1;
