// The kernels that run against their scalar references: every tail length, every misalignment, and values at the edges.
#include <limits>

#include "../kernels/distance.h"
#include "vector_fixture.h"

namespace shibumi::test {
namespace {

constexpr f32 kNan = std::numeric_limits<f32>::quiet_NaN();
constexpr f32 kInfinity = std::numeric_limits<f32>::infinity();

/// A vector at an address that is `offset` bytes past alignment.
struct Misaligned {
  std::vector<u8> bytes;
  u32 offset;
  Misaligned(const Vector& values, u32 shift) : bytes(values.size() * 4 + 20), offset(shift) {
    __builtin_memcpy(bytes.data() + offset, values.data(), values.size() * 4);
  }
  const f32* data() const { return reinterpret_cast<const f32*>(bytes.data() + offset); }
};

bool close(f32 a, f32 b, f64 scale) {
  if (a != a || b != b) return a != a && b != b;
  if (a == b) return true;
  return __builtin_fabs(static_cast<f64>(a) - b) <= 2e-6 * scale;
}

/// All twins on one pair, the x4 forms with the pair's second vector in every place.
void compare_twins(const f32* a, const f32* b, const f32* other, u32 n) {
  f64 l2_scale = 0, dot_scale = 0;
  for (u32 i = 0; i < n; i++) {
    f32 x, y;
    __builtin_memcpy(&x, a + i, 4);
    __builtin_memcpy(&y, b + i, 4);
    l2_scale += (static_cast<f64>(x) - y) * (static_cast<f64>(x) - y);
    dot_scale += __builtin_fabs(static_cast<f64>(x) * y);
  }
  const f32 l2 = l2sq_scalar(a, b, n), dot = dot_scalar(a, b, n);
  EXPECT(close(l2sq_simd128(a, b, n), l2, l2_scale));
  EXPECT(close(dot_simd128(a, b, n), dot, dot_scale));
  EXPECT(close(ip_simd128(a, b, n), -dot, dot_scale));
  for (u32 place = 0; place < 4; place++) {
    const f32* four[4] = {other, other, other, other};
    four[place] = b;
    f32 simd[4], scalar[4];
    l2sq_x4_simd128(a, four[0], four[1], four[2], four[3], n, simd);
    l2sq_x4_scalar(a, four[0], four[1], four[2], four[3], n, scalar);
    EXPECT(close(simd[place], scalar[place], l2_scale));
    dot_x4_simd128(a, four[0], four[1], four[2], four[3], n, simd);
    dot_x4_scalar(a, four[0], four[1], four[2], four[3], n, scalar);
    EXPECT(close(simd[place], scalar[place], dot_scale));
  }
}

Vector random_vector(Random& random, u32 n) {
  Vector out(n);
  for (f32& value : out) value = normal(random);
  return out;
}

TEST(kernel_dimensions, "kernels agree with their references at every dimension and alignment") {
  Random random(1);
  for (u32 n = 1; n <= 133; n++) {
    const Vector a = random_vector(random, n), b = random_vector(random, n), c = random_vector(random, n);
    compare_twins(a.data(), b.data(), c.data(), n);
    compare_twins(Misaligned(a, 1).data(), Misaligned(b, 4).data(), Misaligned(c, 7).data(), n);
  }
  for (u32 n : {255u, 384u, 511u, 768u, 1023u, 1536u, 4095u, 4096u}) {
    const Vector a = random_vector(random, n), b = random_vector(random, n), c = random_vector(random, n);
    compare_twins(a.data(), b.data(), c.data(), n);
    compare_twins(Misaligned(a, 3).data(), Misaligned(b, 2).data(), Misaligned(c, 1).data(), n);
  }
}

TEST(kernel_edges, "kernels agree on zero, denormal, huge, infinite and NaN values wherever they stand") {
  Random random(2);
  const f32 special[] = {0.0f, -0.0f, 1e-42f, 3e38f, -3e38f, kInfinity, -kInfinity, kNan};
  for (u32 n : {1u, 3u, 4u, 7u, 8u, 15u, 16u, 17u, 35u}) {
    for (const f32 value : special) {
      for (u32 place = 0; place < n; place++) {
        Vector a = random_vector(random, n);
        const Vector b = random_vector(random, n), c = random_vector(random, n);
        a[place] = value;
        compare_twins(a.data(), b.data(), c.data(), n);
        compare_twins(b.data(), a.data(), c.data(), n);
      }
    }
    const Vector zero(n), tiny(n, 1e-42f);
    EXPECT(l2sq_simd128(zero.data(), zero.data(), n) == 0);
    EXPECT(dot_simd128(zero.data(), tiny.data(), n) == 0);
  }
}

TEST(kernel_scan, "a scan gives what one pair at a time gives") {
  Random random(3);
  for (u32 n : {1u, 5u, 16u, 37u}) {
    const u32 stride = (4 * n + 15) & ~15u, count = 11;
    const Vector query = random_vector(random, n), rows = random_vector(random, count * stride / 4);
    f32 l2[11], dot[11];
    l2sq_scan(query.data(), rows.data(), stride, count, n, l2);
    dot_scan(query.data(), rows.data(), stride, count, n, dot);
    for (u32 i = 0; i < count; i++) {
      EXPECT(l2[i] == l2sq_simd128(query.data(), &rows[i * stride / 4], n));
      EXPECT(dot[i] == dot_simd128(query.data(), &rows[i * stride / 4], n));
    }
  }
}

TEST(kernel_norm, "the inverse norm neither overflows nor divides by zero") {
  for (u32 n : {1u, 2u, 3u, 4096u}) {
    EXPECT(inverse_norm(Vector(n, 0.0f).data(), n) == 0);
    EXPECT(close(inverse_norm(Vector(n, 2.0f).data(), n), static_cast<f32>(0.5 / __builtin_sqrt(n)), 1));
    const f32 huge = inverse_norm(Vector(n, 3e38f).data(), n);
    EXPECT(huge > 0 && huge < 1e-37f);
    const f32 tiny = inverse_norm(Vector(n, 1e-45f).data(), n);
    EXPECT(tiny > 1e30f && tiny < kInfinity);
    Vector nan(n, 1.0f);
    nan[n - 1] = kNan;
    EXPECT(inverse_norm(nan.data(), n) != inverse_norm(nan.data(), n));
  }
  EXPECT(cosine_of(0, 0, 1) == 1);
}

TEST(kernel_finite, "the finite check sees a NaN or infinity in any place") {
  for (u32 n = 1; n < 40; n++) {
    Vector values(n, -3e38f);
    EXPECT(all_finite(values.data(), n));
    for (u32 i = 0; i < n; i++) {
      for (const f32 bad : {kNan, kInfinity, -kInfinity}) {
        const f32 kept = values[i];
        values[i] = bad;
        EXPECT(!all_finite(values.data(), n));
        EXPECT(!all_finite(Misaligned(values, 3).data(), n));
        values[i] = kept;
      }
    }
  }
}

}  // namespace
}  // namespace shibumi::test
