/** The documents that are stored, each with its size, how far it is indexed, and a button to delete it. */

import type { Library } from '../library/library.ts';
import type { DocumentRecord } from '../library/records.ts';
import { counted, element } from './element.ts';

export interface DocumentActions {
  readonly onDelete: (record: DocumentRecord) => void;
  readonly onContinue: (record: DocumentRecord) => void;
}

/** Shown at once; thousands of rows would only slow the page down. */
const ROWS_MAX = 200;

export function showDocuments(
  list: HTMLUListElement,
  library: Library,
  space: string | undefined,
  actions: DocumentActions,
): void {
  const newestFirst = library.documents.reverse();
  const rows = newestFirst.slice(0, ROWS_MAX).map((record) => documentRow(record, space, actions));
  if (newestFirst.length > ROWS_MAX) {
    rows.push(
      element('li', { class: 'more' }, `and ${counted(newestFirst.length - ROWS_MAX, 'older document')}`),
    );
  }
  list.replaceChildren(...rows);
}

function documentRow(
  record: DocumentRecord,
  space: string | undefined,
  actions: DocumentActions,
): HTMLLIElement {
  const indexed = space === undefined ? 0 : (record.indexed[space] ?? 0);
  const isWhole = indexed >= record.passageCount;
  const passages = counted(record.passageCount, 'passage');
  const state = isWhole ? passages : `${indexed.toLocaleString('en')} of ${passages} indexed`;
  const row = element(
    'li',
    {},
    element('span', { class: 'document-name', title: record.name }, record.name),
    element('span', { class: 'document-state' }, state),
  );
  if (record.isPaused && !isWhole) {
    const label = `Continue indexing ${record.name}`;
    row.append(
      element(
        'button',
        { type: 'button', 'aria-label': label, click: () => actions.onContinue(record) },
        'Continue',
      ),
    );
  }
  row.append(
    element(
      'button',
      {
        type: 'button',
        class: 'quiet',
        'aria-label': `Delete ${record.name}`,
        click: () => actions.onDelete(record),
      },
      'Delete',
    ),
  );
  return row;
}
