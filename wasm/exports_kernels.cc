// The kernels and their scalar references, for tests and measurements only: the engine never calls these.
//
// Addresses may have any alignment.
#include "core/border.h"
#include "kernels/distance.h"

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
