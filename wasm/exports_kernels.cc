// The kernels and their scalar references, for tests and measurements only: the engine never calls these.
//
// Addresses may have any alignment.
#include "core/border.h"
#include "kernels/bit_difference.h"
#include "kernels/code_dot.h"
#include "kernels/distance.h"
#include "kernels/metrics.h"

using namespace shibumi;

namespace {

using PairKernel = f32 (*)(const f32*, const f32*, u32);
using FourKernel = void (*)(const f32*, const f32*, const f32*, const f32*, const f32*, u32, f32*);

f32 run_pair(PairKernel kernel, Addr a, Addr b, u32 n) {
  check(in_memory(a, n * 4ull) && in_memory(b, n * 4ull));
  return kernel(at<const f32>(a), at<const f32>(b), n);
}

/// The four vectors lie one after another.
void run_four(FourKernel kernel, Addr query, Addr vectors, u32 n, Addr out) {
  check(in_memory(query, n * 4ull) && in_memory(vectors, n * 16ull) && in_memory(out, 16));
  const auto vector = [vectors, n](u32 i) { return at<const f32>(vectors + i * n * 4); };
  kernel(at<const f32>(query), vector(0), vector(1), vector(2), vector(3), n, at<f32>(out));
}

f32 cosine_by(PairKernel dot, Addr a, Addr b, u32 n) {
  const f32 product = run_pair(dot, a, b, n);
  return cosine_of(product, inverse_norm(at<const f32>(a), n), inverse_norm(at<const f32>(b), n));
}

}  // namespace

SHIBUMI_EXPORT(kernel_l2sq) f32 export_kernel_l2sq(Addr a, Addr b, u32 n) { return run_pair(l2sq_simd128, a, b, n); }
SHIBUMI_EXPORT(kernel_l2sq_scalar)
f32 export_kernel_l2sq_scalar(Addr a, Addr b, u32 n) { return run_pair(l2sq_scalar, a, b, n); }
SHIBUMI_EXPORT(kernel_ip) f32 export_kernel_ip(Addr a, Addr b, u32 n) { return run_pair(ip_simd128, a, b, n); }
SHIBUMI_EXPORT(kernel_ip_scalar)
f32 export_kernel_ip_scalar(Addr a, Addr b, u32 n) { return run_pair(ip_scalar, a, b, n); }
SHIBUMI_EXPORT(kernel_cosine)
f32 export_kernel_cosine(Addr a, Addr b, u32 n) { return cosine_by(dot_simd128, a, b, n); }
SHIBUMI_EXPORT(kernel_cosine_scalar)
f32 export_kernel_cosine_scalar(Addr a, Addr b, u32 n) { return cosine_by(dot_scalar, a, b, n); }

namespace {

struct MetricTwins {
  MetricKernel scalar, simd;
  MetricKernelX4 four;
};

/// In the order of the metrics' codes from L1 on (vector/format.h).
constexpr MetricTwins kMetricTwins[] = {
    {l1_scalar, l1_simd128, l1_x4_simd128},
    {linf_scalar, linf_simd128, linf_x4_simd128},
    {lp_scalar, lp_simd128, lp_x4_simd128},
    {canberra_scalar, canberra_simd128, canberra_x4_simd128},
    {bray_curtis_scalar, bray_curtis_simd128, bray_curtis_x4_simd128},
    {jensen_shannon_scalar, jensen_shannon_simd128, jensen_shannon_x4_simd128},
    {hamming_scalar, hamming_simd128, hamming_x4_simd128},
    {jaccard_scalar, jaccard_simd128, jaccard_x4_simd128},
};

}  // namespace

/// The further metrics by number, 0 is L1. `n`: components, or for bits u32 words. scalar: the reference.
SHIBUMI_EXPORT(kernel_metric) f32 export_kernel_metric(u32 which, u32 scalar, Addr a, Addr b, u32 n, f32 p) {
  check(in_memory(a, n * 4ull) && in_memory(b, n * 4ull) && which < sizeof kMetricTwins / sizeof kMetricTwins[0]);
  const MetricKernel kernel = scalar ? kMetricTwins[which].scalar : kMetricTwins[which].simd;
  return kernel(at<const f32>(a), at<const f32>(b), n, p);
}
/// Against four vectors one after another; f32[4] results.
SHIBUMI_EXPORT(kernel_metric_x4)
void export_kernel_metric_x4(u32 which, Addr query, Addr vectors, u32 n, f32 p, Addr out) {
  check(in_memory(query, n * 4ull) && in_memory(vectors, n * 16ull) && in_memory(out, 16) &&
        which < sizeof kMetricTwins / sizeof kMetricTwins[0]);
  const f32* four[4];
  for (u32 i = 0; i < 4; i++) four[i] = at<const f32>(vectors + i * n * 4);
  kMetricTwins[which].four(at<const f32>(query), four, n, p, at<f32>(out));
}

/// f32[n] against four vectors f32[4 * n]; f32[4] results.
SHIBUMI_EXPORT(kernel_l2sq_x4)
void export_kernel_l2sq_x4(Addr query, Addr vectors, u32 n, Addr out) { run_four(l2sq_x4_simd128, query, vectors, n, out); }
SHIBUMI_EXPORT(kernel_l2sq_x4_scalar)
void export_kernel_l2sq_x4_scalar(Addr query, Addr vectors, u32 n, Addr out) {
  run_four(l2sq_x4_scalar, query, vectors, n, out);
}
/// Inner products, not negated.
SHIBUMI_EXPORT(kernel_dot_x4)
void export_kernel_dot_x4(Addr query, Addr vectors, u32 n, Addr out) { run_four(dot_x4_simd128, query, vectors, n, out); }
SHIBUMI_EXPORT(kernel_dot_x4_scalar)
void export_kernel_dot_x4_scalar(Addr query, Addr vectors, u32 n, Addr out) {
  run_four(dot_x4_scalar, query, vectors, n, out);
}

namespace {

/// What kernel_sweep can do at each record; test/bench/kernel-sweeps.ts has the same order.
enum Sweep : u32 {
  kSweepRead,
  kSweepL2sqScalar,
  kSweepL2sq,
  kSweepL2sqX4,
  kSweepDotScalar,
  kSweepDot,
  kSweepDotX4,
  kSweepCodeDotScalar,
  kSweepCodeDot,
  kSweepCodeDotX4,
  kSweepBitsScalar,
  kSweepBits,
  kSweepCount,
};

/// Every byte once, sixteen at a time into four sums: as fast as memory gives it.
u64 read_all(const u8* records, u32 bytes) {
  using Words = u64 __attribute__((vector_size(16), aligned(4)));
  Words sums[4] = {};
  const Words* words = reinterpret_cast<const Words*>(records);
  for (u32 i = 0; i + 4 <= bytes / 16; i += 4) {
    for (u32 lane = 0; lane < 4; lane++) sums[lane] ^= words[i + lane];
  }
  const Words all = (sums[0] ^ sums[1]) ^ (sums[2] ^ sums[3]);
  return all[0] ^ all[1];
}

template <class One>
f64 sweep(const u8* records, u32 stride, u32 count, One one) {
  f64 sum = 0;
  for (u32 i = 0; i < count; i++) sum += static_cast<f64>(one(records + i * stride));
  return sum;
}

template <class Result, class Four>
f64 sweep_x4(const u8* records, u32 stride, u32 count, Four four) {
  f64 sum = 0;
  Result out[4];
  for (u32 i = 0; i + 4 <= count; i += 4) {
    const u8* first = records + i * stride;
    four(first, first + stride, first + 2 * stride, first + 3 * stride, out);
    sum += static_cast<f64>(out[0] + out[1] + out[2] + out[3]);
  }
  return sum;
}

const f32* floats(const u8* record) { return reinterpret_cast<const f32*>(record); }

}  // namespace

/// Runs a kernel once over `count` records, `stride` bytes each and one after another, from a query of `n` components
/// (bits: bytes). For measurements: the loop is in here, so that no call from the host is timed. Returns the sum of what
/// the kernel returned.
SHIBUMI_EXPORT(kernel_sweep) f64 export_kernel_sweep(u32 which, Addr query, u32 n, Addr records, u32 stride, u32 count) {
  check(which < kSweepCount && in_memory(query, n * 4ull) && in_memory(records, static_cast<u64>(stride) * count));
  check(static_cast<u64>(n) * (which < kSweepCodeDotScalar && which != kSweepRead ? 4 : 1) <= stride);
  const f32* values = at<const f32>(query);
  const QueryLane* lanes = at<const QueryLane>(query);
  const u8* bytes = at<const u8>(query);
  const u8* first = at<const u8>(records);
  switch (which) {
    case kSweepRead: return static_cast<f64>(read_all(first, stride * count));
    case kSweepL2sqScalar:
      return sweep(first, stride, count, [=](const u8* r) { return l2sq_scalar(values, floats(r), n); });
    case kSweepL2sq: return sweep(first, stride, count, [=](const u8* r) { return l2sq_simd128(values, floats(r), n); });
    case kSweepL2sqX4:
      return sweep_x4<f32>(first, stride, count, [=](const u8* a, const u8* b, const u8* c, const u8* d, f32* out) {
        l2sq_x4_simd128(values, floats(a), floats(b), floats(c), floats(d), n, out);
      });
    case kSweepDotScalar:
      return sweep(first, stride, count, [=](const u8* r) { return dot_scalar(values, floats(r), n); });
    case kSweepDot: return sweep(first, stride, count, [=](const u8* r) { return dot_simd128(values, floats(r), n); });
    case kSweepDotX4:
      return sweep_x4<f32>(first, stride, count, [=](const u8* a, const u8* b, const u8* c, const u8* d, f32* out) {
        dot_x4_simd128(values, floats(a), floats(b), floats(c), floats(d), n, out);
      });
    case kSweepCodeDotScalar: return sweep(first, stride, count, [=](const u8* r) { return code_dot_scalar(lanes, r, n); });
    case kSweepCodeDot: return sweep(first, stride, count, [=](const u8* r) { return code_dot_simd128(lanes, r, n); });
    case kSweepCodeDotX4:
      return sweep_x4<i32>(first, stride, count, [=](const u8* a, const u8* b, const u8* c, const u8* d, i32* out) {
        code_dot_x4_simd128(lanes, a, b, c, d, n, out);
      });
    case kSweepBitsScalar: return sweep(first, stride, count, [=](const u8* r) { return bit_difference_scalar(bytes, r, n); });
    default: return sweep(first, stride, count, [=](const u8* r) { return bit_difference(bytes, r, n); });
  }
}
