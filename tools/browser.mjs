// Finds a Chromium for the tests, or installs one: `node tools/browser.mjs` prints its path.
//
// Order: SHIBUMI_BROWSER, an installed Chromium or Chrome, Playwright's cache; else apt-get as root on Debian,
// else Playwright's download. Tests never install: they call findBrowser() and skip or fail with its reason.

import { spawnSync } from 'node:child_process';
import { existsSync, globSync, statSync } from 'node:fs';
import { homedir } from 'node:os';
import path from 'node:path';

const root = path.dirname(import.meta.dirname);
const isRoot = process.getuid?.() === 0;

/**
 * What a browser without a window does for nobody: pages of its own behind the address bar and a process kept ready for the next
 * site. Starting without them takes about two fifths less processor time (3.2 s instead of 5.6 where it was measured).
 */
const idleFeatures = ['WebUIOmniboxPopup', 'WebUIOmniboxAimPopup', 'SpareRendererForSitePerProcess'];

/** Flags for launching it headless: quiet, offline of its own services, and without a sandbox only where root runs it. */
export const launchFlags = [
  '--headless',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  `--disable-features=${idleFeatures.join(',')}`,
  // The shared memory of containers is often 64 MB; a temporary file serves instead.
  '--disable-dev-shm-usage',
  ...(isRoot ? ['--no-sandbox'] : []),
];

/**
 * Those and more: of several lists of features the browser would take the last alone.
 * @param {readonly string[]} more
 */
export function launchFlagsWith(more) {
  /** @type {Map<string, string[]>} */
  const features = new Map();
  const flags = [...launchFlags, ...more].filter((flag) => {
    const [, name, list] = /^(--(?:en|dis)able-features)=(.*)$/.exec(flag) ?? [];
    if (name === undefined || list === undefined) return true;
    features.set(name, [...(features.get(name) ?? []), list]);
    return false;
  });
  return [...flags, ...[...features].map(([name, lists]) => `${name}=${lists.join(',')}`)];
}

export const howToInstall =
  'No Chromium found. Install one (Debian: sudo apt-get install chromium; elsewhere: Google Chrome or ' +
  '`npx playwright-core install chromium`), or set SHIBUMI_BROWSER to the path of a Chromium or Chrome.';

/**
 * The path of an installed Chromium or Chrome.
 * @returns {string | undefined}
 * @throws {Error} where SHIBUMI_BROWSER names a file that is not there.
 */
export function findBrowser() {
  const chosen = process.env.SHIBUMI_BROWSER;
  if (chosen) {
    if (existsSync(chosen)) return chosen;
    throw new Error(`SHIBUMI_BROWSER is ${chosen}; there is no such file`);
  }
  return [...installedBrowsers(), ...playwrightBrowsers()].find((file) => existsSync(file));
}

/**
 * The path of a Chromium, installed first if there is none.
 * @returns {string}
 * @throws {Error} saying what to install.
 */
export function ensureBrowser() {
  const found = findBrowser();
  if (found !== undefined) return found;
  console.log('No Chromium found; installing one. This happens once.');
  if (isRoot && existsSync('/usr/bin/apt-get')) {
    const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
    run('apt-get', ['update', '-q'], env);
    run('apt-get', ['install', '-yq', '--no-install-recommends', 'chromium'], env);
  }
  if (findBrowser() === undefined) {
    run(process.execPath, [path.join(root, 'node_modules/playwright-core/cli.js'), 'install', 'chromium']);
  }
  const installed = findBrowser();
  if (installed === undefined) throw new Error(howToInstall);
  return installed;
}

function installedBrowsers() {
  const names = ['chromium', 'google-chrome', 'google-chrome-stable', 'chrome', 'chromium-browser'];
  const folders = ['/usr/bin', '/usr/local/bin', ...(process.env.PATH ?? '').split(path.delimiter)];
  return [
    ...names.flatMap((name) => folders.map((folder) => path.join(folder, name))).filter(isBrowser),
    '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome',
    '/Applications/Chromium.app/Contents/MacOS/Chromium',
    path.join(process.env.PROGRAMFILES ?? 'C:\\Program Files', 'Google\\Chrome\\Application\\chrome.exe'),
  ];
}

/**
 * Ubuntu's chromium-browser is a script that asks for a snap; it is no browser.
 * @param {string} file
 */
function isBrowser(file) {
  if (!existsSync(file)) return false;
  return !file.endsWith('chromium-browser') || statSync(file).size > 10_000;
}

function playwrightBrowsers() {
  const cache =
    process.env.PLAYWRIGHT_BROWSERS_PATH ??
    {
      darwin: path.join(homedir(), 'Library/Caches/ms-playwright'),
      win32: path.join(process.env.LOCALAPPDATA ?? homedir(), 'ms-playwright'),
    }[String(process.platform)] ??
    path.join(homedir(), '.cache/ms-playwright');
  const binaries = ['chrome', 'chrome.exe', 'Chromium', 'Google Chrome for Testing', 'headless_shell'];
  return globSync(
    binaries.map((name) => `chromium*/**/${name}`),
    { cwd: cache },
  )
    .sort()
    .reverse()
    .map((file) => path.join(cache, file));
}

/**
 * @param {string} command
 * @param {string[]} args
 */
function run(command, args, env = process.env) {
  console.log(`> ${[command, ...args].join(' ')}`);
  const { status, error } = spawnSync(command, args, {
    stdio: ['ignore', 'inherit', 'inherit'],
    env,
    timeout: 600_000,
  });
  if (status !== 0) console.log(`${command} failed: ${error?.message ?? `status ${status}`}`);
}

if (import.meta.main) {
  try {
    console.log(ensureBrowser());
  } catch (error) {
    console.error(/** @type {Error} */ (error).message);
    process.exitCode = 1;
  }
}
