/**
 * The worker and the core as texts, for pages whose bundler did not carry the files along (default-worker.ts). The build
 * writes them in (tools/build.mjs); in the repository, where the files are always there, there are none. Never part of a
 * first load: it is imported when the files turn out to be missing.
 */

import type { BuildName } from '../kernel/module.ts';

export interface Inlined {
  /** The worker's script, without imports. */
  readonly worker: string;
  /** Each build of the core: gzipped, in base64. */
  readonly cores: Readonly<Record<BuildName, string>>;
}

export const inlined: Inlined | undefined = undefined;
