/** Failures in words for a person who has never heard of IndexedDB: what happened, and what to do about it. */

import { isShibuDbError } from 'shibumi';

export interface Explanation {
  readonly text: string;
  /** Whether trying the same again may help. */
  readonly canRetry: boolean;
}

export function explain(error: unknown): Explanation {
  const code = isShibuDbError(error) ? error.code : error instanceof DOMException ? error.name : '';
  switch (code) {
    case 'LOCKED':
      return {
        text: 'Another tab has these notes open and does not answer. Close it, then try again.',
        canRetry: true,
      };
    case 'OUTCOME_UNKNOWN':
      return {
        text: 'The tab that was storing these notes is gone. This one has taken over; go on where it stopped.',
        canRetry: true,
      };
    case 'STORAGE_LOST':
      return {
        text: 'The notes were deleted elsewhere, in another tab or in the browser’s settings. Reload to begin anew.',
        canRetry: false,
      };
    case 'QUOTA_EXCEEDED':
    case 'QuotaExceededError':
      return {
        text: 'The browser gives this page no more room. Free some disk space or delete documents here, then continue.',
        canRetry: true,
      };
    case 'STORAGE_UNAVAILABLE':
      return {
        text: 'This browser lets the page store nothing, so notes cannot be kept. A private window or blocked site data are the usual reasons.',
        canRetry: true,
      };
    case 'OUT_OF_MEMORY':
      return {
        text: 'There is not enough memory for so many passages. Delete some documents or close other tabs.',
        canRetry: true,
      };
    case 'WORKER_LOST':
    case 'CLOSED':
      return {
        text: 'The database stopped. What was stored is safe; reload the page to go on.',
        canRetry: false,
      };
    case 'VERSION_MISMATCH':
      return {
        text: 'These notes were stored by a newer version of this page. Reload to get that version.',
        canRetry: false,
      };
    case 'CORRUPTION':
      return { text: `Stored data is damaged and was left untouched: ${messageOf(error)}`, canRetry: false };
    default:
      return { text: `Something went wrong: ${messageOf(error)}`, canRetry: true };
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
