/** What a vector space is made as, in the core's layout: VectorConfig of wasm/vector/vector_store.h. */

export interface VectorConfig {
  readonly dimension: number;
  /** Codes as in wasm/vector/format.h. */
  readonly metric: number;
  /** p of Lp, 0 for other metrics. */
  readonly power: number;
  readonly idKind: number;
  readonly index: number;
  readonly m: number;
  readonly efConstruction: number;
  readonly codes: number;
  readonly listCount: number;
  readonly subspaces: number;
  readonly seed: number;
}

export const vectorConfigBytes = 48;

export function writeVectorConfig(view: DataView, at: number, config: VectorConfig): void {
  view.setUint32(at, config.dimension, true);
  view.setUint32(at + 4, config.metric, true);
  view.setFloat32(at + 8, config.power, true);
  view.setUint32(at + 12, config.idKind, true);
  view.setUint32(at + 16, config.index, true);
  view.setUint32(at + 20, config.m, true);
  view.setUint32(at + 24, config.efConstruction, true);
  view.setUint32(at + 28, config.codes, true);
  view.setUint32(at + 32, config.listCount, true);
  view.setUint32(at + 36, config.subspaces, true);
  view.setBigUint64(at + 40, BigInt(config.seed), true);
}
