/**
 * CSV (RFC 4180) with a header: `key,value`, or `id` and one column a component. Text only: values of bytes and the
 * deadlines of keys have no place in it.
 */

import { invalid, shown } from '../../base/arguments.ts';
import { componentText, parseComponent } from '../vector-text.ts';
import { type Format, placed, type Row, type Source } from './format.ts';

/** A quote that is not closed would otherwise take in the rest of the file. */
const recordCharactersMax = 128 * 1024 * 1024;

export const csv: Format = {
  name: 'csv',
  extensions: ['.csv'],
  unit: 'line',
  hasIds: true,
  holdsKeys: true,
  async *read(bytes) {
    let header: string[] | undefined;
    for await (const { fields, line } of recordsOf(bytes)) {
      if (header === undefined) header = placed('line', line, () => checkedHeader(fields));
      else yield placed('line', line, () => rowOf(header as string[], fields, line));
    }
  },
  async *write({ description, entries, vectors }: Source) {
    if (description.engine === 'key-value') {
      yield 'key,value\n';
      for await (const { key, value } of entries()) {
        if (typeof value !== 'string') {
          throw invalid(`The value under ${shown(key)} is bytes, which CSV cannot hold: export to .jsonl`);
        }
        yield `${quoted(key)},${quoted(value)}\n`;
      }
      return;
    }
    yield `id,${Array.from({ length: description.dimension ?? 0 }, (_, i) => i).join(',')}\n`;
    for await (const { id, vector } of vectors()) {
      yield `${quoted(String(id))},${Array.from(vector, componentText).join(',')}\n`;
    }
  },
};

function quoted(text: string): string {
  return /[",\r\n]|^\s|\s$/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

function checkedHeader(header: string[]): string[] {
  const isKeys = header.length === 2 && header[0] === 'key' && header[1] === 'value';
  if (isKeys || (header.length > 1 && header[0] === 'id')) return header;
  const found = shown(header.slice(0, 3).join(','));
  throw invalid(`Got ${found} for the header, expected "key,value" or "id" and one column a component`);
}

function rowOf(header: readonly string[], fields: readonly string[], at: number): Row {
  if (fields.length !== header.length) {
    throw invalid(`Got ${fields.length} fields, expected ${header.length} as in the header`);
  }
  const [first = '', ...rest] = fields;
  if (header[0] === 'key') return { at, key: first, value: rest[0] ?? '' };
  return { at, id: first, vector: Float32Array.from(rest, parseComponent) };
}

interface CsvRecord {
  readonly fields: string[];
  /** The line it begins in, from 1. */
  readonly line: number;
}

async function* recordsOf(bytes: AsyncIterable<Uint8Array>): AsyncGenerator<CsvRecord, void, undefined> {
  const parser = new RecordParser();
  const decoder = new TextDecoder('utf-8', { fatal: true });
  const decode = (chunk?: Uint8Array): string => {
    try {
      return chunk === undefined ? decoder.decode() : decoder.decode(chunk, { stream: true });
    } catch {
      throw invalid(`The file is not UTF-8, at line ${parser.line} or soon behind it`);
    }
  };
  for await (const chunk of bytes) yield* parser.take(decode(chunk));
  yield* parser.take(decode());
  yield* parser.finish();
}

/** Character by character, with its state kept between chunks. */
class RecordParser {
  line = 1;
  #recordLine = 1;
  #fields: string[] = [];
  #field = '';
  #characters = 0;
  /** `closed`: behind a quote inside a quoted field, which either ends it or is the first of two. */
  #state: 'start' | 'plain' | 'quoted' | 'closed' = 'start';
  #afterReturn = false;

  *take(text: string): Generator<CsvRecord, void, undefined> {
    let from = 0;
    for (let at = 0; at < text.length; at++) {
      const character = text.charAt(at);
      if (character === '\n') this.line++;
      if (this.#state === 'quoted') {
        if (character !== '"') continue;
        this.#field += text.slice(from, at);
        this.#state = 'closed';
        continue;
      }
      if (this.#afterReturn) {
        this.#afterReturn = false;
        if (character === '\n') {
          this.#recordLine = this.line;
          from = at + 1;
          continue;
        }
      }
      if (character === '"') {
        if (this.#state === 'plain') {
          throw invalid(
            `line ${this.line}: Got a quote inside a field, expected the field in quotes, this one doubled`,
          );
        }
        // The second of two stands for itself.
        if (this.#state === 'closed') this.#field += '"';
        this.#state = 'quoted';
        from = at + 1;
      } else if (character === ',' || character === '\n' || character === '\r') {
        if (this.#state === 'plain') this.#field += text.slice(from, at);
        from = at + 1;
        if (character === ',') {
          this.#endField();
        } else {
          this.#afterReturn = character === '\r';
          yield* this.#endRecord();
        }
      } else if (this.#state === 'closed') {
        throw invalid(
          `line ${this.line}: Got ${shown(character)} behind a closing quote, expected a comma or the line's end`,
        );
      } else if (this.#state === 'start') {
        this.#state = 'plain';
        from = at;
      }
    }
    if (this.#state === 'plain' || this.#state === 'quoted') this.#field += text.slice(from);
    this.#characters += text.length;
    if (this.#characters > recordCharactersMax) {
      throw invalid(
        `line ${this.#recordLine}: Got a record of more than ${recordCharactersMax} characters; is a quote not closed?`,
      );
    }
  }

  *finish(): Generator<CsvRecord, void, undefined> {
    if (this.#state === 'quoted') {
      throw invalid(`line ${this.#recordLine}: Got the end of the file inside quotes, expected them closed`);
    }
    if (this.#fields.length > 0 || this.#state !== 'start') yield* this.#endRecord();
  }

  #endField(): void {
    this.#fields.push(this.#field);
    this.#field = '';
    this.#state = 'start';
  }

  /** An empty line is no record. */
  *#endRecord(): Generator<CsvRecord, void, undefined> {
    const isEmpty = this.#fields.length === 0 && this.#state === 'start';
    this.#endField();
    const record = { fields: this.#fields, line: this.#recordLine };
    this.#fields = [];
    this.#characters = 0;
    this.#recordLine = this.line;
    if (!isEmpty) yield record;
  }
}
