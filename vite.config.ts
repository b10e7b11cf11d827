// The demo: `npm start` serves it, `npm run build:demo` makes a folder of plain files that any web server can serve.

import path from 'node:path';
import { defineConfig, type UserConfig } from 'vite';

const root: string = import.meta.dirname;

const config: UserConfig = defineConfig({
  root: path.join(root, 'demo'),
  // Relative addresses, so that the built demo works in any folder of a site.
  base: './',
  clearScreen: false,
  resolve: {
    alias: [
      { find: /^shibumi$/, replacement: path.join(root, 'src/index.ts') },
      { find: /^shibumi\/worker$/, replacement: path.join(root, 'src/worker.ts') },
    ],
  },
  // Known from the start: found late, inside the worker, they would reload the page while it opens its database.
  optimizeDeps: {
    include: ['comlink', 'idb', '@noble/hashes/hmac.js', '@noble/hashes/scrypt.js', '@noble/hashes/sha2.js'],
  },
  worker: { format: 'es' },
  server: {
    host: '127.0.0.1',
    port: 5173,
    // src/ and build/wasm/ lie beside demo/.
    fs: { allow: [root] },
  },
  preview: { host: '127.0.0.1' },
  build: { outDir: path.join(root, 'dist-demo'), emptyOutDir: true, target: 'es2022' },
});

export default config;
