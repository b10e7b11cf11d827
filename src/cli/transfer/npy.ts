/**
 * NumPy's `.npy`, versions 1 to 3: one two-dimensional array, a row a vector; float32 and float64 are read, float32 is
 * written. https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html
 */

import { invalid, shown } from '../../base/arguments.ts';
import { ByteReader, bytesOfFloats, floatsOf } from './byte-reader.ts';
import type { Format, Source, VectorRow } from './format.ts';

const magic = '\x93NUMPY';
/** numpy.save pads the header so that the data is aligned to so many bytes. */
const alignment = 64;
const headerBytesMax = 65_535;

export const npy: Format = {
  name: 'npy',
  extensions: ['.npy'],
  unit: 'row',
  hasIds: false,
  holdsKeys: false,
  async *read(bytes) {
    const reader = new ByteReader(bytes);
    const { itemBytes, rows, dimension } = await readHeader(reader);
    const rowBytes = dimension * itemBytes;
    for (let at = 1; at <= rows; at++) {
      const from = reader.offset;
      const row = await reader.take(rowBytes);
      if (row.length < rowBytes) {
        throw invalid(
          `row ${at} (byte ${from}): Got ${row.length} bytes and the end of the file, expected ${rowBytes}; the header says ${rows} rows`,
        );
      }
      yield { at, id: undefined, vector: floatsOf(row, itemBytes) } satisfies VectorRow;
    }
    const end = reader.offset;
    if ((await reader.take(1)).length > 0) {
      throw invalid(`byte ${end}: Got more data, expected the end of the file behind ${rows} rows`);
    }
  },
  async *write({ description: { dimension = 0, count }, vectors }: Source) {
    yield header(count, dimension);
    for await (const { vector } of vectors()) yield bytesOfFloats(vector);
  },
};

interface Header {
  readonly itemBytes: 4 | 8;
  readonly rows: number;
  readonly dimension: number;
}

async function readHeader(reader: ByteReader): Promise<Header> {
  const start = Buffer.from(await reader.take(8));
  if (start.length < 8 || start.toString('latin1', 0, 6) !== magic) {
    throw invalid('byte 0: Got something else, expected the magic \\x93NUMPY of a .npy file');
  }
  const version = start[6] as number;
  if (version < 1 || version > 3) throw invalid(`byte 6: Got .npy version ${version}, expected 1, 2 or 3`);
  const lengthBytes = version === 1 ? 2 : 4;
  const length = Buffer.from(await reader.take(lengthBytes));
  const headerBytes = length.length === lengthBytes ? length.readUIntLE(0, lengthBytes) : 0;
  const text = Buffer.from(await reader.take(Math.min(headerBytes, headerBytesMax))).toString('latin1');
  if (text.length === 0 || text.length < headerBytes) {
    throw invalid(
      `byte 8: Got a header of ${text.length} bytes, expected ${headerBytes} (at most ${headerBytesMax})`,
    );
  }
  return parseHeader(text);
}

/** The header is a Python literal: `{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }`. */
function parseHeader(text: string): Header {
  const descr = /'descr'\s*:\s*'([^']*)'/.exec(text)?.[1];
  const order = /'fortran_order'\s*:\s*(True|False)/.exec(text)?.[1];
  const shape = /'shape'\s*:\s*\(([^)]*)\)/.exec(text)?.[1];
  if (descr !== '<f4' && descr !== '<f8') {
    throw invalid(`Got ${shown(descr)} for the array's type, expected '<f4' (float32) or '<f8' (float64)`);
  }
  if (order !== 'False')
    throw invalid(`Got fortran_order ${order}, expected False (numpy.ascontiguousarray)`);
  const [, rows, dimension] = /^\s*(\d+)\s*,\s*(\d+)\s*,?\s*$/.exec(shape ?? '') ?? [];
  if (rows === undefined || dimension === undefined) {
    throw invalid(`Got the shape (${shape}), expected two dimensions: rows and components`);
  }
  return { itemBytes: descr === '<f4' ? 4 : 8, rows: Number(rows), dimension: Number(dimension) };
}

function header(rows: number, dimension: number): Uint8Array {
  const literal = `{'descr': '<f4', 'fortran_order': False, 'shape': (${rows}, ${dimension}), }`;
  const before = magic.length + 4;
  const total = Math.ceil((before + literal.length + 1) / alignment) * alignment;
  const text = `${literal.padEnd(total - before - 1)}\n`;
  const bytes = Buffer.from(`${magic}\x01\x00\x00\x00${text}`, 'latin1');
  bytes.writeUInt16LE(text.length, 8);
  return bytes;
}
