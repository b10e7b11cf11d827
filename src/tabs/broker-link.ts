/** A page's way to the broker (src/broker.ts): the SharedWorker is started when it is first needed. */

export interface BrokerMessage {
  /** `own`: the sender's worker owns the database. `connect`: a port for the owner comes with it. */
  readonly type: 'own' | 'connect';
  readonly database: string;
  readonly owner: string;
  /** The name of the Web Lock that the client holds as long as it lives. */
  readonly alive: string | undefined;
}

export interface Broker {
  /** The address of its script: only tabs that have the same one meet there. */
  readonly address: string;
  spawn(): SharedWorker;
}

export class BrokerLink {
  readonly #broker: Broker;
  readonly #database: string;
  readonly #onClient: (port: MessagePort, alive: string | undefined) => void;
  #worker: SharedWorker | undefined;
  #registered = '';
  #failed = false;

  /** `onClient` gets the ports of clients while this page's worker is the owner. */
  constructor(
    broker: Broker,
    database: string,
    onClient: (port: MessagePort, alive: string | undefined) => void,
  ) {
    this.#broker = broker;
    this.#database = database;
    this.#onClient = onClient;
  }

  get address(): string {
    return this.#broker.address;
  }

  /** Whether it can be counted on: its script may be missing or forbidden. */
  get isUsable(): boolean {
    return !this.#failed;
  }

  /** Lets clients of this page's worker come in. */
  register(owner: string): void {
    if (this.#registered === owner) return;
    this.#registered = owner;
    this.#port()?.postMessage(this.#message('own', owner, undefined));
  }

  /** A port to the owner; whether anybody is at its other end only an answer tells. */
  connect(owner: string, alive: string | undefined): MessagePort | undefined {
    const port = this.#port();
    if (port === undefined) return undefined;
    const { port1, port2 } = new MessageChannel();
    port.postMessage(this.#message('connect', owner, alive), [port2]);
    return port1;
  }

  close(): void {
    this.#worker?.port.close();
    this.#worker = undefined;
  }

  #message(type: BrokerMessage['type'], owner: string, alive: string | undefined): BrokerMessage {
    return { type, database: this.#database, owner, alive };
  }

  #port(): MessagePort | undefined {
    if (this.#failed) return undefined;
    if (this.#worker === undefined) {
      try {
        this.#worker = this.#broker.spawn();
      } catch {
        this.#failed = true;
        return undefined;
      }
      this.#worker.addEventListener('error', (event) => {
        event.preventDefault();
        this.#failed = true;
      });
      this.#worker.port.addEventListener('message', ({ data, ports }) => {
        const [client] = ports;
        if (client !== undefined) this.#onClient(client, (data as BrokerMessage).alive);
      });
      this.#worker.port.start();
    }
    return this.#worker.port;
  }
}
