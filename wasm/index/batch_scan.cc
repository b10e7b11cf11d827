#include "batch_scan.h"

#include "../kernels/products.h"

namespace shibumi {

namespace {

/// Rows of a tile: at 384 dimensions 24 KiB, so that it and two queries stay in a first-level cache.
constexpr u32 kTileRows = 16;

struct Tile {
  u32 slots[kTileRows];
  const f32* rows[kTileRows];
  f32 squares[kTileRows];  // |x|^2; of cosine 1
  u32 count = 0;
};

/// What the products need to know of a query.
struct Batch {
  const Rows& rows;
  const Probe* queries;
  TopK* best;
  u32 count;
  bool filtered;
  f32 squares[kBatchMost];
  /// How far a product of the kernels may be off, as a part of (|q|^2 + |x|^2) / 2 at least |q| |x|: each sum adds up about
  /// a fourth of the terms, with half a unit in the last place lost at each (Higham, "Accuracy and Stability of Numerical
  /// Algorithms", 2002, section 3.1). Doubled, and again for the squares.
  f32 slack;
};

bool by_products(Metric metric) { return metric == kL2sq || metric == kIp || metric == kCosine; }

/// As the scan for one query measures, which with a filter takes four rows at a time.
f32 measured(const Batch& batch, u32 query, const f32* row) {
  if (!batch.filtered) return batch.rows.distance(batch.queries[query], row);
  const f32* four[4] = {row, row, row, row};
  f32 distances[4];
  batch.rows.distance_x4(batch.queries[query], four, distances);
  return distances[0];
}

/// A distance that the exact one is not below. NaN and infinity turn nothing away.
f32 least_distance(const Batch& batch, u32 query, const Tile& tile, u32 row, f32 product) {
  const f32 squares = batch.squares[query] + tile.squares[row];
  const f32 error = batch.slack * squares;
  if (batch.rows.metric == kL2sq) return squares - 2 * product - error;
  if (batch.rows.metric == kIp) return -product - error;
  // The query has unit length, and so has the row with its inverse norm.
  return cosine_of(product, batch.queries[query].inverse_norm, tile.rows[row][batch.rows.dimension]) - error;
}

void offer_tile(const Batch& batch, Tile& tile) {
  const u32 dimension = batch.rows.dimension;
  for (u32 r = 0; r < tile.count; r++) {
    const f32* row = tile.rows[r];
    tile.squares[r] = batch.rows.metric == kCosine ? 1.0f : dot_simd128(row, row, dimension);
  }
  for (u32 q = 0; q < batch.count; q += 2) {
    const u32 pair[2] = {q, min_of(q + 1, batch.count - 1)};
    for (u32 r = 0; r < tile.count; r += 4) {
      const f32* some[4];
      for (u32 i = 0; i < 4; i++) some[i] = tile.rows[min_of(r + i, tile.count - 1)];
      f32 products[8];
      products_2x4_simd128(batch.queries[pair[0]].values, batch.queries[pair[1]].values, some, dimension, products);
      for (u32 i = 0; i < min_of(4u, tile.count - r); i++) {
        for (u32 j = 0; j < min_of(2u, batch.count - q); j++) {
          const u32 query = pair[j];
          if (least_distance(batch, query, tile, r + i, products[j * 4 + i]) > batch.best[query].bound()) continue;
          batch.best[query].offer(tile.slots[r + i], measured(batch, query, tile.rows[r + i]));
        }
      }
    }
  }
  tile.count = 0;
}

/// Of metrics without a product: the tile is read once, that is all.
void measure_tile(const Batch& batch, Tile& tile) {
  for (u32 q = 0; q < batch.count; q++) {
    for (u32 r = 0; r < tile.count; r++) batch.best[q].offer(tile.slots[r], measured(batch, q, tile.rows[r]));
  }
  tile.count = 0;
}

}  // namespace

void batch_scan(const Rows& rows, const Slots& slots, const Probe* queries, u32 count, u32 slot_count,
                const Allowed& allowed, TopK* best) {
  Batch batch{rows, queries, best, count, !allowed.all(), {}, (static_cast<f32>(rows.dimension) / 4 + 16) * 2.4e-7f};
  const bool products = by_products(rows.metric);
  for (u32 q = 0; q < count && products; q++) {
    batch.squares[q] = rows.metric == kCosine ? 1.0f : dot_simd128(queries[q].values, queries[q].values, rows.dimension);
  }
  Tile tile;
  const u8* marks = slots.marks();
  for (u32 slot = 0; slot < slot_count; slot++) {
    if ((marks[slot] & kLiveMark) == 0 || !allowed(slot)) continue;
    tile.slots[tile.count] = slot;
    tile.rows[tile.count++] = rows.row(slot);
    if (tile.count < kTileRows) continue;
    products ? offer_tile(batch, tile) : measure_tile(batch, tile);
  }
  if (tile.count > 0) products ? offer_tile(batch, tile) : measure_tile(batch, tile);
}

}  // namespace shibumi
