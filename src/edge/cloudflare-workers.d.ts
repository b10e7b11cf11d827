// What is used of workerd's own module, for compiling here. Applications have the real types (@cloudflare/workers-types,
// or those that `wrangler types` writes).

declare module 'cloudflare:workers' {
  export class DurableObject<Env = unknown> {
    protected readonly ctx: import('./durable-storage.ts').DurableState;
    protected readonly env: Env;
    constructor(ctx: import('./durable-storage.ts').DurableState, env: Env);
  }
  /** An object whose methods are called from another Worker or object. */
  export class RpcTarget {}
  /** Lets what an event has begun run on behind its answer. Not in every version of the runtime. */
  export const waitUntil: ((work: Promise<unknown>) => void) | undefined;
}
