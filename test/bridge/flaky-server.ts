// The embedded engine behind a server whose heart beats fast: connections that fall silent are noticed soon.

import { Session } from '../../src/engine/session.ts';
import { openEngine } from '../../src/node/open-engine.ts';
import { BridgeServer } from '../../src/server/bridge-server.ts';

export async function engineInMemory(): Promise<Awaited<ReturnType<typeof openEngine>>> {
  return openEngine('flaky', { storage: 'memory' });
}

export async function serverOver(
  engine: Awaited<ReturnType<typeof engineInMemory>>,
  origins: readonly string[] = [],
): Promise<BridgeServer> {
  const source = {
    kind: 'memory',
    openSession: () => new Session(engine.engine),
    close: async () => {},
  };
  const server = new BridgeServer(source, {
    host: '127.0.0.1',
    port: 0,
    tls: undefined,
    origins,
    resumeMs: 60_000,
    heartbeatMs: 150,
    log: () => {},
  });
  await server.listen();
  return server;
}
