/** The formats there are, and which one a file has. */

import path from 'node:path';
import { invalid } from '../../base/arguments.ts';
import { csv } from './csv.ts';
import type { Format } from './format.ts';
import { fvecs } from './fvecs.ts';
import { jsonLines } from './json-lines.ts';
import { npy } from './npy.ts';

const formats: readonly Format[] = [jsonLines, csv, npy, fvecs];

/** By `--format`, else by the file's extension. @throws INVALID_ARGUMENT */
export function formatOf(file: string, named: string | undefined): Format {
  const extension = path.extname(file).toLowerCase();
  const found = formats.find(({ name, extensions }) =>
    named ? name === named : extensions.includes(extension),
  );
  if (found !== undefined) return found;
  const known = formats.map(({ name }) => name).join(', ');
  if (named !== undefined) throw invalid(`Got --format ${named}, expected one of ${known}`);
  throw invalid(`Got ${file}, which does not tell its format; say --format with one of ${known}`);
}
