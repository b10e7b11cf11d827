/**
 * Copies a space from one database to another, and makes sure that both hold the same. It goes by pages in the order of keys or
 * ids, and says after each how far it is: whoever is interrupted goes on behind the last page, which may be written twice.
 */

import type {
  Database,
  Durability,
  Entry,
  PutEntry,
  SpaceDescription,
  SpaceInfo,
  VectorData,
  VectorEntry,
} from '../../api/database.ts';
import { isShibuDbError, shibuDbError } from '../../api/errors.ts';

export interface Move {
  readonly from: Database;
  readonly to: Database;
  readonly space: string;
  /** For a space that is made. Default: as the source's. */
  readonly durability: Durability | undefined;
  /** Behind which item to go on. */
  readonly cursor: string | undefined;
  readonly onPage: (cursor: string | undefined, copied: number) => void;
}

const pageItems = 500;
/** Of one write, roughly. */
const pageBytes = 4 * 1024 * 1024;

/** @returns how many items were copied. @throws INVALID_ARGUMENT when there is another kind of space of that name */
export async function copySpace(move: Move): Promise<number> {
  const { from, space } = move;
  const source = await from.describeSpace(space);
  await makeSpace(move, source);
  return source.engine === 'vector' ? copyVectors(move, source) : copyEntries(move);
}

async function makeSpace({ to, space, durability, cursor }: Move, source: SpaceDescription): Promise<void> {
  const there = await to.describeSpace(space).catch((error: unknown) => {
    if (isShibuDbError(error) && error.code === 'SPACE_NOT_FOUND') return undefined;
    throw error;
  });
  if (there !== undefined) {
    refuseOther(source, there);
    if (cursor === undefined && there.count > 0)
      throw shibuDbError(
        'SPACE_EXISTS',
        `The target has a space "${space}" that is not empty, and this is no move that goes on`,
      );
    return;
  }
  const { engine, dimension = 0, indexType, metric, p, ids, metadataFields } = source;
  const promised = { durability: durability ?? source.durability };
  if (engine === 'key-value') await to.createSpace(space, 'key-value', promised);
  else {
    const given = { indexType, metric, p, ids, metadataFields };
    const options = Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined));
    await to.createSpace(space, 'vector', { dimension, ...options, ...promised });
  }
}

function refuseOther(source: SpaceInfo, there: SpaceInfo): void {
  for (const name of ['engine', 'dimension', 'metric', 'ids'] as const) {
    // An upstream may not tell.
    if (there[name] !== undefined && source[name] !== there[name])
      throw shibuDbError(
        'INVALID_ARGUMENT',
        `The target's space has the ${name} ${there[name]}, expected ${source[name]}`,
      );
  }
}

async function copyEntries({ from, to, space, cursor, onPage }: Move): Promise<number> {
  const target = to.space(space);
  let copied = 0;
  for await (const page of pagesOf<Entry>(
    (behind) => from.scan({ space, ...behind }),
    cursor,
    bytesOfEntry,
  )) {
    const left = await Promise.all(
      page.items.map(({ key }) => from.ttl(key, { space }).catch(unsupportedAs(Number.POSITIVE_INFINITY))),
    );
    const entries = page.items.flatMap((entry, i): PutEntry[] => {
      const ttlMs = left[i];
      // It has expired meanwhile.
      if (ttlMs === undefined) return [];
      return [ttlMs === Number.POSITIVE_INFINITY ? entry : { ...entry, ttlMs: Math.max(1, ttlMs) }];
    });
    await target.putMany(entries).catch(async (error: unknown) => {
      if (!isUnsupported(error)) throw error;
      // An upstream that has no such call, or keeps it whole only within a hash slot.
      await Promise.all(
        entries.map(({ key, value, ttlMs }) => target.put(key, value, ttlMs === undefined ? {} : { ttlMs })),
      );
    });
    copied += entries.length;
    onPage(page.cursor, copied);
  }
  return copied;
}

async function copyVectors(
  { from, to, space, cursor, onPage }: Move,
  { dimension = 0 }: SpaceInfo,
): Promise<number> {
  let copied = 0;
  const scan = (behind: { cursor?: string }): ReturnType<typeof from.scanVectors<VectorData>> =>
    from.scanVectors<VectorData>({ space, ...behind });
  for await (const page of pagesOf<VectorEntry<VectorData>>(
    scan,
    cursor,
    ({ vector }) => vector.byteLength,
  )) {
    const [first] = page.items;
    if (first === undefined) continue;
    const perRow = first.vector.length;
    const isBits = first.vector instanceof Uint8Array;
    const packed = isBits
      ? new Uint8Array(page.items.length * perRow)
      : new Float32Array(page.items.length * dimension);
    for (const [i, { vector }] of page.items.entries()) packed.set(vector, i * perRow);
    const ids = page.items.map(({ id }) => id);
    const hasMetadata = page.items.some(({ metadata }) => metadata !== undefined);
    const metadata = page.items.map((item) => item.metadata);
    await to.insertVectors(ids, packed, hasMetadata ? { space, metadata } : { space });
    copied += page.items.length;
    onPage(page.cursor, copied);
  }
  return copied;
}

interface Page<Item> {
  readonly items: Item[];
  readonly cursor: string | undefined;
}

/** Pages of a scan; one that is lost goes on where it stood. */
async function* pagesOf<Item>(
  open: (behind: { cursor?: string }) => AsyncIterable<Item> & { readonly cursor: string | undefined },
  from: string | undefined,
  bytesOf: (item: Item) => number,
): AsyncGenerator<Page<Item>, void> {
  let cursor = from;
  for (;;) {
    let items: Item[] = [];
    let bytes = 0;
    try {
      const scan = open(cursor === undefined ? {} : { cursor });
      for await (const item of scan) {
        items.push(item);
        bytes += bytesOf(item);
        cursor = scan.cursor;
        if (items.length < pageItems && bytes < pageBytes) continue;
        yield { items, cursor };
        items = [];
        bytes = 0;
      }
      if (items.length > 0) yield { items, cursor };
      return;
    } catch (error) {
      if (!isShibuDbError(error) || error.code !== 'SNAPSHOT_LOST') throw error;
      if (items.length > 0) yield { items, cursor };
    }
  }
}

function bytesOfEntry({ key, value }: Entry): number {
  return key.length + value.length;
}

export function isUnsupported(error: unknown): boolean {
  return isShibuDbError(error) && error.code === 'UNSUPPORTED';
}

function unsupportedAs<Value>(value: Value): (error: unknown) => Value {
  return (error) => {
    if (isUnsupported(error)) return value;
    throw error;
  };
}
