/**
 * What stands under the search box while nothing is asked and there are documents: things to ask, and the newest documents,
 * which unfold to be read. Everything comes from the documents that are there.
 */

import type { Library } from '../library/library.ts';
import type { DocumentRecord, PassageRecord } from '../library/records.ts';
import { element } from './element.ts';
import { sampleQuestions } from './sample.ts';

const DOCUMENTS_MAX = 4;
const QUESTIONS_MAX = 5;
/** Read to find a heading to ask about. */
const PASSAGES_LOOKED_AT = 8;
/** Unfolded at once: a book would only slow the page down. */
const PASSAGES_READ = 200;

export class StartView {
  readonly #host: HTMLElement;
  readonly #library: Library;
  readonly #onAsk: (question: string) => void;
  /** The documents it shows, to tell whether there is anything new. */
  #shown = '';
  #isWanted = false;

  constructor(host: HTMLElement, library: Library, onAsk: (question: string) => void) {
    this.#host = host;
    this.#library = library;
    this.#onAsk = onAsk;
  }

  hide(): void {
    this.#isWanted = false;
    this.#host.hidden = true;
  }

  async show(): Promise<void> {
    this.#isWanted = true;
    const newest = this.#library.documents.reverse();
    const shown = newest.map(({ id }) => id).join(' ');
    // Whoever reads is not disturbed by what is added meanwhile; what was deleted goes at once.
    const read = this.#host.querySelector<HTMLElement>('details[open]')?.dataset.document;
    const isRead = newest.some(({ id }) => String(id) === read);
    if (shown !== this.#shown && !isRead) {
      this.#shown = shown;
      const parts = await this.#parts(newest);
      if (shown !== this.#shown) return;
      this.#host.replaceChildren(...parts);
    }
    this.#host.hidden = !this.#isWanted || newest.length === 0;
  }

  async #parts(newest: readonly DocumentRecord[]): Promise<HTMLElement[]> {
    if (newest.length === 0) return [];
    const questions = await this.#questions(newest);
    const ask = questions.map((question) =>
      element('li', {}, element('button', { type: 'button', click: () => this.#onAsk(question) }, question)),
    );
    const documents = newest.slice(0, DOCUMENTS_MAX).map((record) => this.#document(record));
    return [
      ...(ask.length === 0
        ? []
        : [element('h2', {}, 'Things to ask'), element('ul', { class: 'questions' }, ...ask)]),
      element('h2', {}, newest.length > 1 ? 'Added last' : 'Added'),
      ...(await Promise.all(documents)),
    ];
  }

  /** At most one of a document: the sample's come with it, other documents are asked about what their headings say. */
  async #questions(newest: readonly DocumentRecord[]): Promise<string[]> {
    const prepared = newest.flatMap(({ name }) => sampleQuestions[name] ?? []);
    if (prepared.length > 0) return prepared.slice(0, QUESTIONS_MAX);
    const found = newest.slice(0, QUESTIONS_MAX).map(async ({ id }) => {
      const passages = await this.#library.readPassages(id, 0, PASSAGES_LOOKED_AT);
      return passages.map(({ headings }) => headings.at(-1)).findLast((heading) => heading !== undefined);
    });
    const headings = (await Promise.all(found)).filter((heading) => heading !== undefined);
    return [...new Set(headings)];
  }

  async #document(record: DocumentRecord): Promise<HTMLElement> {
    const [first] = await this.#library.readPassages(record.id, 0, 1);
    const text = element('div', { class: 'passage' });
    const details: HTMLDetailsElement = element(
      'details',
      {
        class: 'document',
        'data-document': record.id,
        toggle: () => void this.#unfold(details, record, text),
      },
      element(
        'summary',
        {},
        element('span', { class: 'document-name' }, record.name),
        element('span', { class: 'beginning' }, beginningOf(first)),
      ),
      text,
    );
    return details;
  }

  async #unfold(details: HTMLDetailsElement, { id }: DocumentRecord, text: HTMLElement): Promise<void> {
    if (!details.open) return;
    const passages = await this.#library.readPassages(id, 0, PASSAGES_READ + 1);
    let path: readonly string[] = [];
    const parts = passages.slice(0, PASSAGES_READ).flatMap(({ headings, text: lines }) => {
      const isNew = headings.join('\n') !== path.join('\n');
      path = headings;
      const heading = isNew ? headings.at(-1) : undefined;
      const body = lines.split('\n').map((line) => element('p', {}, line));
      return heading === undefined ? body : [element('h3', {}, heading), ...body];
    });
    if (passages.length > PASSAGES_READ) parts.push(element('p', {}, '…'));
    text.replaceChildren(...parts);
  }
}

function beginningOf(passage: PassageRecord | undefined): string {
  return passage?.text.replaceAll('\n', ' ') ?? '';
}
