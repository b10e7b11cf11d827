/** `.fvecs` of the TEXMEX corpora (http://corpus-texmex.irisa.fr): each row an int32 dimension, then so many float32. */

import { invalid } from '../../base/arguments.ts';
import { ByteReader, bytesOfFloats, floatsOf } from './byte-reader.ts';
import type { Format, Source, VectorRow } from './format.ts';

/** More than any space takes; anything larger is another kind of file. */
const dimensionMax = 65_536;

export const fvecs: Format = {
  name: 'fvecs',
  extensions: ['.fvecs'],
  unit: 'row',
  hasIds: false,
  holdsKeys: false,
  async *read(bytes) {
    const reader = new ByteReader(bytes);
    for (let at = 1; ; at++) {
      const from = reader.offset;
      const head = Buffer.from(await reader.take(4));
      if (head.length === 0) return;
      const place = `row ${at} (byte ${from})`;
      if (head.length < 4)
        throw invalid(`${place}: Got ${head.length} bytes and the end of the file, expected 4`);
      const dimension = head.readInt32LE(0);
      if (dimension < 1 || dimension > dimensionMax) {
        throw invalid(`${place}: Got the dimension ${dimension}, expected 1 to ${dimensionMax}`);
      }
      const row = await reader.take(dimension * 4);
      if (row.length < dimension * 4) {
        throw invalid(`${place}: Got ${row.length} bytes and the end of the file, expected ${dimension * 4}`);
      }
      yield { at, id: undefined, vector: floatsOf(row, 4) } satisfies VectorRow;
    }
  },
  async *write({ description: { dimension = 0 }, vectors }: Source) {
    const head = Buffer.alloc(4);
    head.writeInt32LE(dimension);
    for await (const { vector } of vectors()) yield Buffer.concat([head, bytesOfFloats(vector)]);
  },
};
