/**
 * What the demo keeps in its key-value space `documents`, and how keys and vector ids are made.
 *
 *     document/00000007            a DocumentRecord
 *     passage/00000007/000012      a PassageRecord
 *     setting/<name>               a string
 *
 * A passage's vector has the id `document * 2^20 + index` in every vector space, so a hit leads to its text with one
 * read and no second table.
 */

import type { Passage } from '../text/chunker.ts';

export interface DocumentRecord {
  readonly id: number;
  /** File name or path as it was given; one document per name. */
  readonly name: string;
  /** `contentHash` of the text: the same file given again is known by it. */
  readonly hash: string;
  readonly characters: number;
  /** Passages stored. Final once `state` is `stored`. */
  readonly passageCount: number;
  /**
   * `importing`: its passages are being stored, what is there is incomplete. `stored`: all text is here, indexing it
   * needs the file no more. `deleting`: to be removed; a deletion that was interrupted goes on at the next start.
   */
  readonly state: 'importing' | 'stored' | 'deleting';
  /** Vector space -> passages indexed there, always a prefix. */
  readonly indexed: Readonly<Record<string, number>>;
  /** The document that this one, once indexed, takes the place of. */
  readonly replaces?: number | undefined;
  /** The person stopped its indexing; it waits to be told to go on. */
  readonly isPaused?: boolean | undefined;
}

export type PassageRecord = Passage;

export const DOCUMENT_PREFIX = 'document/';
const PASSAGES_PER_DOCUMENT_MAX = 2 ** 20;

export function documentKey(document: number): string {
  return `${DOCUMENT_PREFIX}${String(document).padStart(8, '0')}`;
}

export function passageKey(document: number, index: number): string {
  return `passage/${String(document).padStart(8, '0')}/${String(index).padStart(7, '0')}`;
}

export function settingKey(name: string): string {
  return `setting/${name}`;
}

export function vectorId(document: number, index: number): number {
  if (index >= PASSAGES_PER_DOCUMENT_MAX)
    throw new RangeError(`Passage ${index} of a document, expected less than 2^20.`);
  return document * PASSAGES_PER_DOCUMENT_MAX + index;
}

export function placeOf(id: number): { document: number; index: number } {
  return { document: Math.floor(id / PASSAGES_PER_DOCUMENT_MAX), index: id % PASSAGES_PER_DOCUMENT_MAX };
}
