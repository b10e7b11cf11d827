// The kernels and their scalar references, for tests and measurements only: the engine never calls these.
//
// Addresses may have any alignment.
#include "core/border.h"
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
