/**
 * `shibumi/broker`: the script of the SharedWorker through which tabs hand each other ports, which nothing else can carry from
 * tab to tab. It keeps no data and sees no calls: a client's port goes to the page whose worker owns the database, and from
 * there to that worker.
 */

import type { BrokerMessage } from './tabs/broker-link.ts';

interface Door {
  readonly owner: string;
  readonly page: MessagePort;
}
interface Visitor {
  readonly message: BrokerMessage;
  readonly port: MessagePort;
}

/** The latest owner of each database, and who asked for one whose page has not come here yet. */
const doors: Map<string, Door> = new Map();
const waiting: Map<string, Visitor[]> = new Map();
const waitingMax = 100;

function receive(page: MessagePort, message: BrokerMessage, port: MessagePort | undefined): void {
  const { owner, database } = message;
  if (message.type === 'own') {
    doors.set(database, { owner, page });
    const visitors = waiting.get(database) ?? [];
    waiting.delete(database);
    for (const visitor of visitors)
      if (visitor.message.owner === owner) page.postMessage(visitor.message, [visitor.port]);
    return;
  }
  if (port === undefined) return;
  const door = doors.get(database);
  if (door?.owner === owner) {
    door.page.postMessage(message, [port]);
    return;
  }
  // A port that nobody fetches belongs to a client that has given up on it by then.
  waiting.set(database, [...(waiting.get(database) ?? []), { message, port }].slice(-waitingMax));
}

addEventListener('connect', (event) => {
  const [page] = (event as MessageEvent).ports;
  if (page === undefined) return;
  page.addEventListener('message', ({ data, ports }) => receive(page, data as BrokerMessage, ports[0]));
  page.start();
});
