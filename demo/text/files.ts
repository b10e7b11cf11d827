/**
 * Getting text out of what a person gives: dropped files and folders, chosen files, pasted text.
 *
 * A file is either read whole as text or refused with a reason a person can act on; nothing is guessed. Entries of
 * a drop must be taken inside the event, before anything is awaited, or the browser has emptied them.
 */

import type { TextFormat } from './chunker.ts';

/** A file that was offered: its path as the person sees it, and a way to open it. */
export interface Candidate {
  readonly name: string;
  open(): Promise<Blob>;
  /** Found inside a folder: other kinds of file are expected there and only counted, not named. */
  readonly inFolder: boolean;
}

export interface TextFile {
  readonly name: string;
  readonly text: string;
  readonly format: TextFormat;
}

/** Why a file was not taken, to be shown after its name. */
export class RefusedFile extends Error {
  override readonly name: string = 'RefusedFile';
}

const FORMATS: Readonly<Record<string, TextFormat>> = {
  md: 'markdown',
  markdown: 'markdown',
  mdown: 'markdown',
  txt: 'plain',
  text: 'plain',
};

/** For the file picker's `accept`. */
export const ACCEPTED_EXTENSIONS: string = Object.keys(FORMATS)
  .map((extension) => `.${extension}`)
  .join(',');

/** A file is decoded in one piece; beyond this the page would hold several copies of it at once. */
const FILE_BYTES_MAX = 64 * 2 ** 20;

export function formatOf(name: string): TextFormat | undefined {
  const extension = /\.([a-z]+)$/i.exec(name)?.[1]?.toLowerCase();
  return extension === undefined ? undefined : FORMATS[extension];
}

/**
 * Reads a candidate as text.
 * @throws RefusedFile with the reason, for anything that is not a text or Markdown file with text in it
 */
export async function readTextFile(candidate: Candidate): Promise<TextFile> {
  const format = formatOf(candidate.name);
  if (format === undefined) throw new RefusedFile('is not a text or Markdown file (.md, .markdown, .txt)');
  let bytes: Uint8Array;
  try {
    const blob = await candidate.open();
    if (blob.size > FILE_BYTES_MAX) {
      throw new RefusedFile(
        `has ${Math.ceil(blob.size / 2 ** 20)} MB; at most 64 MB can be read. Split it first`,
      );
    }
    bytes = new Uint8Array(await blob.arrayBuffer());
  } catch (error) {
    if (error instanceof RefusedFile) throw error;
    throw new RefusedFile('could not be read; it may have been moved or be locked', { cause: error });
  }
  const text = decodeText(bytes);
  if (text.trim() === '') throw new RefusedFile('is empty');
  return { name: candidate.name, text, format };
}

/**
 * Decodes UTF-8, or UTF-16 that says so by its byte order mark.
 * @throws RefusedFile for bytes that are not such text
 */
export function decodeText(bytes: Uint8Array): string {
  const encoding =
    bytes[0] === 0xff && bytes[1] === 0xfe
      ? 'utf-16le'
      : bytes[0] === 0xfe && bytes[1] === 0xff
        ? 'utf-16be'
        : 'utf-8';
  if (encoding === 'utf-8' && bytes.includes(0)) throw new RefusedFile('holds binary data, not text');
  try {
    return new TextDecoder(encoding, { fatal: true }).decode(bytes);
  } catch (error) {
    throw new RefusedFile('is not UTF-8 text; save it as UTF-8 and try again', { cause: error });
  }
}

/** Files from a picker; those of a chosen folder carry their path in it. */
export function candidatesOfFiles(files: Iterable<File>): Candidate[] {
  return Array.from(files, (file) => ({
    name: file.webkitRelativePath || file.name,
    inFolder: file.webkitRelativePath !== '',
    open: async () => file,
  })).filter((candidate) => !candidate.inFolder || !isHidden(candidate.name));
}

/** Files of a drop, folders walked to their ends. Call it in the event itself; the walk may be awaited later. */
export function candidatesOfDrop(transfer: DataTransfer): AsyncIterable<Candidate> {
  const entries = Array.from(transfer.items, (item) => item.webkitGetAsEntry()).filter(
    (entry) => entry !== null,
  );
  if (entries.length === 0) return fromArray(candidatesOfFiles(transfer.files));
  return walk(entries, false);
}

async function* fromArray(candidates: Candidate[]): AsyncGenerator<Candidate> {
  yield* candidates;
}

async function* walk(entries: FileSystemEntry[], inFolder: boolean): AsyncGenerator<Candidate> {
  for (const entry of entries) {
    if (inFolder && isHidden(entry.name)) continue;
    if (entry.isDirectory) {
      yield* walk(await listFolder(entry as FileSystemDirectoryEntry), true);
    } else {
      const name = entry.fullPath.replace(/^\//, '');
      yield {
        name,
        inFolder,
        open: () => new Promise((done, fail) => (entry as FileSystemFileEntry).file(done, fail)),
      };
    }
  }
}

/** Folders that hold tools' files, not a person's writing. */
function isHidden(path: string): boolean {
  return path.split('/').some((part) => part.startsWith('.') || part === 'node_modules');
}

async function listFolder(folder: FileSystemDirectoryEntry): Promise<FileSystemEntry[]> {
  const reader = folder.createReader();
  const entries: FileSystemEntry[] = [];
  // readEntries gives at most a hundred at a time and ends with an empty answer.
  for (;;) {
    const some = await new Promise<FileSystemEntry[]>((done, fail) => reader.readEntries(done, fail));
    if (some.length === 0) break;
    entries.push(...some);
  }
  return entries.sort((one, other) => (one.name < other.name ? -1 : 1));
}

/**
 * A name for pasted text: its first words, on one line.
 * A paste has no file name, and people know their notes by how they begin.
 */
export function nameOfPaste(text: string): string {
  const line =
    text
      .trim()
      .split('\n', 1)[0]
      ?.replace(/^#+\s*/, '')
      .trim() ?? '';
  const words = line.length > 48 ? `${line.slice(0, 48).replace(/\s+\S*$/, '')}…` : line;
  return `Pasted: ${words.replaceAll('/', '∕')}`;
}

/** Whether pasted text is Markdown: it has a heading, a list, a fence or a link. */
export function formatOfPaste(text: string): TextFormat {
  return /^(#{1,6}\s|\s*[-*+]\s|```|>\s)|\]\(https?:/m.test(text) ? 'markdown' : 'plain';
}

/**
 * 64 bits that tell two versions of a text apart, as hexadecimal. Not cryptographic: `crypto.subtle` is missing on
 * insecure origins, and nobody gains by forging their own notes. Two FNV-like lanes with different multipliers.
 */
export function contentHash(text: string): string {
  let low = 0x811c9dc5;
  let high = 0x1b873593;
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    low = Math.imul(low ^ unit, 0x01000193);
    high = Math.imul(high ^ unit, 0x85ebca6b);
    high ^= high >>> 13;
  }
  low = Math.imul(low ^ (low >>> 16), 0x85ebca6b) ^ high;
  return [high >>> 0, low >>> 0].map((lane) => lane.toString(16).padStart(8, '0')).join('');
}
