#include "training.h"

namespace shibumi {

namespace {

constexpr u32 kPointsNeeded = 39;    // a centroid, at least
constexpr u32 kPointsSampled = 64;   // a centroid, at most
constexpr u32 kPointsOfMean = 4096;  // where the only list's centroid is the mean
/// No more than this of residuals is copied out at a time.
constexpr u32 kResidualBytesMost = 64u << 20;

}  // namespace

void Training::define(Quantizer* quantizer, const Rows* rows, const Slots* slots) {
  *this = Training{};
  quantizer_ = quantizer;
  rows_ = rows;
  slots_ = slots;
}

void Training::end() {
  kmeans_.end();
  TransientBuffer* const buffers[] = {&sample_, &lists_, &centroids_, &biases_, &books_, &residuals_};
  for (TransientBuffer* buffer : buffers) buffer->release();
  stage_ = Stage::kNone;
  done_ = 0;
}

u32 Training::points_needed() const {
  const QuantizerConfig& config = quantizer_->config();
  return kPointsNeeded * max_of(config.list_count, config.subspaces > 0 ? kCodewords : 1);
}

u32 Training::coarse_points(u32 live_count) const {
  const u32 list_count = quantizer_->list_count();
  return min_of(live_count, list_count == 1 ? kPointsOfMean : list_count * kPointsSampled);
}

u32 Training::book_points(u32 live_count) const {
  if (quantizer_->config().subspaces == 0) return 0;
  const u32 vector_bytes = quantizer_->book_floats() / kGroupCentroids * static_cast<u32>(sizeof(f32));
  return min_of(live_count, min_of(kCodewords * kPointsSampled, kResidualBytesMost / vector_bytes));
}

Training::Work Training::work(u32 live_count) const {
  const QuantizerConfig& config = quantizer_->config();
  const f64 dimension = rows_->dimension;
  // k-means looks at every pair of point and centroid eleven times at most.
  const f64 lists = 11 * dimension * config.list_count * coarse_points(live_count);
  const f64 residuals = dimension * config.list_count * book_points(live_count);
  const f64 books = config.subspaces == 0 ? 0 : 11 * dimension * kCodewords * book_points(live_count);
  return {lists, residuals, books};
}

f64 Training::work_total(u32 live_count) const {
  const auto [lists, residuals, books] = work(live_count);
  return lists + residuals + books;
}

f64 Training::work_left(u32 live_count) const {
  if (quantizer_->trained()) return 0;
  const auto [lists, residuals, books] = work(live_count);
  switch (stage_) {
    case Stage::kNone: return lists + residuals + books;
    case Stage::kLists: return kmeans_.work_left() + residuals + books;
    case Stage::kResiduals: return residuals * (1 - static_cast<f64>(done_) / max_of(1u, book_points_)) + books;
    case Stage::kBooks: {
      const u32 components_left = rows_->dimension - quantizer_->start_of(done_ + 1);
      return kmeans_.work_left() + books * components_left / rows_->dimension;
    }
  }
  return 0;
}

Points Training::sampled(u32 count) const {
  Points points;
  points.rows = rows_;
  points.slots = sample_.as<u32>();
  points.count = count;
  points.width = rows_->dimension;
  return points;
}

/// Draws the sample: the first of a random order of the live slots.
bool Training::begin(u32 slot_count, u32 live_count) {
  end();
  if (!sample_.ensure(live_count * sizeof(u32), false)) return false;
  u32* sample = sample_.as<u32>();
  u32 count = 0;
  for (u32 slot = 0; slot < slot_count; slot++) {
    if (slots_->live(slot)) sample[count++] = slot;
  }
  const u64 seed = quantizer_->config().seed;
  SplitMix random{seed};
  book_points_ = book_points(count);
  trained_on_ = max_of(coarse_points(count), book_points_);
  for (u32 i = 0; i < trained_on_; i++) {
    const u32 other = i + random.below(count - i), slot = sample[other];
    sample[other] = sample[i];
    sample[i] = slot;
  }
  if (!kmeans_.begin(sampled(coarse_points(count)), quantizer_->list_count(), seed)) return false;
  stage_ = Stage::kLists;
  return true;
}

Status Training::step(u32 slot_count, u32 live_count, u64 work) {
  if (stage_ == Stage::kNone && !begin(slot_count, live_count)) return end(), kOutOfMemory;
  const u32 subspaces = quantizer_->config().subspaces, dimension = rows_->dimension;
  if (stage_ == Stage::kLists) {
    if (!kmeans_.step(work)) return kOk;
    if (!keep_centroids()) return end(), kOutOfMemory;
    stage_ = Stage::kResiduals;
    return kOk;
  }
  if (stage_ == Stage::kResiduals && done_ < book_points_) {
    const u64 most = max_of<u64>(1, work / (static_cast<u64>(dimension) * quantizer_->list_count()));
    const u32 until = static_cast<u32>(min_of<u64>(book_points_, done_ + most));
    const f32* groups = centroids_.as<f32>();
    for (; done_ < until; done_++) {
      const auto [values, factor] = sampled(book_points_).at(done_);
      f32 distance;
      lists_.as<u32>()[done_] = nearest_centroid(
          values, factor, dimension, [=](u32 g) { return groups + static_cast<size_t>(g) * group_floats(dimension); },
          groups_of(quantizer_->list_count()), biases_.as<f32>(), distance);
    }
    return kOk;
  }
  if (stage_ == Stage::kResiduals && subspaces > 0) {
    done_ = 0;
    stage_ = Stage::kBooks;
    return begin_book() ? kOk : (end(), kOutOfMemory);
  }
  if (stage_ == Stage::kBooks) {
    if (!kmeans_.step(work)) return kOk;
    const size_t floats = quantizer_->book_floats();
    const u32 own = group_floats(quantizer_->width_of(done_));
    for (u32 g = 0; g < kBookGroups; g++) {
      __builtin_memcpy(books_.as<f32>() + (done_ * kBookGroups + g) * floats, kmeans_.groups() + g * own, own * sizeof(f32));
    }
    if (++done_ < subspaces) return begin_book() ? kOk : (end(), kOutOfMemory);
  }
  const Status stored = quantizer_->store(centroids_.as<f32>(), books_.as<f32>(), trained_on_);
  end();
  return stored;
}

bool Training::keep_centroids() {
  const u32 list_count = quantizer_->list_count();
  const u64 bytes = static_cast<u64>(groups_of(list_count)) * group_floats(rows_->dimension) * sizeof(f32);
  const u32 bias_bytes = groups_of(list_count) * kGroupCentroids * static_cast<u32>(sizeof(f32));
  const QuantizerConfig& config = quantizer_->config();
  const u64 book_bytes = config.subspaces == 0 ? 0 : static_cast<u64>(config.subspaces) * kBookGroups *
                                                         quantizer_->book_floats() * sizeof(f32);
  if (bytes >= (1ull << 31) || !centroids_.ensure(static_cast<u32>(bytes), false) ||
      !biases_.ensure(bias_bytes, false) || !lists_.ensure(book_points_ * sizeof(u32), false) ||
      !books_.ensure(static_cast<u32>(book_bytes), false)) {
    return false;
  }
  __builtin_memcpy(centroids_.as<u8>(), kmeans_.groups(), bytes);
  __builtin_memcpy(biases_.as<u8>(), kmeans_.biases(), bias_bytes);
  __builtin_memset(books_.as<u8>(), 0, book_bytes);
  return true;
}

/// Copies out the residuals of subspace `done_` and begins its k-means.
bool Training::begin_book() {
  const u32 start = quantizer_->start_of(done_), width = quantizer_->width_of(done_);
  if (!residuals_.ensure(book_points_ * width * static_cast<u32>(sizeof(f32)), false)) return false;
  f32* out = residuals_.as<f32>();
  const Points points = sampled(book_points_);
  for (u32 p = 0; p < book_points_; p++) {
    const auto [values, factor] = points.at(p);
    const u32 list = lists_.as<u32>()[p];
    const f32* centroid = centroids_.as<f32>() +
                          static_cast<size_t>(list / kGroupCentroids) * group_floats(rows_->dimension) +
                          list % kGroupCentroids;
    for (u32 i = 0; i < width; i++) {
      *out++ = load_one(values + start + i) * factor - centroid[(start + i) * kGroupCentroids];
    }
  }
  Points packed;
  packed.packed = residuals_.as<f32>();
  packed.count = book_points_;
  packed.width = width;
  return kmeans_.begin(packed, kCodewords, quantizer_->config().seed + 1 + done_);
}

}  // namespace shibumi
