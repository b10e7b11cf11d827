export { segmentOfMeasure } from '../../space/index-types.ts';
export { VectorSpace } from '../../space/vector-space.ts';
export { prepareInsert } from '../bulk-insert.ts';
export { Indexer } from '../indexer.ts';
export { parseVectorOptions } from '../new-vector-space.ts';
export { VectorCalls } from '../vector-calls.ts';
