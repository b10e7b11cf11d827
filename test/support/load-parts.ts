/** All parts of the engine's script, for tests in a time of their own, in which no file can be waited for. */

import { Part } from '../../src/base/part.ts';
import * as parts from '../../src/engine/parts.ts';

export async function loadParts(): Promise<void> {
  for (const part of Object.values(parts)) if (part instanceof Part) await part.load();
}
