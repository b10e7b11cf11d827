/** Which space lies in which upstream: as a config file says it, the first pattern that fits. */

import type { Upstream } from './upstream.ts';

/** `docs`, `logs-*`, `*`. */
export interface Route {
  readonly pattern: string;
  /** Nothing: the engine. */
  readonly upstream: Upstream | undefined;
}

export class Routes {
  readonly #routes: readonly { readonly expression: RegExp; readonly upstream: Upstream | undefined }[];
  readonly #upstreams: readonly Upstream[];
  readonly #known: Map<string, Upstream | undefined> = new Map();

  constructor(routes: readonly Route[]) {
    this.#routes = routes.map(({ pattern, upstream }) => ({ expression: expressionOf(pattern), upstream }));
    this.#upstreams = [
      ...new Set(routes.map(({ upstream }) => upstream).filter((found) => found !== undefined)),
    ];
  }

  /** Nothing: the engine's, or no name of a space at all. */
  upstreamOf(space: unknown): Upstream | undefined {
    if (typeof space !== 'string') return undefined;
    if (this.#known.has(space)) return this.#known.get(space);
    const upstream = this.#routes.find(({ expression }) => expression.test(space))?.upstream;
    if (this.#known.size < 10_000) this.#known.set(space, upstream);
    return upstream;
  }

  all(): readonly Upstream[] {
    return this.#upstreams;
  }

  async close(): Promise<void> {
    await Promise.all(this.#upstreams.map((upstream) => upstream.close()));
  }
}

function expressionOf(pattern: string): RegExp {
  const parts = pattern.split('*').map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'));
  return new RegExp(`^${parts.join('.*')}$`, 's');
}
