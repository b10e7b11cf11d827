/**
 * A process that the suite `bridge` talks to: the server over a folder, or a bare `ws` server that answers every message with
 * so many bytes. It tells its port, and later, when asked, how much memory it has.
 */

import { WebSocketServer } from 'ws';
import { open } from '../../src/node.ts';
import { serve } from '../../src/server.ts';
import { admin, type BridgeProcessRole, keySpaces, type Told } from './bridge-child.ts';

const role = JSON.parse(process.argv[2] ?? '{}') as BridgeProcessRole;
const tell = (told: Told): void => void process.send?.(told);

if (role.kind === 'echo') {
  const answer = new Uint8Array(role.answerBytes);
  const server = new WebSocketServer({ host: '127.0.0.1', port: 0, perMessageDeflate: false });
  server.on('connection', (socket) => socket.on('message', () => socket.send(answer)));
  server.on('listening', () => tell({ ports: { echo: (server.address() as { port: number }).port } }));
} else {
  const db = await open(role.folder);
  for (const durability of keySpaces) await db.createSpace(durability, 'key-value', { durability });
  await db.close();
  const server = await serve(role.folder, {
    admin,
    guest: admin.username,
    resp: 0,
    respSpaces: { 0: 'relaxed', 1: 'strict' },
    connectionsMax: 5000,
    // Hundreds of clients sign in at once, all from one address.
    loginsPerMinute: 100_000,
  });
  tell({ ports: { bridge: server.port, resp: server.listeners.resp ?? 0 } });
}

process.on('message', () => tell({ rssBytes: process.memoryUsage.rss() }));
process.on('disconnect', () => process.exit());
