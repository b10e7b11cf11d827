/** The list of found passages, best first, each with where it stands and how far it is from the query. */

import type { FoundPassage } from '../library/library.ts';
import { counted, element } from './element.ts';
import { highlightMatches } from './highlight.ts';
import type { SearchAnswer } from './search-box.ts';

/** A screen reader is told once the person has paused, not at every key. */
const ANNOUNCE_AFTER_MS = 700;

export class Results {
  readonly #list: HTMLOListElement;
  readonly #summary: HTMLElement;
  readonly #announcer: HTMLElement;
  /** What the list shows, to tell whether an answer is news. */
  #shown = '';
  #announcing: ReturnType<typeof setTimeout> | undefined;

  constructor(list: HTMLOListElement, summary: HTMLElement, announcer: HTMLElement) {
    this.#list = list;
    this.#summary = summary;
    this.#announcer = announcer;
    list.addEventListener('keydown', (event) => this.#moveFocus(event));
  }

  show(answer: SearchAnswer, passagesInAll: number): void {
    const nearest = answer.passages[0];
    const isChance = nearest === undefined || nearest.distance >= answer.embedder.chanceDistance;
    const found = `${answer.passages.length} nearest of ${counted(passagesInAll, 'passage')}`;
    const elapsed = `${answer.elapsedMs < 10 ? answer.elapsedMs.toFixed(1) : Math.round(answer.elapsedMs)} ms`;
    this.#summary.textContent = `${found} in ${elapsed}${isChance ? ' · nothing stored is really close' : ''}`;
    this.#replace(answer);
    this.#announce(
      `${found}${isChance ? '. Nothing stored is really close.' : `. Best: ${nearest.document.name}`}`,
    );
  }

  clear(message: string): void {
    this.#list.replaceChildren();
    this.#shown = '';
    this.#summary.textContent = message;
    this.#announce('');
  }

  /** An import asks the same question again and again: the same answer leaves the list, and the focus in it, alone. */
  #replace(answer: SearchAnswer): void {
    const shown = [
      answer.query,
      ...answer.passages.map(
        ({ document, passage, distance }) => `${document.id} ${passage.start} ${distance}`,
      ),
    ].join('\n');
    if (shown === this.#shown) return;
    this.#shown = shown;
    // Who has gone down into the list stays there when the answer to the last key comes.
    const focused = [...this.#list.children].findIndex((item) => item.contains(document.activeElement));
    this.#list.replaceChildren(...answer.passages.map((passage) => resultItem(passage, answer)));
    const item = focused < 0 ? undefined : (this.#list.children[focused] ?? this.#list.lastElementChild);
    if (item instanceof HTMLElement) item.focus();
  }

  focusFirst(): void {
    this.#list.querySelector<HTMLElement>('li')?.focus();
  }

  #announce(text: string): void {
    clearTimeout(this.#announcing);
    this.#announcing = setTimeout(() => {
      this.#announcer.textContent = text;
    }, ANNOUNCE_AFTER_MS);
  }

  #moveFocus(event: KeyboardEvent): void {
    const item = event.target instanceof Element ? event.target.closest('li') : null;
    const next =
      event.key === 'ArrowDown'
        ? item?.nextElementSibling
        : event.key === 'ArrowUp'
          ? item?.previousElementSibling
          : null;
    if (next instanceof HTMLElement) next.focus();
    else if (event.key === 'ArrowUp' && item) document.getElementById('query')?.focus();
    else return;
    event.preventDefault();
  }
}

function resultItem(
  { document: source, passage, distance }: FoundPassage,
  answer: SearchAnswer,
): HTMLLIElement {
  const where = element('p', { class: 'where' }, element('span', { class: 'document-name' }, source.name));
  const path = passage.headings.join(' › ');
  if (path !== '') where.append(element('span', { class: 'heading-path' }, ...marked(path, answer.query)));

  const isChance = distance >= answer.embedder.chanceDistance;
  const title = 'Cosine distance: 0 means the same direction, 1 unrelated';
  const nearness = element('span', { class: 'nearness' });
  if (isChance) nearness.append(element('span', { class: 'chance' }, 'by chance? '));
  nearness.append(element('data', { class: 'distance', value: distance, title }, distance.toFixed(3)));

  const lines = passage.text.split('\n').map((line) => element('p', {}, ...marked(line, answer.query)));
  const attributes = { tabindex: -1, class: isChance ? 'is-chance' : undefined };
  return element(
    'li',
    attributes,
    element('header', {}, where, nearness),
    element('div', { class: 'passage' }, ...lines),
  );
}

function marked(text: string, query: string): (Node | string)[] {
  const parts = highlightMatches(text, query);
  return parts.map((part) => (part.isMatch ? element('mark', {}, part.text) : part.text));
}
