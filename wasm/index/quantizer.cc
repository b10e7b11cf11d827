#include "quantizer.h"

namespace shibumi {

void Quantizer::define(const QuantizerConfig& config, const Rows* rows) {
  *this = Quantizer{};
  config_ = config;
  rows_ = rows;
  if (!any()) return;
  centroids_.define(kCentroids, group_floats(rows->dimension) * sizeof(f32));
  if (config.subspaces > 0) books_.define(kCodebooks, book_floats() * sizeof(f32));
}

namespace {

const QuantizerSuperblock& quantizer_meta() {
  return *reinterpret_cast<const QuantizerSuperblock*>(block_read(kQuantizerMeta, 0));
}

}  // namespace

u32 Quantizer::trained_on() const { return trained_ ? quantizer_meta().trained_on : 0; }

Status Quantizer::open() {
  trained_ = false;
  if (segments[kQuantizerMeta].block_count == 0) {
    return segments[kCentroids].block_count + segments[kCodebooks].block_count == 0 ? kOk : kCorrupt;
  }
  const QuantizerSuperblock& super = quantizer_meta();
  const u32 book_groups = config_.subspaces * kBookGroups;
  if (!any() || segments[kQuantizerMeta].block_count != 1 || super.magic != kQuantizerMagic ||
      super.version != kQuantizerVersion || super.list_count != config_.list_count ||
      super.subspaces != config_.subspaces || super.seed != config_.seed || super.reserved != 0 || super.reserved2 != 0 ||
      segments[kCentroids].block_count != centroids_.blocks_for(groups_of(config_.list_count)) ||
      segments[kCodebooks].block_count != (book_groups == 0 ? 0 : books_.blocks_for(book_groups))) {
    return kCorrupt;
  }
  if (!measure_biases()) return kOutOfMemory;
  trained_ = true;
  return kOk;
}

Status Quantizer::store(const f32* centroids, const f32* books, u32 trained_on) {
  const u32 groups = groups_of(config_.list_count), book_groups = config_.subspaces * kBookGroups;
  const u32 centroid_blocks = centroids_.blocks_for(groups);
  const u32 book_blocks = book_groups == 0 ? 0 : books_.blocks_for(book_groups);
  if (reserve(1 + centroid_blocks + book_blocks, 0) != kOk) return kOutOfMemory;
  block_append(kQuantizerMeta);
  centroids_.extend(groups);
  for (u32 g = 0; g < groups; g++) {
    __builtin_memcpy(centroids_.mut(g), centroids + static_cast<size_t>(g) * (centroids_.stride / 4), centroids_.stride);
  }
  if (book_groups > 0) books_.extend(book_groups);
  for (u32 g = 0; g < book_groups; g++) {
    __builtin_memcpy(books_.mut(g), books + static_cast<size_t>(g) * book_floats(), books_.stride);
  }
  QuantizerSuperblock& super = *reinterpret_cast<QuantizerSuperblock*>(block_write(kQuantizerMeta, 0));
  super = {kQuantizerMagic, kQuantizerVersion, config_.list_count, config_.subspaces, trained_on, config_.seed, 0, 0};
  if (!measure_biases()) return kOutOfMemory;
  trained_ = true;
  return kOk;
}

bool Quantizer::measure_biases() {
  const u32 groups = groups_of(config_.list_count);
  if (!biases_.ensure(groups * kGroupCentroids * sizeof(f32), false)) return false;
  for (u32 g = 0; g < groups; g++) {
    group_biases(centroid_group(g), rows_->dimension, config_.list_count - g * kGroupCentroids,
                 biases_.as<f32>() + g * kGroupCentroids);
  }
  if (!book_biases_.ensure(config_.subspaces * kCodewords * sizeof(f32), false)) return false;
  for (u32 j = 0; j < config_.subspaces; j++) {
    for (u32 g = 0; g < kBookGroups; g++) {
      group_biases(book_group(j, g), width_of(j), kGroupCentroids,
                   book_biases_.as<f32>() + j * kCodewords + g * kGroupCentroids);
    }
  }
  return true;
}

u32 Quantizer::list_of(const f32* vector, f32 factor) const {
  if (config_.list_count == 1) return 0;
  f32 distance;
  const u32 list = nearest_centroid(
      vector, factor, rows_->dimension, [this](u32 g) { return centroid_group(g); }, groups_of(config_.list_count),
      biases_.as<f32>(), distance);
  return min_of(list, config_.list_count - 1);
}

void Quantizer::measure_lists(const Probe& query, f32* order, f32* bases) const {
  const u32 dimension = rows_->dimension;
  const f32* biases = biases_.as<f32>();
  const f32 square = rows_->metric == kL2sq ? dot_simd128(query.values, query.values, dimension) : 0;
  f32 dots[kGroupCentroids];
  for (u32 list = 0; list < config_.list_count; list++) {
    const u32 within = list % kGroupCentroids;
    if (within == 0) group_dots_simd128(query.values, centroid_group(list / kGroupCentroids), dimension, dots);
    const f32 apart = biases[list] - 2 * dots[within];
    // Lists were filled by Euclidean distance; of vectors that are not of one length the product is what is asked for.
    order[list] = rows_->metric == kIp ? -dots[within] : apart;
    bases[list] = rows_->metric == kL2sq ? apart + square : (rows_->metric == kCosine ? 1.0f : 0.0f) - dots[within];
  }
}

void Quantizer::encode(const f32* vector, f32 factor, u32 list, f32* residual, u8* record) const {
  const u32 dimension = rows_->dimension;
  const f32* centroid = centroid_group(list / kGroupCentroids) + list % kGroupCentroids;
  for (u32 i = 0; i < dimension; i++) residual[i] = load_one(vector + i) * factor - centroid[i * kGroupCentroids];
  f32 term = 0;
  u8* code = record + sizeof term;
  for (u32 j = 0; j < config_.subspaces; j++) {
    const u32 start = start_of(j), width = width_of(j);
    f32 distance;
    const u32 nearest = nearest_centroid(
        residual + start, 1.0f, width, [this, j](u32 g) { return book_group(j, g); }, kBookGroups,
        book_biases_.as<f32>() + j * kCodewords, distance);
    code[j] = static_cast<u8>(nearest);
    if (rows_->metric != kL2sq) continue;
    const f32* codeword = book_group(j, nearest / kGroupCentroids) + nearest % kGroupCentroids;
    for (u32 i = 0; i < width; i++) {
      const f32 r = codeword[i * kGroupCentroids];
      term += r * (r + 2 * centroid[(start + i) * kGroupCentroids]);
    }
  }
  __builtin_memcpy(record, &term, sizeof term);
}

void Quantizer::make_tables(const Probe& query, f32* tables) const {
  const f32 times = rows_->metric == kL2sq ? -2.0f : -1.0f;
  for (u32 j = 0; j < config_.subspaces; j++) {
    for (u32 g = 0; g < kBookGroups; g++, tables += kGroupCentroids) {
      group_dots_simd128(query.values + start_of(j), book_group(j, g), width_of(j), tables);
      for (u32 i = 0; i < kGroupCentroids; i++) tables[i] *= times;
    }
  }
}

}  // namespace shibumi
