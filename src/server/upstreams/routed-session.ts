/**
 * A session whose spaces may lie elsewhere. Users, rights and the spaces of the engine are the engine's session's; a call on a
 * space that is routed to an upstream is checked against the same users, and then answered by the upstream.
 */

import {
  type CallContext,
  callerOf,
  type InSpace,
  type Method,
  type ScanArguments,
  type ScanStep,
  type SessionState,
  type SignedIn,
  type VectorScanArguments,
} from '../../api/calls.ts';
import type { Entry, SpaceInfo, VectorData, VectorEntry } from '../../api/database.ts';
import type { ShibuDbError } from '../../api/errors.ts';
import { invalid, shown } from '../../base/arguments.ts';
import { cursorAt } from '../../base/cursor.ts';
import { Access } from '../../engine/access.ts';
import { parseNewSpace } from '../../engine/new-space.ts';
import type { UserDirectory } from '../../engine/users/user-directory.ts';
import type { Callee } from '../../host/source.ts';
import type { Routes } from './routes.ts';
import { type DataMethod, type Upstream, unsupported } from './upstream.ts';

type Page = Entry[] | VectorEntry<VectorData>[];

interface OpenScan {
  readonly space: string;
  readonly pages: AsyncGenerator<Page, void>;
}

/** Numbers of scans of upstreams begin here: those of the engine's sessions stay below. */
const firstScan = 2 ** 52;
const scansMax = 1000;

export class RoutedSession implements Callee {
  readonly #inner: Callee;
  readonly #routes: Routes;
  readonly #access: Access;
  readonly #scans: Map<number, OpenScan> = new Map();
  #nextScan = firstScan;
  /** The current space, where it is an upstream's. */
  #current: string | undefined;

  constructor(inner: Callee, users: UserDirectory, routes: Routes) {
    this.#inner = inner;
    this.#routes = routes;
    this.#access = new Access(users, {
      current: () => this.#current,
      scanned: (scan) => this.#scans.get(scan)?.space,
      // Upstreams take values whole.
      uploaded: () => undefined,
    });
  }

  call(method: Method, args: never, context: CallContext): unknown {
    const given = args as { space?: unknown; name?: unknown; scan?: unknown };
    switch (method) {
      case 'authenticate':
        return this.#authenticate(args, context);
      case 'resumeSession':
        return this.#resume(args, context);
      case 'listSpaces':
        return this.#listSpaces(args, context);
      case 'close':
        this.#closeScans();
        return this.#inner.call(method, args, context);
      case 'scanNext':
      case 'scanClose':
        if (typeof given.scan !== 'number' || given.scan < firstScan)
          return this.#inner.call(method, args, context);
        this.#access.check(method, args);
        return method === 'scanNext' ? this.#scanNext(given.scan) : this.#scanClose(given.scan);
      case 'useSpace':
      case 'createSpace':
      case 'deleteSpace':
      case 'describeSpace':
        return this.#onSpace(method, args, context);
      default: {
        const name = given.space ?? this.#current;
        const upstream = this.#routes.upstreamOf(name);
        if (upstream === undefined) return this.#inner.call(method, args, context);
        this.#access.check(method, args);
        return this.#onData(upstream, method as DataMethod, args, String(name), context);
      }
    }
  }

  async #authenticate(args: never, context: CallContext): Promise<SignedIn> {
    const signedIn = (await this.#inner.call('authenticate', args, context)) as SignedIn;
    this.#access.resume({ token: signedIn.token });
    return signedIn;
  }

  #resume(state: SessionState, context: CallContext): unknown {
    const { token, space } = state;
    const isRouted = this.#routes.upstreamOf(space) !== undefined;
    const inner: SessionState = {
      ...(token === undefined ? {} : { token }),
      ...(space === undefined || isRouted ? {} : { space }),
    };
    const signedIn = this.#inner.call('resumeSession', inner as never, context);
    this.#access.resume(token === undefined ? {} : { token });
    this.#current = isRouted ? space : undefined;
    this.#closeScans();
    return signedIn;
  }

  async #listSpaces(args: never, context: CallContext): Promise<SpaceInfo[]> {
    const own = (await this.#inner.call('listSpaces', args, context)) as SpaceInfo[];
    const others = await Promise.all(this.#routes.all().map((upstream) => upstream.listSpaces()));
    // An upstream may have spaces that are routed elsewhere.
    const routed = this.#routes
      .all()
      .flatMap((upstream, i) =>
        (others[i] ?? []).filter(({ name }) => this.#routes.upstreamOf(name) === upstream),
      );
    const here = own.filter(({ name }) => this.#routes.upstreamOf(name) === undefined);
    return [...here, ...routed].sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  #onSpace(
    method: 'useSpace' | 'createSpace' | 'deleteSpace' | 'describeSpace',
    args: never,
    context: CallContext,
  ): unknown {
    const { name } = args as { name: string };
    const upstream = this.#routes.upstreamOf(name);
    if (upstream !== undefined) {
      this.#access.check(method, args);
      return this.#onUpstreamSpace(upstream, method, args, name);
    }
    const result = this.#inner.call(method, args, context);
    if (method === 'useSpace') this.#current = undefined;
    return result;
  }

  async #onUpstreamSpace(upstream: Upstream, method: string, args: never, name: string): Promise<unknown> {
    if (method === 'createSpace') {
      const { engine, options } = args as { engine: unknown; options: unknown };
      await upstream.createSpace(await parseNewSpace(name, engine, options));
      return undefined;
    }
    if (method === 'deleteSpace') {
      await upstream.deleteSpace(name);
      if (this.#current === name) this.#current = undefined;
      return undefined;
    }
    const description = await upstream.describeSpace(name);
    if (method === 'describeSpace') return description;
    this.#current = name;
    return undefined;
  }

  #onData(upstream: Upstream, method: Method, args: never, space: string, context: CallContext): unknown {
    if (method === 'scanOpen' || method === 'scanVectorsOpen')
      return this.#scanOpen(upstream, method, args, space);
    const call = upstream.calls[method as DataMethod] as
      | ((args: never, space: string, context: CallContext) => Promise<unknown>)
      | undefined;
    if (call === undefined) throw noSuchOperation(upstream, method);
    return call(args, space, context);
  }

  #scanOpen(upstream: Upstream, method: 'scanOpen' | 'scanVectorsOpen', args: never, space: string): number {
    const { space: _, ...options } = args as InSpace & ScanArguments & VectorScanArguments;
    const pages =
      method === 'scanOpen' ? upstream.scan?.(space, options) : upstream.scanVectors?.(space, options);
    if (pages === undefined) throw noSuchOperation(upstream, method);
    if (this.#scans.size >= scansMax)
      throw invalid(`${scansMax} scans are open already; finish or close some first`);
    const number = this.#nextScan++;
    this.#scans.set(number, { space, pages });
    return number;
  }

  async #scanNext(number: number): Promise<ScanStep<Entry | VectorEntry<VectorData>>> {
    const open = this.#scans.get(number);
    if (open === undefined) throw invalid(`Got scan ${shown(number)}, which is not open`);
    try {
      const { value, done } = await open.pages.next();
      if (done) this.#scans.delete(number);
      const items = value ?? [];
      const last = items.at(-1);
      return { items, done: done === true, cursor: last === undefined ? undefined : cursorAt(last) };
    } catch (error) {
      this.#scans.delete(number);
      throw error;
    }
  }

  #scanClose(number: number): undefined {
    this.#scans.get(number)?.pages.return();
    this.#scans.delete(number);
    return undefined;
  }

  #closeScans(): void {
    for (const number of [...this.#scans.keys()]) this.#scanClose(number);
  }
}

function noSuchOperation({ info }: Upstream, method: Method): ShibuDbError {
  return unsupported(info.name, callerOf(method), 'it has no such operation');
}
