/** Cursors of scans. Opaque to callers: the kind of what was scanned, then the last item taken. */

import type { VectorId } from '../api/database.ts';

/** `k` + key, `i` + integer id, `s` + string id. */
export function cursorAt(item: { readonly key: string } | { readonly id: VectorId }): string {
  if ('key' in item) return `k${item.key}`;
  return typeof item.id === 'string' ? `s${item.id}` : `i${item.id}`;
}
