/** Naming a database that lies on a static host, instead of one by its name or folder. */

import { invalid, shown } from '../base/arguments.ts';

/** A static snapshot, as `shibumi export --static` makes it. It can be read, by everybody who has its address. */
export interface StaticSource {
  /** Address of its folder, or of the `shibumi.json` in it. In a page it may be relative to the page. */
  from: string | URL;
  /**
   * Whether to keep what was fetched in the Cache API, so that it is there when the page is opened again, also without a
   * network. Default true; where there is no Cache API, or the origin is insecure, nothing is kept.
   */
  cache?: boolean;
}

/** … in a runtime that opens it in the same process. */
export interface FetchedSource extends StaticSource {
  /** What fetches it. Default: the runtime's `fetch`. At the edge: a service binding's, or a function that reads R2. */
  fetch?: (url: string, init?: RequestInit) => Promise<Response>;
}

/** A source that was checked. */
export interface CheckedSource extends FetchedSource {
  from: string;
}

/** The source with its address made whole; `undefined` when `place` is a name. @throws INVALID_ARGUMENT */
export function staticSource(place: string | FetchedSource, base?: string): CheckedSource | undefined {
  if (typeof place !== 'object' || place === null) return undefined;
  const { from, cache, fetch, ...others } = place;
  const [stranger] = Object.keys(others);
  if (stranger !== undefined) throw invalid(`Got ${shown(stranger)} beside from, expected cache or fetch`);
  if (cache !== undefined && typeof cache !== 'boolean')
    throw invalid(`Got ${shown(cache)} for cache, expected a boolean`);
  if (fetch !== undefined && typeof fetch !== 'function')
    throw invalid(`Got ${shown(fetch)} for fetch, expected a function`);
  const url = URL.canParse(from, base) ? new URL(from, base) : undefined;
  if (url?.protocol === 'https:' || url?.protocol === 'http:') return { ...place, from: url.href };
  throw invalid(`Got ${shown(from)} for from, expected the address (http, https) of a static snapshot`);
}
