/** The progress bar: what is being done, how far, how fast. It appears only when something is being done. */

import type { ImportProgress } from '../library/importer.ts';
import { byId, counted } from './element.ts';

export class ProgressPanel {
  readonly #panel = byId('progress', HTMLElement);
  readonly #label = byId('progress-label', HTMLElement);
  readonly #bar = byId('progress-bar', HTMLProgressElement);
  readonly #detail = byId('progress-detail', HTMLElement);
  readonly #cancel = byId('cancel', HTMLButtonElement);

  show(progress: ImportProgress): void {
    if (progress.phase === 'reading') {
      this.#set(`Reading ${progress.fileName}`, undefined);
      this.#detail.textContent = `${counted(progress.files, 'file')}, ${counted(progress.passages, 'passage')} so far`;
      return;
    }
    // A visit that finds everything indexed has nothing to show.
    if (progress.total === 0) return;
    this.#set(`Embedding and indexing ${progress.documentName}`, progress.done / progress.total);
    const share = `${progress.done.toLocaleString('en')} of ${counted(progress.total, 'passage')}`;
    const pace = progress.done > 0 ? ` · ${counted(progress.perSecond, 'passage')} a second` : '';
    this.#detail.textContent = share + pace;
  }

  /** Fetching the model: it can be done without. */
  showModel(what: string, percent: number): void {
    this.#set('Fetching the sentence model', percent > 0 ? percent / 100 : undefined);
    this.#detail.textContent = percent > 0 ? `${what}, ${Math.round(percent)} %` : what;
    this.#cancel.textContent = 'Use the built-in matcher';
  }

  hide(): void {
    this.#panel.hidden = true;
  }

  #set(label: string, share: number | undefined): void {
    this.#panel.hidden = false;
    this.#label.textContent = label;
    if (share === undefined) this.#bar.removeAttribute('value');
    else this.#bar.value = share;
    this.#cancel.textContent = 'Cancel';
  }
}
