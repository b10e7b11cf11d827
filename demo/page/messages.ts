/** Notices beside the search: each says one thing, may offer one action, and stays until closed or replaced. */

import { element } from './element.ts';

export interface Message {
  readonly text: string;
  readonly isError?: boolean;
  readonly action?: { readonly label: string; readonly run: () => void };
}

/** Older ones go when more come: a pile of notices is not read. */
const MESSAGES_MAX = 4;

export class Messages {
  readonly #host: HTMLElement;

  constructor(host: HTMLElement) {
    this.#host = host;
  }

  show({ text, isError = false, action }: Message): void {
    const actions = element('span', { class: 'actions' });
    const item = element(
      'div',
      { class: `message${isError ? ' is-error' : ''}` },
      element('span', {}, text),
      actions,
    );
    if (action) {
      const run = (): void => {
        item.remove();
        action.run();
      };
      actions.append(element('button', { type: 'button', click: run }, action.label));
    }
    actions.append(
      element(
        'button',
        { type: 'button', class: 'quiet', 'aria-label': 'Close message', click: () => item.remove() },
        '✕',
      ),
    );
    this.#host.prepend(item);
    while (this.#host.childElementCount > MESSAGES_MAX) this.#host.lastElementChild?.remove();
  }

  clear(): void {
    this.#host.replaceChildren();
  }
}
