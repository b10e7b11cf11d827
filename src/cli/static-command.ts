/** `shibumi export --static`. */

import type { Database } from '../api/database.ts';
import { exportStatic } from '../node/static-export.ts';
import { ProgressLine } from './transfer/progress.ts';
import { parseInteger } from './vector-text.ts';

export interface StaticOptionValues {
  readonly target: string;
  readonly 'pack-bytes'?: string;
  readonly prune?: boolean;
}

const words = { copy: 'entries and vectors read', index: 'vectors indexed', write: 'bytes written' } as const;

/** No spaces are all. */
export async function runStaticExport(
  open: () => Promise<Database>,
  spaces: readonly string[],
  { target: folder, 'pack-bytes': packBytes, prune = false }: StaticOptionValues,
): Promise<void> {
  const limit =
    packBytes === undefined ? {} : { packBytes: parseInteger(packBytes, '--pack-bytes', 1024 * 1024) };
  const db = await open();
  const progress = new ProgressLine();
  try {
    const { files, bytes, firstBytes, left } = await exportStatic(db, folder, {
      ...(spaces.length === 0 ? {} : { spaces }),
      ...limit,
      prune,
      onProgress: (step, { done, total }) => progress.update(() => `${done} of ${total} ${words[step]}`),
    });
    const others = left.length === 0 ? '' : `; ${left.length} files of earlier snapshots are left`;
    progress.finish(
      `${files.length} files in ${folder}: ${bytes} bytes, ${firstBytes} to open every space${others}`,
    );
  } finally {
    progress.clear();
  }
}
