/**
 * What travels as one request and is answered as one: a single call, or a *run*, consecutive gets or puts of one space by
 * however many callers, as columns. A run of 250 costs about what two single calls cost.
 */

import { type ArgumentsOf, type Method, type PackedValues, standingCalls } from '../api/calls.ts';
import type { Value } from '../api/database.ts';
import { fromEnvelope } from '../api/error-envelope.ts';
import { isShibuDbError, shibuDbError } from '../api/errors.ts';
import { ownCopy, withoutTheRest } from '../base/own-copy.ts';
import { ValuePacker } from '../base/pack-values.ts';
import { packKeys } from '../base/packed-keys.ts';
import { unpackValues } from '../base/packed-values.ts';
import type { Reply, Request } from './messages.ts';
import type { OpenCall } from './open-call.ts';

/** Called for a call that its owner refused because it is none any more: nothing of it was done. */
export type OnRefused = (call: OpenCall) => void;

export interface Parcel {
  /** 0 until it is sent. */
  id: number;
  /** Calls in it that somebody waits for, and roughly what their arguments take: what back pressure counts. */
  readonly count: number;
  readonly bytes: number;
  /** What to send, and the buffers that are handed over with it. */
  send(id: number): { request: Request; transfer: readonly ArrayBuffer[] };
  /** Takes a reply. True when no more are to come. */
  take(reply: Reply, onRefused: OnRefused): boolean;
  fail(error: Error): void;
  /** The calls that are not settled yet, for another to make. */
  takeBack(): OpenCall[];
  /** Makes the arguments independent of buffers that belong to the caller. False when they are already. */
  ownArguments(): boolean;
}

/**
 * What a caller passed is the caller's again when the call returns, although it is sent later, with what else is called in the same turn:
 * what is this long at most is copied. More goes out at once, and is copied by that.
 */
const copiedBytesMax = 64 * 1024;
const copiedItemsMax = 8192;

export class SingleCall implements Parcel {
  id = 0;
  readonly count: number;
  readonly bytes: number;
  /** Has to go out at once: what is in it is the caller's own. */
  readonly urgent: boolean;
  readonly #call: OpenCall;
  #args: ArgumentsOf<Method>;
  #stopListening: (() => void) | undefined;
  #owned: boolean;

  constructor(call: OpenCall, cancel: (call: SingleCall) => void) {
    this.#call = call;
    this.count = standingCalls.has(call.method) ? 0 : 1;
    this.bytes = sizeOf(call.args);
    this.urgent = call.options.transfer !== undefined || Object.values(call.args).some(isLong);
    this.#args = this.urgent ? call.args : ownCopy(call.args);
    this.#owned = !this.urgent;
    const { signal } = call.options;
    if (signal === undefined) return;
    const onAbort = (): void => cancel(this);
    signal.addEventListener('abort', onAbort, { once: true });
    this.#stopListening = () => signal.removeEventListener('abort', onAbort);
  }

  send(id: number): { request: Request; transfer: readonly ArrayBuffer[] } {
    this.id = id;
    this.#call.sent = true;
    const { method, options } = this.#call;
    const own = this.#owned || options.transfer !== undefined ? this.#args : withoutTheRest(this.#args);
    const args = method === 'getMany' ? packed(own as ArgumentsOf<'getMany'>) : own;
    const request = { id, method, args, progress: options.onProgress !== undefined };
    return { request, transfer: options.transfer ?? [] };
  }

  take(reply: Reply, onRefused: OnRefused): boolean {
    if ('progress' in reply) {
      this.#call.progress = reply.progress;
      this.#call.options.onProgress?.(reply.progress);
      return false;
    }
    this.#stopListening?.();
    settle(this.#call, reply, onRefused);
    return true;
  }

  fail(error: Error): void {
    this.#stopListening?.();
    this.#call.reject(error);
  }

  /** Fails a call that was not sent yet with what its signal says. */
  abort(): void {
    const { method, options } = this.#call;
    const reason: unknown = options.signal?.reason;
    const known = isShibuDbError(reason) ? reason : undefined;
    const message = known?.message ?? `${method} was aborted before it was sent`;
    this.fail(
      shibuDbError(known?.code ?? 'ABORTED', message, { cause: reason, details: { acknowledged: 0 } }),
    );
  }

  takeBack(): OpenCall[] {
    this.#stopListening?.();
    return [Object.assign(this.#call, { args: this.#args })];
  }

  ownArguments(): boolean {
    if (this.#owned) return false;
    this.#owned = true;
    if (this.#call.options.transfer === undefined) this.#args = ownCopy(this.#args);
    return true;
  }
}

function isLong(value: unknown): boolean {
  if (ArrayBuffer.isView(value)) return value.byteLength > copiedBytesMax;
  return Array.isArray(value) && value.length > copiedItemsMax;
}

/** A run is full, and sent, at so many calls: page and worker then work side by side. Measured: 250 is best. */
const runCallsMax = 250;
/** … or with so many bytes. */
const runBytesMax = 256 * 1024;
/** Larger values travel by themselves: copying them into a run costs more than a request of their own. */
const runValueMax = 16 * 1024;

export class Run implements Parcel {
  id = 0;
  bytes = 0;
  readonly #method: 'get' | 'put';
  readonly #space: string | undefined;
  readonly #keys: string[] = [];
  /** Copied when they come: the caller's buffers are the caller's again at once. */
  readonly #values: ValuePacker = new ValuePacker();
  /** `undefined` once they are settled one by one. */
  readonly #calls: (OpenCall | undefined)[] = [];
  readonly #giveBack: (buffer: ArrayBuffer) => void;
  #left = 0;

  constructor(method: 'get' | 'put', space: string | undefined, giveBack: (buffer: ArrayBuffer) => void) {
    this.#method = method;
    this.#space = space;
    this.#giveBack = giveBack;
  }

  get count(): number {
    return this.#keys.length;
  }

  get full(): boolean {
    return this.#keys.length >= runCallsMax || this.bytes >= runBytesMax;
  }

  takes(method: 'get' | 'put', space: string | undefined): boolean {
    return this.#method === method && this.#space === space;
  }

  add(call: OpenCall): void {
    const { key, value } = call.args as ArgumentsOf<'put'>;
    this.#keys.push(key);
    if (this.#method === 'put') this.#values.add(value);
    this.#calls.push(call);
    this.#left++;
    this.bytes += key.length + (value?.length ?? 0) + 32;
  }

  send(id: number): { request: Request; transfer: readonly ArrayBuffer[] } {
    this.id = id;
    for (const call of this.#calls) if (call !== undefined) call.sent = true;
    const space = this.#space;
    const keys = this.#keys;
    if (this.#method === 'get')
      return {
        request: { id, method: 'getEach', args: packed({ space, keys }), progress: false },
        transfer: [],
      };
    const values = this.#values.values();
    const request: Request = { id, method: 'putEach', args: { space, keys, values }, progress: false };
    return { request, transfer: [values.bytes.buffer] };
  }

  take(reply: Reply, onRefused: OnRefused): boolean {
    if ('progress' in reply) return false;
    if (reply.index !== undefined) {
      const call = this.#calls[reply.index];
      this.#calls[reply.index] = undefined;
      if (call !== undefined) settle(call, reply, onRefused);
      return --this.#left === 0;
    }
    if ('error' in reply) {
      for (const call of this.takeBack()) settle(call, reply, onRefused);
    } else if (this.#method === 'get') {
      const values = unpackValues(reply.value as PackedValues, this.#giveBack);
      for (let i = 0; i < values.length; i++) this.#calls[i]?.resolve(values[i] as never);
    } else {
      for (const call of this.#calls) call?.resolve(undefined as never);
    }
    return true;
  }

  fail(error: Error): void {
    for (const call of this.#calls) call?.reject(error);
  }

  /** A put gets back the value as it was when it was called. */
  takeBack(): OpenCall[] {
    const values: readonly (Value | undefined)[] =
      this.#method === 'put' ? unpackValues(this.#values.values()) : [];
    return this.#calls.flatMap((call, i) => {
      if (call === undefined || this.#method === 'get') return call ?? [];
      return [Object.assign(call, { args: { ...call.args, value: values[i] } })];
    });
  }

  ownArguments(): boolean {
    return true;
  }
}

/**
 * Which kind of run a call may go with, if any: gets and puts with nothing special about them. What is not of the right
 * type is for the session to refuse, call by call.
 */
export function runMethodOf({ method, args, options }: OpenCall): 'get' | 'put' | undefined {
  if (method !== 'get' && method !== 'put') return undefined;
  if (options.signal !== undefined || options.transfer !== undefined) return undefined;
  const { space, key, value, ttlMs } = args as ArgumentsOf<'put'>;
  if (typeof key !== 'string' || (space !== undefined && typeof space !== 'string')) return undefined;
  if (method === 'get') return method;
  const text = typeof value === 'string';
  if (ttlMs !== undefined || !(text || value instanceof Uint8Array) || value.length > runValueMax)
    return undefined;
  return text && !value.isWellFormed() ? undefined : method;
}

function packed(args: ArgumentsOf<'getMany'>): ArgumentsOf<'getMany'> {
  const keys = packKeys(args.keys);
  return keys === undefined ? args : { ...args, keys: [], packed: keys };
}

function settle(call: OpenCall, reply: Exclude<Reply, { progress: unknown }>, onRefused: OnRefused): void {
  if (!('error' in reply)) call.resolve(reply.value as never);
  else if (reply.error.code === 'NOT_OWNER') onRefused(call);
  else call.reject(fromEnvelope(reply.error));
}

const depthMax = 64;

/**
 * Roughly the bytes that arguments take on their way: exact for what is large. They are not checked yet: what contains itself,
 * or goes too deep for anybody, must not end this.
 */
function sizeOf(value: unknown, seen: Set<object> = new Set(), depth = 0): number {
  if (typeof value === 'string') return value.length;
  if (ArrayBuffer.isView(value)) return value.byteLength;
  if (Array.isArray(value)) {
    // Ids or numbers, thousands of them: all are about alike.
    const [first] = value;
    if (typeof first !== 'object' && typeof first !== 'string') return value.length * 8;
  }
  if (typeof value !== 'object' || value === null) return 8;
  // What is there twice travels once.
  if (depth === depthMax || seen.has(value)) return 8;
  seen.add(value);
  let bytes = 0;
  if (Array.isArray(value))
    for (const item of value)
      bytes += (typeof item === 'string' ? item.length : sizeOf(item, seen, depth + 1)) + 8;
  else for (const name in value) bytes += sizeOf((value as Record<string, unknown>)[name], seen, depth + 1);
  return bytes;
}
