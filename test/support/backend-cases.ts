/**
 * What every storage backend does, as one suite over the interface: for Node and for pages alike. A backend is given as a *place*,
 * something that can be opened again and again and keeps what was written to it.
 */

import { encodeLogRecord } from '../../src/engine/log-record.ts';
import { encodePut } from '../../src/space/operation.ts';
import type { BlockName, LogEntry, StorageBackend, StoredBlock } from '../../src/storage/backend.ts';
import { type CatalogEntry, encodeCatalog } from '../../src/storage/catalog.ts';
import type { Checksum } from '../../src/storage/envelope.ts';
import { encodeManifest } from '../../src/storage/manifest.ts';
import { rejects, same } from './check.ts';

export interface Place {
  open(): Promise<StorageBackend>;
  /** Waits until a backend that was closed has let the place go. */
  settled(backend: StorageBackend): Promise<void>;
  remove(): Promise<void>;
  /** What a new one has as its catalog, where opening it already stores one. */
  readonly firstCatalog?: Uint8Array;
}

type Body = (
  backend: StorageBackend,
  reopen: (backend: StorageBackend) => Promise<StorageBackend>,
  place: Place,
) => Promise<void>;

export interface BackendCase {
  readonly name: string;
  /** In a place of its own, which is removed afterwards. */
  run(place: Place): Promise<void>;
}

export function catalogOf(ids: readonly number[], checksum: Checksum): Uint8Array {
  const spaces = ids.map((id): CatalogEntry => {
    return { id, name: `space ${id}`, engine: 'key-value', durability: 'strict' };
  });
  return encodeCatalog({ nextId: Math.max(0, ...ids) + 1, spaces }, checksum);
}

export function recordOf(space: number, sequence: number, checksum: Checksum, valueBytes = 20): LogEntry {
  const value = new Uint8Array(valueBytes).fill(sequence % 251);
  const operation = encodePut(`key ${sequence}`, value, 1);
  return { space, sequence, bytes: encodeLogRecord(space, sequence, [operation], checksum) };
}

export function blockOf(block: number, generation: number, bytes = 1000): StoredBlock {
  return { block, generation, bytes: new Uint8Array(bytes).fill((block * 31 + generation) % 255) };
}

export function manifestOf(generation: number, checksum: Checksum): Uint8Array {
  return encodeManifest({ epoch: 1, generation, logFrom: 0, blocks: new Map() }, checksum);
}

const sequences = (entries: readonly LogEntry[]): number[] => entries.map(({ sequence }) => sequence);

/** The checksum is what things stored are sealed with; a backend that looks at it is given the right one. */
export function backendCases(checksum: Checksum): readonly BackendCase[] {
  const cases: BackendCase[] = [];
  const scenario = (name: string, body: Body): void => {
    cases.push({ name, run: (place) => runInPlace(place, body) });
  };

  scenario('a new place holds nothing', async (backend, _, { firstCatalog }) => {
    const { catalog, manifests } = await backend.readState();
    same(catalog, firstCatalog);
    same(manifests.size, 0);
    same(await backend.readLog(1, 0), []);
    same(await backend.listBlocks(1), []);
    same(await backend.readBlocks(1, [{ block: 0, generation: 1 }]), [undefined]);
  });

  scenario(
    'catalog and manifests are replaced as a whole and outlive a reopening',
    async (backend, reopen) => {
      await backend.writeCatalog(catalogOf([1], checksum), []);
      await backend.writeCatalog(catalogOf([1, 2], checksum), []);
      await backend.publish(1, manifestOf(1, checksum));
      await backend.publish(2, manifestOf(7, checksum));
      await backend.publish(1, manifestOf(2, checksum));
      const { catalog, manifests } = await (await reopen(backend)).readState();
      same(catalog, catalogOf([1, 2], checksum));
      same([...manifests.keys()].sort(), [1, 2]);
      same(manifests.get(1), manifestOf(2, checksum));
      same(manifests.get(2), manifestOf(7, checksum));
    },
  );

  scenario(
    'log records come back in order, from where they are asked for, by space',
    async (backend, reopen) => {
      await backend.writeCatalog(catalogOf([1, 2], checksum), []);
      await backend.append(
        [recordOf(1, 0, checksum), recordOf(2, 5, checksum), recordOf(1, 1, checksum)],
        true,
      );
      await backend.append([recordOf(1, 2, checksum)], false);
      await backend.append([recordOf(2, 6, checksum, 300_000)], false);
      await backend.flush();
      same(sequences(await backend.readLog(1, 0)), [0, 1, 2]);
      const current = await reopen(backend);
      await current.append([recordOf(1, 3, checksum)], true);
      same(sequences(await current.readLog(1, 0)), [0, 1, 2, 3]);
      same(sequences(await current.readLog(1, 2)), [2, 3]);
      same(sequences(await current.readLog(1, 9)), []);
      const expected = [recordOf(2, 5, checksum), recordOf(2, 6, checksum, 300_000)];
      same(await current.readLog(2, 5), expected);
    },
  );

  scenario(
    'where a log can be cut, what is behind the cut is gone and writing goes on there',
    async (backend, reopen) => {
      if (backend.cutLog === undefined) return;
      await backend.writeCatalog(catalogOf([1, 2], checksum), []);
      for (const sequence of [0, 1, 3])
        await backend.append([recordOf(1, sequence, checksum), recordOf(2, sequence, checksum)], false);
      await backend.cutLog(1, 1);
      await backend.append([recordOf(1, 1, checksum)], true);
      const current = await reopen(backend);
      same(sequences(await current.readLog(1, 0)), [0, 1]);
      same(sequences(await current.readLog(2, 0)), [0, 1, 3]);
    },
  );

  scenario('records after a reopening follow those before it', async (backend, reopen) => {
    await backend.writeCatalog(catalogOf([1], checksum), []);
    let current = backend;
    for (let sequence = 0; sequence < 6; sequence++) {
      await current.append([recordOf(1, sequence, checksum)], sequence % 2 === 0);
      current = await reopen(current);
      same((await current.readLog(1, 0)).length, sequence + 1);
    }
  });

  scenario('blocks come back in the order asked for, absent ones as undefined', async (backend, reopen) => {
    await backend.writeCatalog(catalogOf([1], checksum), []);
    const blocks = [blockOf(0, 1), blockOf(5, 1, 262_144), blockOf((9 << 24) | 3, 1, 0), blockOf(7, 1, 16)];
    await backend.writeBlocks(1, blocks.slice(0, 2));
    await backend.writeBlocks(1, blocks.slice(2));
    await backend.publish(1, manifestOf(1, checksum));
    const current = await reopen(backend);
    const asked = [...blocks].reverse();
    const found = await current.readBlocks(1, [...asked, { block: 5, generation: 2 }]);
    same(found.pop(), undefined);
    same(
      found,
      asked.map(({ bytes }) => bytes),
    );
    const names = (list: readonly BlockName[]): string[] => {
      return list.map(({ block, generation }) => `${block}/${generation}`).sort();
    };
    same(names(await current.listBlocks(1)), names(blocks));
  });

  scenario(
    'a checkpoint: new blocks, manifest, then old blocks and the log before it go',
    async (backend, reopen) => {
      await backend.writeCatalog(catalogOf([1], checksum), []);
      let current = backend;
      let sequence = 0;
      for (let generation = 1; generation <= 8; generation++) {
        for (let i = 0; i < 5; i++) await current.append([recordOf(1, sequence++, checksum)], i === 0);
        const from = sequence;
        const changed = [0, generation, generation + 1];
        await current.writeBlocks(
          1,
          changed.map((block) => blockOf(block, generation)),
        );
        // Written while the checkpoint is under way.
        await current.append([recordOf(1, sequence++, checksum)], true);
        await current.publish(1, manifestOf(generation, checksum));
        const former = [0, generation].map((block) => ({ block, generation: generation - 1 }));
        await current.drop(1, generation === 1 ? [] : former, from);
        if (generation % 3 === 0) current = await reopen(current);
        same(sequences(await current.readLog(1, from)), [from]);
        const live = (await current.listBlocks(1)).filter((name) => name.generation === generation);
        same(
          live.map(({ block }) => block).sort((a, b) => a - b),
          changed,
        );
        for (const name of await current.listBlocks(1)) {
          const [bytes] = await current.readBlocks(1, [name]);
          same(bytes, blockOf(name.block, name.generation).bytes, `${name.block}/${name.generation}`);
        }
      }
    },
  );

  scenario('a checkpoint that is tried again writes the same names', async (backend, reopen) => {
    await backend.writeCatalog(catalogOf([1], checksum), []);
    await backend.writeBlocks(1, [blockOf(0, 1, 500), blockOf(1, 1, 500)]);
    await backend.writeBlocks(1, [blockOf(0, 1, 900), blockOf(1, 1, 100)]);
    await backend.publish(1, manifestOf(1, checksum));
    const found = await (await reopen(backend)).readBlocks(1, [blockOf(0, 1), blockOf(1, 1)]);
    same(found, [blockOf(0, 1, 900).bytes, blockOf(1, 1, 100).bytes]);
  });

  scenario('what was written is no longer tied to the buffer it came in', async (backend) => {
    await backend.writeCatalog(catalogOf([1], checksum), []);
    const record = recordOf(1, 0, checksum);
    const block = blockOf(0, 1);
    await backend.append([record], false);
    await backend.writeBlocks(1, [block]);
    record.bytes.fill(0);
    block.bytes.fill(0);
    same((await backend.readLog(1, 0))[0]?.bytes, recordOf(1, 0, checksum).bytes);
    same((await backend.readBlocks(1, [block]))[0], blockOf(0, 1).bytes);
  });

  scenario('a removed space is gone, the others stay', async (backend, reopen) => {
    await backend.writeCatalog(catalogOf([1, 2], checksum), []);
    for (const space of [1, 2]) {
      await backend.append([recordOf(space, 0, checksum)], true);
      await backend.writeBlocks(space, [blockOf(0, 1)]);
      await backend.publish(space, manifestOf(1, checksum));
    }
    await backend.writeCatalog(catalogOf([2], checksum), [1]);
    const current = await reopen(backend);
    same([...(await current.readState()).manifests.keys()], [2]);
    same(await current.readLog(1, 0), []);
    same(await current.listBlocks(1), []);
    same(sequences(await current.readLog(2, 0)), [0]);
    same((await current.listBlocks(2)).length, 1);
  });

  scenario('calls made at once settle in an order that makes sense', async (backend) => {
    await backend.writeCatalog(catalogOf([1, 2], checksum), []);
    await Promise.all([
      ...Array.from({ length: 20 }, (_, i) => backend.append([recordOf(1, i, checksum)], i % 7 === 0)),
      backend.flush(),
      backend.writeBlocks(2, [blockOf(0, 1)]).then(() => backend.publish(2, manifestOf(1, checksum))),
      backend.drop(2, [], 0),
    ]);
    same(
      sequences(await backend.readLog(1, 0)),
      Array.from({ length: 20 }, (_, i) => i),
    );
    same((await backend.readState()).manifests.get(2), manifestOf(1, checksum));
  });

  scenario('a closed backend refuses everything', async (backend) => {
    backend.close();
    backend.close();
    const calls = [
      () => backend.readState(),
      () => backend.readBlocks(1, []),
      () => backend.readLog(1, 0),
      () => backend.listBlocks(1),
      () => backend.append([recordOf(1, 0, checksum)], true),
      () => backend.flush(),
      () => backend.writeBlocks(1, [blockOf(0, 1)]),
      () => backend.publish(1, manifestOf(1, checksum)),
      () => backend.writeCatalog(catalogOf([1], checksum), []),
    ];
    for (const call of calls) await rejects(call, 'CLOSED');
  });
  return cases;
}

async function runInPlace(place: Place, body: Body): Promise<void> {
  let current = await place.open();
  const close = async (backend: StorageBackend): Promise<void> => {
    backend.close();
    await place.settled(backend);
  };
  try {
    const reopen = async (backend: StorageBackend): Promise<StorageBackend> => {
      await close(backend);
      current = await place.open();
      await current.readState();
      return current;
    };
    await body(current, reopen, place);
  } finally {
    await close(current);
    await place.remove();
  }
}
