// What is learned from the data, as it is stored: the centroids of an inverted file's lists, and the codebooks of a product
// quantizer (Jegou, Douze and Schmid, "Product quantization for nearest neighbor search", 2011) for what a vector has
// beyond the centroid of its list, its *residual*. Without an inverted file there is one list, its centroid the mean.
//
// A product quantizer cuts a residual into m subspaces and names in one byte the nearest of 256 codewords in each. m need
// not divide the dimension d: subspace j holds the components from j d / m up to (j + 1) d / m, both rounded down, so that
// widths differ by one at most and no subspace is padding.
//
// A code is read as distance = base(list) + term + sum over j of table[j][code[j]], with r the residual as coded, c the
// centroid and q the query:
//
//   L2       |q - c - r|^2 = |q - c|^2 + (|r|^2 + 2 c . r) - 2 q . r      the term is the code's own, kept beside it
//   ip       -(q . c) - q . r                                              no term
//   cosine   1 - q . c - q . r, of unit vectors                            no term
//
// So one table of q's products with the codewords serves all lists, which tables of residuals would not.
//
// The blocks exist only once training (training.h) has ended; until then there is nothing here. For cosine everything is
// learned from, and asked of, vectors of unit length. Derived data.
#pragma once

#include "../kernels/centroids.h"
#include "../vector/rows.h"

namespace shibumi {

constexpr u32 kCodewords = 256;
constexpr u32 kBookGroups = kCodewords / kGroupCentroids;

struct QuantizerConfig {
  u32 list_count = 0;  // 1: one list; 0: there is no quantizer
  u32 subspaces = 0;   // m; 0: no codes
  u64 seed = 0;
};

class Quantizer {
 public:
  /// Names the segments and forgets everything transient.
  void define(const QuantizerConfig& config, const Rows* rows);
  /// Checks what is stored. Without any block it is not trained. kOk, kCorrupt or kOutOfMemory.
  Status open();
  /// Stores what was learned, groups one after another: list_count centroids; for each subspace 256 codewords, each group
  /// of them book_floats long. kOk or kOutOfMemory (then nothing is stored).
  Status store(const f32* centroids, const f32* books, u32 trained_on);

  /// Gives the transient memory back; `define` comes next.
  void release() {
    biases_.release();
    book_biases_.release();
  }

  bool any() const { return config_.list_count > 0; }
  bool trained() const { return trained_; }
  const QuantizerConfig& config() const { return config_; }
  u32 list_count() const { return config_.list_count; }
  u32 trained_on() const;
  u32 start_of(u32 subspace) const { return subspace * rows_->dimension / config_.subspaces; }
  u32 width_of(u32 subspace) const { return start_of(subspace + 1) - start_of(subspace); }
  /// f32s from one group of codewords to the next: those of the widest subspace.
  u32 book_floats() const { return group_floats((rows_->dimension + config_.subspaces - 1) / config_.subspaces); }

  // Requires, from here on: trained.

  /// The list whose centroid is nearest to a vector (times `factor`), by Euclidean distance.
  u32 list_of(const f32* vector, f32 factor) const;
  /// How far a query is from every list, for the order they are looked through in, and their bases for codes.
  void measure_lists(const Probe& query, f32* order, f32* bases) const;

  u32 code_bytes() const { return (sizeof(f32) + config_.subspaces + 3) & ~3u; }
  /// Codes a vector of a list: f32 term, u8[m]. `residual` has room for the dimension.
  void encode(const f32* vector, f32 factor, u32 list, f32* residual, u8* record) const;
  /// f32[m][256]: what each codeword adds to a distance from the query.
  void make_tables(const Probe& query, f32* tables) const;

 private:
  const f32* centroid_group(u32 g) const { return reinterpret_cast<const f32*>(centroids_.get(g)); }
  const f32* book_group(u32 subspace, u32 g) const {
    return reinterpret_cast<const f32*>(books_.get(subspace * kBookGroups + g));
  }
  bool measure_biases();

  QuantizerConfig config_;
  const Rows* rows_ = nullptr;
  bool trained_ = false;
  PagedArray centroids_, books_;
  TransientBuffer biases_;       // |c|^2 of the centroids
  TransientBuffer book_biases_;  // f32[m][256]
};

}  // namespace shibumi
