export { MemoryBackend } from '../../storage/memory-backend.ts';
export { openStaticSession } from '../open-static.ts';
