/** What an import did, in sentences. */

import type { ImportReport } from '../library/importer.ts';
import { counted } from './element.ts';
import type { Message } from './messages.ts';

const NAMES_MAX = 3;

export function reportMessages(report: ImportReport): Message[] {
  const done: string[] = [];
  if (report.added.length > 0) done.push(`Added ${listed(report.added)}.`);
  if (report.changed.length > 0) done.push(`Updated ${listed(report.changed)}.`);
  if (report.unchanged.length > 0) {
    done.push(
      `${listed(report.unchanged)} ${report.unchanged.length === 1 ? 'is' : 'are'} here already, unchanged.`,
    );
  }
  if (report.indexed > 0 && !report.isCancelled) {
    done.push(`${counted(report.indexed, 'passage')} indexed in ${(report.indexMs / 1000).toFixed(1)} s.`);
  }
  if (report.isCancelled) done.push('Stopped. What was read is kept; “Continue” goes on with it.');
  if (report.skipped > 0) done.push(`${counted(report.skipped, 'file')} of other kinds left out.`);

  const messages: Message[] = report.refused
    .slice(0, NAMES_MAX)
    .map(({ name, reason }) => ({ text: `${name} ${reason}.`, isError: true }));
  if (report.refused.length > NAMES_MAX) {
    const rest = report.refused.slice(NAMES_MAX).map(({ name }) => name);
    messages.push({ text: `Not taken either: ${listed(rest)}.`, isError: true });
  }
  if (done.length > 0) messages.unshift({ text: done.join(' ') });
  return messages;
}

function listed(names: readonly string[]): string {
  const shown = names.slice(0, NAMES_MAX).join(', ');
  return names.length > NAMES_MAX ? `${shown} and ${names.length - NAMES_MAX} more` : shown;
}
