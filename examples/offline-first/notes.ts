/**
 * Notes in the browser, and their exchange with others through a bridge.
 *
 *   notes     key-value  id -> { text, atMs } as JSON; the same space at the bridge
 *   outbox    key-value  id -> atMs of what the bridge does not have yet
 *   meanings  vector     id -> the text's embedding, for search
 *
 * No transaction spans spaces: the outbox is written first, so a note that was stored is always sent. A note that is sent
 * twice changes nothing, because the later of two versions stays.
 */

import { type Database, open } from 'shibumi';
import { createLexicalEmbedder } from '../../demo/embed/lexical.ts';

export interface Note {
  readonly text: string;
  readonly atMs: number;
}

const embedder = createLexicalEmbedder();

export class Notes {
  readonly #db: Database;

  private constructor(db: Database) {
    this.#db = db;
  }

  static async open(): Promise<Notes> {
    const db = await open('notes');
    const there = new Set((await db.listSpaces()).map(({ name }) => name));
    for (const name of ['notes', 'outbox']) if (!there.has(name)) await db.createSpace(name, 'key-value');
    const { dimension } = embedder;
    if (!there.has('meanings'))
      await db.createSpace('meanings', 'vector', { dimension, metric: 'Cosine', ids: 'string' });
    return new Notes(db);
  }

  async write(id: string, text: string): Promise<void> {
    const note = { text, atMs: Date.now() };
    await this.#db.put(id, String(note.atMs), { space: 'outbox' });
    await this.#store(id, note);
  }

  async #store(id: string, note: Note): Promise<void> {
    await this.#db.insertVector(id, await embedder.embed([note.text]), { space: 'meanings' });
    await this.#db.put(id, JSON.stringify(note), { space: 'notes' });
  }

  /** The nearest in meaning; all there are for an empty question. */
  async search(question: string): Promise<Note[]> {
    if (question.trim() === '') return (await this.#all(this.#db)).map(([, note]) => note);
    const hits = await this.#db.searchTopK(await embedder.embed([question]), 5, { space: 'meanings' });
    const ids = hits.filter(({ distance }) => distance < embedder.chanceDistance).map(({ id }) => String(id));
    const found = await this.#db.getMany(ids, { space: 'notes' });
    return found.flatMap((value) => (value === undefined ? [] : [parse(value)]));
  }

  /** How many notes the bridge does not have yet. */
  unsent(): Promise<number> {
    return this.#db.size({ space: 'outbox' });
  }

  /** Sends what is new here and takes what is new there. */
  async sync(remote: Database): Promise<void> {
    for await (const { key: id, value: sentAtMs } of this.#db.scan({ space: 'outbox' })) {
      const note = await this.#get(this.#db, id);
      const theirs = await this.#get(remote, id);
      if (note !== undefined && (theirs?.atMs ?? 0) < note.atMs)
        await remote.put(id, JSON.stringify(note), { space: 'notes' });
      // Written again meanwhile, it stays in the outbox.
      if ((await this.#db.get(id, { space: 'outbox' })) === sentAtMs)
        await this.#db.delete(id, { space: 'outbox' });
    }
    for (const [id, theirs] of await this.#all(remote)) {
      const ours = await this.#get(this.#db, id);
      if ((ours?.atMs ?? 0) < theirs.atMs) await this.#store(id, theirs);
    }
  }

  async #get(db: Database, id: string): Promise<Note | undefined> {
    const value = await db.get(id, { space: 'notes' });
    return value === undefined ? undefined : parse(value);
  }

  async #all(db: Database): Promise<[string, Note][]> {
    const notes: [string, Note][] = [];
    for await (const { key, value } of db.scan({ space: 'notes' })) notes.push([key, parse(value)]);
    return notes;
  }
}

function parse(value: string | Uint8Array): Note {
  return JSON.parse(String(value)) as Note;
}
