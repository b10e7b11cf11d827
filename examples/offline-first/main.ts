/** The page: local first, the bridge when there is one. */

import type { Database } from 'shibumi';
import { connect } from 'shibumi/bridge';
import { Notes } from './notes.ts';

const syncEveryMs = 2000;

const status = document.querySelector('output') as HTMLOutputElement;
const list = document.querySelector('ul') as HTMLUListElement;
let remote: Database | undefined;
let question = '';

/** From here on the page and everything it loads is there without a network. */
async function keepPage(): Promise<void> {
  await navigator.serviceWorker.register('./service-worker.js');
  if (navigator.serviceWorker.controller === null)
    await new Promise((resolve) => navigator.serviceWorker.addEventListener('controllerchange', resolve));
  // What came before the service worker did, once more through it.
  const loaded = performance.getEntriesByType('resource').map(({ name }) => name);
  await Promise.allSettled([location.href, ...loaded].map((url) => fetch(url)));
}

async function show(): Promise<void> {
  const notes = await store.search(question);
  list.replaceChildren(
    ...notes.map(({ text }) => Object.assign(document.createElement('li'), { textContent: text })),
  );
  const unsent = await store.unsent();
  const shared = unsent === 0 ? 'all shared' : `${unsent} to be shared`;
  status.value = remote === undefined ? `not connected, ${unsent} to be shared` : shared;
}

let syncing = false;
async function sync(): Promise<void> {
  if (remote === undefined || syncing) return;
  syncing = true;
  // Without an answer the notes stay in the outbox, and the connection is made again by itself.
  await store.sync(remote).catch(() => {});
  syncing = false;
  await show();
}

function onSubmit(form: string, act: (field: (name: string) => string) => Promise<void>): void {
  const element = document.querySelector(form) as HTMLFormElement;
  element.addEventListener('submit', (event) => {
    event.preventDefault();
    const fields = new FormData(element);
    act((name) => String(fields.get(name))).catch((error: Error) => {
      status.value = error.message;
    });
  });
}

// Nothing that is loaded later may miss the service worker: the database's worker and its core.
await keepPage().catch(() => {});
const store = await Notes.open();
await show();

onSubmit('#write', async (field) => {
  await store.write(crypto.randomUUID(), field('text'));
  await show();
  sync();
});
onSubmit('#search', async (field) => {
  question = field('question');
  await show();
});
onSubmit('#bridge', async (field) => {
  remote = await connect(field('url'), { username: field('username'), password: field('password') });
  await sync();
});
addEventListener('online', () => sync());
setInterval(sync, syncEveryMs);
