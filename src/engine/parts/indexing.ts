export { decideIndex, isWorthDeciding } from '../../space/auto-index.ts';
export { copyOf } from '../copy-image.ts';
export { HelperWork } from '../helper-work.ts';
export { changeIndex, withIndex } from '../reindex.ts';
export { searchByThreads } from '../threaded-batches.ts';
export { ThreadedLinks } from '../threaded-links.ts';
