/** The ports for clients of other databases, as `serve` was told to open them. */

import { integerIn, invalid, shown } from '../../base/arguments.ts';
import type { ConnectionHost } from '../../host/connection-host.ts';
import type { ListenerSource } from '../../host/source.ts';
import { NubDbHandler } from '../nubdb/nubdb-handler.ts';
import { isLoopback } from '../peer-address.ts';
import { RespConversation } from '../resp/resp-conversation.ts';
import { ScanCursors } from '../resp/scan-cursors.ts';
import { ShibuDbHandler } from '../shibudb/shibudb-handler.ts';
import { LineConversation } from './line-conversation.ts';
import { type Converse, TcpListener } from './tcp-listener.ts';

/** Ports for clients of other databases. */
export interface ListenerOptions {
  /** Port for clients of Redis (RESP2 and RESP3); 0: a free one. Default: closed. */
  readonly resp?: number;
  /** The spaces that `SELECT n` chooses. Default `{ 0: 'default' }`. Those that are not there are made. */
  readonly respSpaces?: Readonly<Record<number, string>>;
  /** Port for clients of ShibuDB (lines of JSON). Default: closed. */
  readonly shibudb?: number;
  /** Port for clients of NubDB (lines of text). Default: closed. */
  readonly nubdb?: number;
  /** The space that NubDB's clients work on. Default `default`. It is made if it is not there. */
  readonly nubdbSpace?: string;
  /**
   * The user that clients of `resp` and `nubdb` act as until they sign in: NubDB's have no password to send. Default: none, and
   * they must sign in. Only where the server listens on loopback.
   */
  readonly guest?: string;
}

/** Whose clients a port is for. */
export type ListenerName = 'resp' | 'shibudb' | 'nubdb';

export interface ListenerSetting {
  readonly host: string;
  readonly tls: { readonly key: Buffer; readonly cert: Buffer } | undefined;
}

/** Opens what is asked for, all or none. @throws INVALID_ARGUMENT, USER_NOT_FOUND, BRIDGE_UNAVAILABLE */
export async function openListeners(
  source: ListenerSource,
  host: ConnectionHost,
  options: ListenerOptions,
  setting: ListenerSetting,
): Promise<Map<ListenerName, TcpListener>> {
  const open = new Map<ListenerName, TcpListener>();
  const { guest } = options;
  if (guest !== undefined) {
    if (!isLoopback(setting.host) && setting.host !== 'localhost')
      throw invalid(`Got the guest ${shown(guest)} on ${setting.host}, expected a server on loopback alone`);
    await source.tokenOf(guest);
  }
  const add = async (name: ListenerName, guestOf: string | undefined, converse: Converse): Promise<void> => {
    const port = integerIn(options[name], 0, 65_535, `the port of ${name}`);
    const listener = new TcpListener(source, host, { name, port, guest: guestOf, converse, ...setting });
    await listener.listen();
    open.set(name, listener);
  };
  try {
    if (options.resp !== undefined) await add('resp', guest, await conversesResp(source, host, options));
    if (options.shibudb !== undefined)
      await add(
        'shibudb',
        undefined,
        (client, wire) => new LineConversation(wire, new ShibuDbHandler(client)),
      );
    if (options.nubdb !== undefined) {
      const space = options.nubdbSpace ?? defaultSpace;
      await source.ensureSpace(space);
      await add(
        'nubdb',
        guest,
        (client, wire) => new LineConversation(wire, new NubDbHandler(client, space)),
      );
    }
  } catch (error) {
    await Promise.all([...open.values()].map((listener) => listener.close()));
    throw error;
  }
  return open;
}

const defaultSpace = 'default';

async function conversesResp(
  source: ListenerSource,
  host: ConnectionHost,
  options: ListenerOptions,
): Promise<Converse> {
  const spaces = new Map<number, string>();
  for (const [number, space] of Object.entries(options.respSpaces ?? { 0: defaultSpace })) {
    spaces.set(integerIn(Number(number), 0, 65_535, 'the number of a database'), space);
    await source.ensureSpace(space);
  }
  const cursors = new ScanCursors();
  const shared = { spaces, connections: () => host.admission.connections };
  return (client, wire) => new RespConversation(client, wire, shared, cursors);
}
