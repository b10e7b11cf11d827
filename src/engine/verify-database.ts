/** Checking all of a database: its catalog, then space after space (verify.ts). */

import type { CallContext } from '../api/calls.ts';
import type { SpaceReport, StorageFault, VerifyReport } from '../api/database.ts';
import { type CatalogEntry, decodeCatalog } from '../storage/catalog.ts';
import type { Checksum } from '../storage/envelope.ts';
import type { Environment } from './settings.ts';
import { verifySpace } from './verify.ts';

/** What of an engine it takes. */
export interface VerifiedDatabase {
  readonly environment: Environment;
  readonly checksum: Checksum;
  /** Those that are there by now. @throws CLOSED */
  spaces(): readonly CatalogEntry[];
  /** Runs `work` while no checkpoint of the space does. */
  exclusively<Result>(id: number, work: () => Promise<Result>): Promise<Result>;
}

/** A checkpoint of a space that is wanted meanwhile waits. */
export async function verifyDatabase(
  { environment, checksum, spaces, exclusively }: VerifiedDatabase,
  deep: boolean,
  signal: AbortSignal | undefined,
  onProgress: CallContext['onProgress'],
): Promise<VerifyReport> {
  const state = await environment.backend.readState();
  const faults = catalogFaults(state, checksum);
  const reports: SpaceReport[] = [];
  let done = 0;
  for (const entry of [...spaces()]) {
    if (!spaces().some(({ id }) => id === entry.id)) continue;
    const report = await exclusively(entry.id, async () => {
      signal?.throwIfAborted();
      spaces();
      const current = await environment.backend.readState();
      const manifests = {
        first: current.manifests.get(entry.id),
        copy: current.manifestCopies?.get(entry.id),
      };
      const onBlock = (): void => {
        signal?.throwIfAborted();
        done++;
        onProgress?.({ done, total: done });
      };
      return verifySpace(environment, entry, manifests, { checksum, deep, onBlock });
    });
    reports.push(report);
  }
  const ok = faults.length === 0 && reports.every((report) => report.faults.length === 0);
  return { ok, spaces: reports, faults };
}

/** What is wrong with the catalog and its copy. */
function catalogFaults(
  state: { catalog: Uint8Array | undefined; catalogCopy?: Uint8Array | undefined },
  checksum: Checksum,
): StorageFault[] {
  const faults: StorageFault[] = [];
  for (const bytes of [state.catalog, state.catalogCopy]) {
    if (bytes === undefined) continue;
    try {
      decodeCatalog(bytes, checksum);
    } catch (error) {
      faults.push({ kind: 'catalog', message: (error as Error).message });
    }
  }
  return faults;
}
