/** The backend suite over files, in whatever runtime runs this file. Prints a line a case, and `fine` at the end. */

import { backendCases } from '../support/backend-cases.ts';
import { checksum, filesPlace } from './places.ts';

let count = 0;
for (const { name, run } of backendCases(checksum)) {
  try {
    await run(await filesPlace());
  } catch (error) {
    console.log(`failed ${name}`);
    throw error;
  }
  count++;
}
console.log(`fine ${count}`);
