// The further metrics: the kernels that run against their scalar references and against f64, at every tail length and
// misalignment; their edges; and spaces of bits.
#include <cmath>
#include <limits>

#include "../kernels/metrics.h"
#include "vector_fixture.h"

namespace shibumi::test {
namespace {

struct Kernel {
  Metric metric;
  f32 p;
  MetricKernel scalar, simd;
  MetricKernelX4 four;
};

const Kernel kOfFloats[] = {
    {kL1, 0, l1_scalar, l1_simd128, l1_x4_simd128},
    {kLinf, 0, linf_scalar, linf_simd128, linf_x4_simd128},
    {kLp, 1, lp_scalar, lp_simd128, lp_x4_simd128},
    {kLp, 3, lp_scalar, lp_simd128, lp_x4_simd128},
    {kLp, 0.5f, lp_scalar, lp_simd128, lp_x4_simd128},
    {kLp, 2.7f, lp_scalar, lp_simd128, lp_x4_simd128},
    {kCanberra, 0, canberra_scalar, canberra_simd128, canberra_x4_simd128},
    {kBrayCurtis, 0, bray_curtis_scalar, bray_curtis_simd128, bray_curtis_x4_simd128},
    {kJensenShannon, 0, jensen_shannon_scalar, jensen_shannon_simd128, jensen_shannon_x4_simd128},
};
const Kernel kOfBits[] = {
    {kHamming, 0, hamming_scalar, hamming_simd128, hamming_x4_simd128},
    {kJaccard, 0, jaccard_scalar, jaccard_simd128, jaccard_x4_simd128},
};

f64 exact(const Kernel& kernel, const Vector& a, const Vector& b) {
  f64 sum = 0, size = 0, most = 0;
  for (size_t i = 0; i < a.size(); i++) {
    const f64 x = a[i], y = b[i], apart = std::fabs(x - y), m = (x + y) / 2;
    most = std::max(most, apart);
    size += std::fabs(x + y);
    switch (kernel.metric) {
      case kLp: sum += std::pow(apart, static_cast<f64>(kernel.p)); break;
      case kCanberra: sum += apart == 0 ? 0 : apart / (std::fabs(x) + std::fabs(y)); break;
      case kJensenShannon: sum += 0.5 * ((x == 0 ? 0 : x * std::log(x / m)) + (y == 0 ? 0 : y * std::log(y / m))); break;
      default: sum += apart;
    }
  }
  if (kernel.metric == kLinf) return most;
  return kernel.metric == kBrayCurtis ? (sum == 0 ? 0 : sum / size) : sum;
}

bool agree(f64 got, f64 expected, f64 absolute) {
  if (got == expected) return true;
  return std::fabs(got - expected) <= 4e-6 * std::fabs(expected) + absolute;
}

/// What the definition of Jensen-Shannon loses by subtracting: rounding of the sums of both.
f64 slack(const Kernel& kernel, const Vector& a, const Vector& b) {
  if (kernel.metric != kJensenShannon) return 0;
  f64 sum = 0;
  for (size_t i = 0; i < a.size(); i++) sum += a[i] + b[i];
  return 4e-7 * sum;
}

Vector vector_for(const Kernel& kernel, Random& random, u32 n) {
  Vector out(n);
  for (f32& value : out) value = kernel.metric == kJensenShannon ? unit(random) : normal(random);
  return out;
}

const f32* shifted(std::vector<u8>& bytes, const Vector& values, u32 shift) {
  bytes.assign(values.size() * 4 + 16, 0xff);
  __builtin_memcpy(bytes.data() + shift, values.data(), values.size() * 4);
  return reinterpret_cast<const f32*>(bytes.data() + shift);
}

void compare(const Kernel& kernel, const Vector& a, const Vector& b, const Vector& other, u32 shift) {
  const u32 n = static_cast<u32>(a.size());
  std::vector<u8> bytes[3];
  const f32 *pa = shifted(bytes[0], a, shift), *pb = shifted(bytes[1], b, (shift * 3) % 13);
  const f32* pc = shifted(bytes[2], other, (shift * 5) % 11);
  const f32 scalar = kernel.scalar(pa, pb, n, kernel.p), simd = kernel.simd(pa, pb, n, kernel.p);
  EXPECT(agree(simd, scalar, slack(kernel, a, b)));
  EXPECT(agree(simd, exact(kernel, a, b), 1e-7 * (kernel.metric == kJensenShannon)));
  for (u32 place = 0; place < 4; place++) {
    const f32* four[4] = {pc, pc, pc, pc};
    four[place] = pb;
    f32 out[4];
    kernel.four(pa, four, n, kernel.p, out);
    EXPECT(agree(out[place], simd, 1e-7));
    EXPECT(out[(place + 1) % 4] == out[(place + 2) % 4]);
  }
}

TEST(metric_dimensions, "further metrics agree with their references and f64 at every dimension and alignment") {
  Random random(31);
  for (const Kernel& kernel : kOfFloats) {
    for (u32 n = 1; n <= 70; n++) {
      const Vector a = vector_for(kernel, random, n), b = vector_for(kernel, random, n);
      compare(kernel, a, b, vector_for(kernel, random, n), n % 8);
    }
    for (u32 n : {127u, 384u, 1023u, 4095u, 4096u}) {
      const Vector a = vector_for(kernel, random, n), b = vector_for(kernel, random, n);
      compare(kernel, a, b, vector_for(kernel, random, n), 1);
    }
  }
}

TEST(metric_edges, "further metrics agree on zero, denormal, tiny and huge values wherever they stand") {
  Random random(32);
  for (const Kernel& kernel : kOfFloats) {
    for (const f32 value : {0.0f, -0.0f, 1e-42f, 1e-30f, 1e10f, -1e10f}) {
      if (kernel.metric == kJensenShannon && value < 0) continue;
      // In f32 x / (x + y) of a denormal has no more digits than the denormal.
      if (kernel.metric == kJensenShannon && value == 1e-42f) continue;
      for (u32 n : {1u, 3u, 4u, 7u, 9u, 17u}) {
        for (u32 place = 0; place < n; place++) {
          Vector a = vector_for(kernel, random, n);
          const Vector b = vector_for(kernel, random, n);
          a[place] = value;
          compare(kernel, a, b, a, 0);
          compare(kernel, b, a, b, 2);
        }
      }
    }
    for (u32 n : {1u, 5u, 32u}) {
      const Vector zero(n), a = vector_for(kernel, random, n);
      EXPECT(kernel.simd(zero.data(), zero.data(), n, kernel.p) == 0);
      EXPECT(kernel.simd(a.data(), a.data(), n, kernel.p) == 0);
      EXPECT(kernel.scalar(a.data(), a.data(), n, kernel.p) == 0);
    }
  }
  const Vector huge(9, 3e38f), minus(9, -3e38f);
  EXPECT(canberra_simd128(huge.data(), minus.data(), 9, 0) == 9);
  EXPECT(canberra_simd128(Vector(9, 1e-45f).data(), Vector(9).data(), 9, 0) == 9);
  EXPECT(bray_curtis_simd128(Vector{1, 1}.data(), Vector{-1, -1}.data(), 2, 0) == std::numeric_limits<f32>::infinity());
  EXPECT(agree(jensen_shannon_simd128(Vector{1, 0}.data(), Vector{0, 1}.data(), 2, 0), std::log(2.0), 0));
}

TEST(metric_close, "Jensen-Shannon of almost equal distributions is neither negative nor lost") {
  for (const f32 step : {1e-1f, 1e-2f, 1e-3f, 1e-4f}) {
    const Vector a(8, 0.125f);
    Vector b = a;
    b[0] += step / 8, b[1] -= step / 8;
    const f64 expected = exact(kOfFloats[8], a, b);
    EXPECT(std::fabs(jensen_shannon_simd128(a.data(), b.data(), 8, 0) - expected) <= 1e-4 * expected);
  }
}

TEST(metric_bits, "Hamming and Jaccard count every bit of any number of words") {
  Random random(33);
  for (u32 words = 1; words <= 40; words++) {
    std::vector<u32> a(words), b(words);
    u32 differ = 0, both = 0, either = 0;
    for (u32 i = 0; i < words; i++) {
      a[i] = static_cast<u32>(random.next()) & static_cast<u32>(random.next());
      b[i] = static_cast<u32>(random.next());
      for (u32 bit = 0; bit < 32; bit++) {
        const bool x = a[i] >> bit & 1, y = b[i] >> bit & 1;
        differ += x != y, both += x && y, either += x || y;
      }
    }
    const f32 *pa = reinterpret_cast<const f32*>(a.data()), *pb = reinterpret_cast<const f32*>(b.data());
    const f32 jaccard = static_cast<f32>(differ) / static_cast<f32>(either);
    for (const Kernel& kernel : kOfBits) {
      const f32 expected = kernel.metric == kHamming ? static_cast<f32>(differ) : jaccard;
      EXPECT(kernel.scalar(pa, pb, words, 0) == expected && kernel.simd(pa, pb, words, 0) == expected);
      const f32* four[4] = {pb, pa, pb, pb};
      f32 out[4];
      kernel.four(pa, four, words, 0, out);
      EXPECT(out[0] == expected && out[1] == 0 && out[3] == expected);
    }
  }
  const std::vector<u32> none(3);
  const f32* empty = reinterpret_cast<const f32*>(none.data());
  EXPECT(jaccard_simd128(empty, empty, 3, 0) == 0 && jaccard_scalar(empty, empty, 3, 0) == 0);
}

Status put_bits(VectorStore& store, i64 id, const std::vector<u8>& bits) {
  IdBatch batch;
  batch.ints = &id;
  return store.insert(batch, bits.data(), 1);
}

TEST(metric_bit_space, "a space of bits keeps them, searches them by graph and scan, and refuses stray bits") {
  for (const u32 dimension : {1u, 7u, 9u, 64u, 77u, 1000u}) {
    static VectorStore store;
    create_space(store, dimension, kHamming, kHnsw);
    Random random(dimension);
    const u32 bytes = (dimension + 7) / 8;
    const u8 unused = static_cast<u8>(dimension % 8 == 0 ? 0 : 0xff << dimension % 8);
    std::vector<std::vector<u8>> rows(300, std::vector<u8>(bytes));
    for (u32 i = 0; i < rows.size(); i++) {
      for (u8& byte : rows[i]) byte = static_cast<u8>(random.next());
      rows[i][bytes - 1] &= static_cast<u8>(~unused);
      EXPECT(put_bits(store, i, rows[i]) == kOk);
    }
    EXPECT(store.link(1000) == kOk && store.pending() == 0 && store.open(true) == kOk);
    for (u32 i = 0; i < rows.size(); i += 17) {
      std::vector<u8> out(bytes);
      u8 key[8];
      int_key(i, key);
      EXPECT(store.get({key, 8}, out.data()) == kOk && out == rows[i]);
      const Hit* hits = nullptr;
      u32 found = 0;
      EXPECT(store.search(rows[i].data(), 1, {16, 0}, hits, found) == kOk && found == 1 && hits[0].distance == 0);
    }
    if (unused != 0) EXPECT(put_bits(store, 999, std::vector<u8>(bytes, 0xff)) == kInvalid);
    EXPECT(store.live_count() == rows.size());
  }
}

TEST(metric_refused, "a space of no metric, a power where none belongs, or too many bits is refused") {
  static VectorStore store;
  const auto create = [](u32 dimension, u32 metric, f32 power) {
    arena_init(100);
    return store.create({dimension, metric, power, kIntIds, kFlat, 0, 0, 0, 0, 0, 1});
  };
  EXPECT(create(4, kMetricMost + 1, 0) == kInvalid);
  EXPECT(create(4, kLp, 0) == kInvalid && create(4, kLp, -1) == kInvalid && create(4, kLp, 65) == kInvalid);
  EXPECT(create(4, kLp, std::numeric_limits<f32>::quiet_NaN()) == kInvalid);
  EXPECT(create(4, kL1, 2) == kInvalid && create(kBitsMax + 1, kJaccard, 0) == kInvalid);
  EXPECT(create(kDimensionMax + 1, kL1, 0) == kInvalid);
  EXPECT(create(4, kLp, 0.5f) == kOk && create(kBitsMax, kJaccard, 0) == kOk);
  arena_init(1u << 13);
  create_space(store, 2, kJensenShannon, kFlat);
  const f32 negative[2] = {0.5f, -0.5f};
  EXPECT(insert_one(store, 1, negative) == kInvalid);
}

}  // namespace
}  // namespace shibumi::test
