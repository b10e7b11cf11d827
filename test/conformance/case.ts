/**
 * What a conformance case is: one function over a way to open databases. It knows neither Node nor the browser, neither the
 * backend nor the build, so every case runs over each of them.
 */

import type { Database } from '../../src/api/database.ts';
import type { ClientOptions } from '../../src/client/open-client.ts';

/** Options that every `open` has. */
export interface CaseOptions extends ClientOptions {
  /** Where the platform has it: behind a bridge and at the edge it is the server's. */
  readonly memoryBudgetBytes?: number;
}

export interface CaseContext {
  /** Opens a database of this case's own. The same `suffix` means the same database. Closed after the case. */
  open(suffix?: string, options?: CaseOptions): Promise<Database>;
  /** Deletes it with all its data. */
  deleteDatabase(suffix?: string): Promise<void>;
  readonly build: 'simd128' | 'relaxed';
  readonly storage: 'indexeddb' | 'memory' | 'files' | 'durable-object';
}

export interface Case {
  readonly name: string;
  /** The case closes a database and expects its data when it opens it again. */
  readonly reopens?: boolean;
  run(t: CaseContext): Promise<void>;
}
