/**
 * Notices at the foot of the page: each says one thing and may offer one action. Good news goes by itself, unless
 * the person is at it; what needs attention stays until it is closed.
 */

import { element } from './element.ts';

export interface Message {
  readonly text: string;
  readonly isError?: boolean;
  readonly action?: { readonly label: string; readonly run: () => void };
}

/** Older ones go when more come: a pile of notices is not read. */
const MESSAGES_MAX = 4;
const GOOD_NEWS_MS = 12_000;

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
    if (!isError && !action) leaveAfter(item, GOOD_NEWS_MS);
    while (this.#host.childElementCount > MESSAGES_MAX) this.#host.lastElementChild?.remove();
  }

  clear(): void {
    this.#host.replaceChildren();
  }
}

function leaveAfter(item: HTMLElement, delayMs: number): void {
  setTimeout(() => {
    if (item.matches(':hover, :focus-within')) leaveAfter(item, delayMs);
    else item.remove();
  }, delayMs);
}
