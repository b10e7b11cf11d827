#include "rows.h"

namespace shibumi {

namespace {

struct FurtherKernels {
  Metric metric;
  MetricKernel pair;
  MetricKernelX4 four;
};

constexpr FurtherKernels kFurtherKernels[] = {
    {kL1, l1_simd128, l1_x4_simd128},
    {kLinf, linf_simd128, linf_x4_simd128},
    {kLp, lp_simd128, lp_x4_simd128},
    {kCanberra, canberra_simd128, canberra_x4_simd128},
    {kBrayCurtis, bray_curtis_simd128, bray_curtis_x4_simd128},
    {kJensenShannon, jensen_shannon_simd128, jensen_shannon_x4_simd128},
    {kHamming, hamming_simd128, hamming_x4_simd128},
    {kJaccard, jaccard_simd128, jaccard_x4_simd128},
};

}  // namespace

void Rows::define(u32 vector_dimension, Metric space_metric, f32 space_power) {
  dimension = vector_dimension;
  metric = space_metric;
  power_ = space_power;
  const bool bits = is_of_bits(metric);
  words = bits ? (dimension + 31) / 32 : dimension;
  vector_bytes = bits ? (dimension + 7) / 8 : 4 * dimension;
  pair_ = nullptr;
  four_ = nullptr;
  if (has_metric(kL1)) {
    for (const FurtherKernels& further : kFurtherKernels) {
      if (further.metric == metric) pair_ = further.pair, four_ = further.four;
    }
  }
  const u32 bytes = 4 * words + (metric == kCosine ? 4 : 0);
  records.define(kVectors, (bytes + 15) & ~15u);
}

// Of a slot used again every byte is written again: a record's bytes beyond the vector are zero from the beginning.
void Rows::write(u32 slot, const u8* vector) const {
  u8* record = records.mut(slot);
  __builtin_memcpy(record, vector, vector_bytes);
  if (metric != kCosine) return;
  const f32 inverse = inverse_norm(reinterpret_cast<const f32*>(record), dimension);
  __builtin_memcpy(record + dimension * sizeof(f32), &inverse, sizeof inverse);
}

bool Rows::acceptable(const u8* vectors, u32 count) const {
  if (!is_of_bits(metric)) {
    const f32* values = reinterpret_cast<const f32*>(vectors);
    if (!all_finite(values, count * dimension)) return false;
    if (!has_metric(kJensenShannon) || metric != kJensenShannon) return true;
    for (u32 i = 0; i < count * dimension; i++) {
      f32 value;
      __builtin_memcpy(&value, values + i, sizeof value);
      if (value < 0) return false;
    }
    return true;
  }
  const u32 unused = dimension % 8 == 0 ? 0 : 0xffu << dimension % 8 & 0xff;
  for (u32 i = 1; i <= count; i++) {
    if (vectors[static_cast<size_t>(i) * vector_bytes - 1] & unused) return false;
  }
  return true;
}

void Rows::distance_scan(const Probe& probe, u32 first, u32 count, f32* out) const {
  const f32* start = row(first);
  if (metric == kL2sq) {
    l2sq_scan(probe.values, start, records.stride, count, dimension, out);
    for (u32 i = 0; i < count; i++) out[i] = ordered(out[i]);
    return;
  }
  if (is_further()) {
    const u32 step = records.stride / sizeof(f32);
    for (u32 i = 0; i < count; i++) out[i] = ordered(pair_(probe.values, start + i * step, words, power_));
    return;
  }
  dot_scan(probe.values, start, records.stride, count, dimension, out);
  for (u32 i = 0; i < count; i++) out[i] = finish(probe, out[i], start + i * (records.stride / sizeof(f32)));
}

Status Rows::all_present(u32 count) const {
  if (!some_absent()) return kOk;
  Status status = kOk;
  for (u32 i = 0; i < records.blocks_for(count); i++) {
    if (block_present(records.segment, i)) continue;
    status = kAbsent;
    if (!block_missed(records.segment, i)) break;
  }
  return status;
}

Status Rows::all_present(const u32* slots, u32 count) const {
  if (!some_absent()) return kOk;
  Status status = kOk;
  for (u32 i = 0; i < count; i++) {
    if (present(slots[i])) continue;
    status = kAbsent;
    if (!missed(slots[i])) break;
  }
  return status;
}

}  // namespace shibumi
