/**
 * A connection to a session elsewhere: packs the calls of a tick into one message, keeps a register of open calls, and
 * bounds what is on its way (back pressure): the rest waits here, in order. Every call settles: with its reply, or by being
 * handed back to whoever made the connection when that is lost.
 */

import * as Comlink from 'comlink';
import { shibuDbError } from '../api/errors.ts';
import type { Message, Reply } from './messages.ts';
import type { OpenCall } from './open-call.ts';
import { type OnRefused, type Parcel, Run, runMethodOf, SingleCall } from './parcel.ts';

export { OpenCall } from './open-call.ts';

/** Carries a message there and resolves with the replies that are ready by then. */
export type Exchange = (message: Message, transfer: readonly ArrayBuffer[]) => Promise<readonly Reply[]>;

/** What may be on its way. A single call that is larger goes when nothing else does. */
const callsOnTheWayMax = 8192;
const bytesOnTheWayMax = 32 * 1024 * 1024;
/** What waits to be handed back. */
const spareMost = 16;

export class Connection {
  readonly #exchange: Exchange;
  readonly #onRefused: OnRefused;
  /** Sent and not settled. */
  readonly #open: Map<number, Parcel> = new Map();
  #callsOnTheWay = 0;
  #bytesOnTheWay = 0;
  /** Not sent yet, in order. */
  #queue: Parcel[] = [];
  /** The last of the queue, while more calls may join it. */
  #run: Run | undefined;
  #cancels: number[] = [];
  /** The next message takes them along. */
  #spare: ArrayBuffer[] = [];
  #nextId = 1;
  #scheduled = false;
  #exchanging = 0;
  #lost = false;

  readonly #takeBuffer = (buffer: ArrayBuffer): void => this.giveBack(buffer);

  constructor(exchange: Exchange, onRefused: OnRefused = rejectRefused) {
    this.#exchange = exchange;
    this.#onRefused = onRefused;
  }

  /** Calls that are not answered yet and that somebody waits for. */
  get openCalls(): number {
    return this.#queue.reduce((calls, { count }) => calls + count, this.#callsOnTheWay);
  }

  /** Requires: the connection is not lost. */
  submit(call: OpenCall): void {
    call.sent = false;
    const method = runMethodOf(call);
    if (method === undefined) {
      this.#run = undefined;
      const parcel = new SingleCall(call, (cancelled) => this.#cancel(cancelled));
      this.#queue.push(parcel);
      if (parcel.urgent) this.#send();
    } else if (this.#joinRun(method, call).full) {
      this.#send();
    }
    this.#schedule();
  }

  /** Hands the buffer of an answer back, whose contents are needed no more: see base/buffer-pool.ts. */
  giveBack(buffer: ArrayBuffer): void {
    if (this.#spare.length < spareMost) this.#spare.push(buffer);
  }

  /** Order is kept, so only what stands side by side goes together. */
  #joinRun(method: 'get' | 'put', call: OpenCall): Run {
    const { space } = call.args as { space: string | undefined };
    let run = this.#run;
    if (run === undefined || !run.takes(method, space)) {
      run = new Run(method, space, this.#takeBuffer);
      this.#run = run;
      this.#queue.push(run);
    }
    run.add(call);
    return run;
  }

  /** Ends the connection and hands back, in order, every call that was not answered. Replies that come later are dropped. */
  lose(): OpenCall[] {
    this.#lost = true;
    const calls = [...this.#open.values(), ...this.#queue].flatMap((parcel) => parcel.takeBack());
    this.#open.clear();
    this.#queue = [];
    return calls;
  }

  #cancel(call: SingleCall): void {
    if (call.id !== 0) {
      this.#cancels.push(call.id);
      this.#schedule();
    } else {
      this.#queue.splice(this.#queue.indexOf(call), 1);
      call.abort();
    }
  }

  /** What is called until the current turn ends goes out in one message. */
  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    queueMicrotask(() => {
      this.#scheduled = false;
      this.#send();
    });
  }

  #send(): void {
    if (this.#lost) return;
    this.#run = undefined;
    const parcels = this.#admit();
    const cancels = this.#cancels;
    this.#cancels = [];
    if (parcels.length > 0 || cancels.length > 0) this.#post(parcels, cancels);
  }

  /** Takes off the queue what may be sent now. */
  #admit(): Parcel[] {
    let count = 0;
    for (const parcel of this.#queue) {
      const full =
        this.#callsOnTheWay + parcel.count > callsOnTheWayMax ||
        this.#bytesOnTheWay + parcel.bytes > bytesOnTheWayMax;
      if (full && this.#callsOnTheWay > 0) break;
      this.#callsOnTheWay += parcel.count;
      this.#bytesOnTheWay += parcel.bytes;
      count++;
    }
    const admitted = this.#queue.splice(0, count);
    // What waits longer than a tick must not change with the caller's buffers. The front of the queue was here before.
    for (let i = this.#queue.length - 1; i >= 0; i--) if (!this.#queue[i]?.ownArguments()) break;
    return admitted;
  }

  #post(parcels: readonly Parcel[], cancels: readonly number[]): void {
    const sent = parcels.map((parcel) => {
      const id = this.#nextId++;
      this.#open.set(id, parcel);
      return parcel.send(id);
    });
    const spare = this.#spare;
    this.#spare = [];
    const message: Message = {
      requests: sent.map(({ request }) => request),
      cancels,
      ...(spare.length === 0 ? {} : { spare }),
    };
    this.#exchanging++;
    this.#exchange(message, [...sent.flatMap(({ transfer }) => transfer), ...spare]).then(
      (replies) => {
        this.#exchanging--;
        for (const reply of replies) this.#take(reply);
        if (this.#lost || this.#scheduled) return;
        if (this.#queue.length > 0) this.#schedule();
        // Somebody still waits and no message does: ask for what becomes ready later.
        else if (this.#open.size > 0 && this.#exchanging === 0) this.#post([], []);
      },
      (error: unknown) => {
        this.#exchanging--;
        if (!this.#lost) this.#refuse(parcels, cancels, error);
      },
    );
  }

  /** The message could not travel: something in it cannot be cloned. Only the call whose argument that is fails. */
  #refuse(parcels: readonly Parcel[], cancels: readonly number[], error: unknown): void {
    if (parcels.length > 1 && error instanceof DOMException && error.name === 'DataCloneError') {
      // Nothing of it was sent, so each may be sent again by itself.
      for (const parcel of parcels) this.#open.delete(parcel.id);
      if (cancels.length > 0) this.#post([], cancels);
      for (const parcel of parcels) this.#post([parcel], []);
      return;
    }
    const reason = error instanceof Error ? error.message : String(error);
    for (const parcel of parcels) {
      this.#forget(parcel);
      parcel.fail(shibuDbError('INVALID_ARGUMENT', `The arguments of a call cannot be sent: ${reason}`));
    }
    if (this.#open.size > 0 && this.#exchanging === 0) this.#post([], []);
    this.#schedule();
  }

  #take(reply: Reply): void {
    const parcel = this.#open.get(reply.id);
    if (parcel?.take(reply, this.#onRefused)) this.#forget(parcel);
  }

  #forget(parcel: Parcel): void {
    this.#open.delete(parcel.id);
    this.#callsOnTheWay -= parcel.count;
    this.#bytesOnTheWay -= parcel.bytes;
  }
}

function rejectRefused(call: OpenCall): void {
  call.reject(shibuDbError('NOT_OWNER', `${call.method} was refused: another took the database over`));
}

/** The exchange of an endpoint that offers it over Comlink. */
export function exchangeWith(
  remote: Pick<Comlink.Remote<{ exchange(message: Message): Promise<Reply[]> }>, 'exchange'>,
): Exchange {
  return (message, transfer) =>
    remote.exchange(transfer.length === 0 ? message : Comlink.transfer(message, [...transfer]));
}
