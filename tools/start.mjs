// Serves the demo: `npm start [-- --port N]`. Builds the WASM first, prints the address, and opens a browser window
// where there is a display to open it on.

import path from 'node:path';
import { parseArgs } from 'node:util';
import { createServer } from 'vite';
import { buildWasm } from './build-wasm.mjs';

const root = path.dirname(import.meta.dirname);

const { values } = parseArgs({ options: { port: { type: 'string' }, 'no-open': { type: 'boolean' } } });
const port = values.port === undefined ? undefined : Number(values.port);
if (port !== undefined && !(Number.isInteger(port) && port >= 0 && port < 65536)) {
  fail(`Got --port ${values.port}, expected a number from 0 to 65535`);
}

await buildWasm().catch((error) => fail(error.message));
const server = await createServer({
  configFile: path.join(root, 'vite.config.ts'),
  // A port that was asked for is used or refused; the usual one gives way to the next that is free.
  server: port === undefined ? {} : { port, strictPort: true },
});
await server.listen().catch((error) => fail(`The demo cannot be served: ${error.message}`));

console.log(`\n  Shibumi's demo: ${server.resolvedUrls?.local[0]}\n  Ctrl-C stops it.\n`);
if (!values['no-open'] && hasDisplay()) server.openBrowser();

for (const signal of ['SIGINT', 'SIGTERM']) {
  process.once(signal, async () => {
    await server.close();
    process.exit(0);
  });
}

function hasDisplay() {
  if (process.env.CI || process.env.SSH_CONNECTION) return false;
  if (process.platform !== 'linux') return true;
  return Boolean(process.env.DISPLAY || process.env.WAYLAND_DISPLAY);
}

/**
 * @param {string} message
 * @returns {never}
 */
function fail(message) {
  console.error(message);
  process.exit(1);
}
