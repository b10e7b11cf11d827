/** `shibumi verify`: reads everything that is stored, and tells what is wrong with it. */

import type { Database, StorageFault, VerifyReport } from '../api/database.ts';
import { type Reply, table } from './reply.ts';
import { ProgressLine } from './transfer/progress.ts';

/** The reply has failed where anything is damaged. */
export async function verify(db: Database, deep: boolean): Promise<Reply> {
  const progress = new ProgressLine();
  const report = await db.verify({
    deep,
    onProgress: ({ done, total }) => progress.update(() => `${done} of ${total} checked`),
  });
  progress.clear();
  return { value: report, text: textOf(report), ...(report.ok ? {} : { failed: true }) };
}

function textOf({ ok, spaces, faults }: VerifyReport): string {
  const rows = spaces.map((space) => [
    space.name,
    space.blocks,
    space.bytes,
    space.records,
    space.faults.length === 0 ? 'intact' : `${space.faults.length} damages`,
  ]);
  const told = [
    ...faults.map((fault) => faultText('the catalog', fault)),
    ...spaces.flatMap((space) => space.faults.map((fault) => faultText(`"${space.name}"`, fault))),
  ];
  const end = ok ? 'Everything is intact.' : 'ERROR: there is damage.';
  return [table(['space', 'blocks', 'bytes', 'log records', 'state'], rows), ...told, end].join('\n');
}

function faultText(where: string, { kind, message, segment, block, record }: StorageFault): string {
  const place = [
    segment === undefined ? '' : ` segment ${segment}`,
    block === undefined ? '' : ` block ${block}`,
    record === undefined ? '' : ` record ${record}`,
  ].join('');
  return `${where}, ${kind}${place}: ${message}`;
}
