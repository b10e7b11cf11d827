/** The backend suite over plain memory and over files. */

import { testBackend } from './backend-suite.ts';
import { checksum, filesPlace, memoryPlace } from './places.ts';

testBackend('memory', checksum, memoryPlace);
testBackend('files', checksum, filesPlace);
