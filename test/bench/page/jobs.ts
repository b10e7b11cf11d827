/** What the page is asked to measure. */

import type { DataSet } from '../../data/data-set.ts';

/** A data set whose arrays are there, or (`Arrays` = string) are named by where they can be fetched. */
type Set<Arrays> = Arrays extends string
  ? Omit<DataSet, 'base' | 'queries' | 'truth'> & Record<'base' | 'queries' | 'truth', string>
  : DataSet;

export type PageJob<Arrays = unknown> =
  | { readonly kind: 'vectors'; readonly quick: boolean; readonly only: string; readonly data: Set<Arrays> }
  | { readonly kind: 'growth'; readonly quick: boolean }
  | { readonly kind: 'kernels'; readonly quick: boolean }
  | { readonly kind: 'storage'; readonly quick: boolean; readonly only: string }
  | { readonly kind: 'api'; readonly quick: boolean };

/** Addresses of the peers' modules, where they are installed. */
export interface PagePeers {
  readonly hnswlibWasm?: string;
  readonly idbKeyval?: string;
  readonly dexie?: string;
}

/** Scenarios of the storage suite that are measured in a page; `reopen` brings `checkpoint` with it. */
export const storageInPage = ['strict', 'relaxed', 'reopen', 'crash'] as const;
