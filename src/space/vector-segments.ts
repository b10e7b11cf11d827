/** Segments of a vector space, as wasm/vector/format.h numbers them: those that are copied from one instance to another. */

export const VectorSegment = {
  Meta: 0,
  Vectors: 1,
  Slots: 2,
  GraphMeta: 8,
  GraphNodes: 9,
  GraphBase: 10,
  GraphUpper: 11,
  Codes: 13,
} as const;
