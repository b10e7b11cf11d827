/**
 * The ways in: drop anywhere on the page, choose files or a folder, paste, take the sample. Each ends in one call
 * with the files that were given.
 */

import type { Candidate, TextFile } from '../text/files.ts';
import {
  ACCEPTED_EXTENSIONS,
  candidatesOfDrop,
  candidatesOfFiles,
  formatOfPaste,
  nameOfPaste,
} from '../text/files.ts';
import { byId } from './element.ts';
import { sampleFiles } from './sample.ts';

export type OnFiles = (files: AsyncIterable<Candidate | TextFile>) => void;

export function connectIntake(onFiles: OnFiles): void {
  connectDrop(onFiles);
  connectPicker('choose-files', 'file-input', onFiles);
  connectPicker('choose-folder', 'folder-input', onFiles);
  connectPaste(onFiles);
  byId('use-sample', HTMLButtonElement).addEventListener('click', () => onFiles(sampleFiles()));
}

function connectDrop(onFiles: OnFiles): void {
  const zone = byId('drop-zone', HTMLElement);
  const carriesFiles = (event: DragEvent): boolean => event.dataTransfer?.types.includes('Files') ?? false;
  // Children fire their own enter and leave; only the difference tells whether the pointer is over the page.
  let depth = 0;
  const mark = (change: number): void => {
    depth = Math.max(0, depth + change);
    zone.classList.toggle('is-over', depth > 0);
  };
  window.addEventListener('dragenter', (event) => carriesFiles(event) && mark(1));
  window.addEventListener('dragleave', (event) => carriesFiles(event) && mark(-1));
  window.addEventListener('dragover', (event) => {
    if (!carriesFiles(event)) return;
    // Without this the browser would leave the page and show the file.
    event.preventDefault();
    if (event.dataTransfer) event.dataTransfer.dropEffect = 'copy';
  });
  window.addEventListener('drop', (event) => {
    if (!carriesFiles(event) || event.dataTransfer === null) return;
    event.preventDefault();
    mark(-depth);
    onFiles(candidatesOfDrop(event.dataTransfer));
  });
}

function connectPicker(buttonId: string, inputId: string, onFiles: OnFiles): void {
  const input = byId(inputId, HTMLInputElement);
  if (!input.webkitdirectory) input.accept = ACCEPTED_EXTENSIONS;
  byId(buttonId, HTMLButtonElement).addEventListener('click', () => input.click());
  input.addEventListener('change', () => {
    const candidates = candidatesOfFiles(input.files ?? []);
    // So that choosing the same file again is a change again.
    input.value = '';
    if (candidates.length > 0) onFiles(iterate(candidates));
  });
}

function connectPaste(onFiles: OnFiles): void {
  const dialog = byId('paste-dialog', HTMLDialogElement);
  const area = byId('paste-text', HTMLTextAreaElement);
  byId('paste', HTMLButtonElement).addEventListener('click', () => {
    area.value = '';
    dialog.returnValue = '';
    dialog.showModal();
  });
  const take = (text: string): void => {
    if (text.trim() !== '')
      onFiles(iterate([{ name: nameOfPaste(text), text, format: formatOfPaste(text) }]));
  };
  dialog.addEventListener('close', () => {
    if (dialog.returnValue === 'add') take(area.value);
  });
  // Files or text pasted anywhere but into a field.
  document.addEventListener('paste', (event) => {
    const isField = event.target instanceof HTMLInputElement || event.target instanceof HTMLTextAreaElement;
    if (isField || event.clipboardData === null) return;
    const files = candidatesOfFiles(event.clipboardData.files);
    if (files.length > 0) onFiles(iterate(files));
    else take(event.clipboardData.getData('text/plain'));
  });
}

async function* iterate<T>(items: readonly T[]): AsyncGenerator<T> {
  yield* items;
}
