// Training a quantizer in the background: k-means for the lists' centroids, then for each subspace of the residuals, on a
// sample of the live vectors. In slices: `step` does a given amount of work. What was learned is stored in one go at the
// end, so a crash meanwhile leaves nothing half-trained; it is begun again.
#pragma once

#include "../vector/slots.h"
#include "kmeans.h"
#include "quantizer.h"

namespace shibumi {

class Training {
 public:
  /// Forgets everything transient.
  void define(Quantizer* quantizer, const Rows* rows, const Slots* slots);

  /// Live vectors it takes to train: 39 a centroid, as in FAISS.
  u32 points_needed() const;
  /// Works through about `work` multiplications; begins when it has not. The quantizer says when it is trained.
  /// Requires: points_needed() live vectors, all rows present, not trained. kOk or kOutOfMemory (then it begins anew).
  Status step(u32 slot_count, u32 live_count, u64 work);
  /// Multiplications left, and of the whole training at most, for a space of so many vectors.
  f64 work_left(u32 live_count) const;
  f64 work_total(u32 live_count) const;
  /// Gives up what was begun.
  void end();

 private:
  enum class Stage { kNone, kLists, kResiduals, kBooks };

  /// What the three stages cost.
  struct Work {
    f64 lists, residuals, books;
  };
  Work work(u32 live_count) const;
  u32 coarse_points(u32 live_count) const;
  u32 book_points(u32 live_count) const;
  bool begin(u32 slot_count, u32 live_count);
  bool keep_centroids();
  bool begin_book();
  Points sampled(u32 count) const;

  Quantizer* quantizer_ = nullptr;
  const Rows* rows_ = nullptr;
  const Slots* slots_ = nullptr;

  Stage stage_ = Stage::kNone;
  KMeans kmeans_;
  u32 trained_on_ = 0;
  u32 book_points_ = 0;
  u32 done_ = 0;                // sampled vectors whose list is known, or codebooks finished
  TransientBuffer sample_;      // u32 slots, in random order
  TransientBuffer lists_;       // u32 a sampled vector: its list
  TransientBuffer centroids_;   // groups
  TransientBuffer biases_;
  TransientBuffer books_;       // groups of all subspaces
  TransientBuffer residuals_;   // f32[book_points_][width of the subspace]
};

}  // namespace shibumi
