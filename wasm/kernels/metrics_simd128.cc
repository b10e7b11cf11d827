// The twins that run. A metric is a *term*: what it keeps while lanes of both vectors go by, and what it makes of that at
// the end. All terms of (0, 0) are 0, so a tail is filled up with zeros and goes the way of the rest.
#include "lanes.h"
#include "lanes_math.h"
#include "metrics.h"

namespace shibumi {

namespace {

Lanes load_tail(const f32* source, u32 count) {
  Lanes lanes = {};
  __builtin_memcpy(&lanes, source, count * sizeof(f32));
  return lanes;
}

struct L1Term {
  Lanes sum = {};
  explicit L1Term(f32) {}
  void add(Lanes x, Lanes y) { sum += abs_of(x - y); }
  void join(const L1Term& other) { sum += other.sum; }
  f32 finish() const { return sum_of(sum); }
};

struct LinfTerm {
  Lanes most = {};
  explicit LinfTerm(f32) {}
  void add(Lanes x, Lanes y) { most = max_lanes(most, abs_of(x - y)); }
  void join(const LinfTerm& other) { most = max_lanes(most, other.most); }
  f32 finish() const { return max_of(max_of(most[0], most[1]), max_of(most[2], most[3])); }
};

/// Whole powers, the usual ones, by multiplication.
struct LpWholeTerm {
  Lanes sum = {};
  u32 power;
  explicit LpWholeTerm(f32 p) : power(static_cast<u32>(p)) {}
  void add(Lanes x, Lanes y) {
    Lanes square = abs_of(x - y), product = splat(1);
    for (u32 left = power; left > 0; left >>= 1, square *= square) {
      if (left & 1) product *= square;
    }
    sum += product;
  }
  void join(const LpWholeTerm& other) { sum += other.sum; }
  f32 finish() const { return sum_of(sum); }
};

struct LpTerm {
  Lanes sum = {};
  f32 p;
  explicit LpTerm(f32 power) : p(power) {}
  void add(Lanes x, Lanes y) { sum += power_of(abs_of(x - y), p); }
  void join(const LpTerm& other) { sum += other.sum; }
  f32 finish() const { return sum_of(sum); }
};

struct CanberraTerm {
  Lanes sum = {};
  explicit CanberraTerm(f32) {}
  void add(Lanes x, Lanes y) {
    // Halved where the sum of both could overflow; not below, where halving could lose a denormal.
    const Lanes half = choose(max_lanes(abs_of(x), abs_of(y)) > splat(1), splat(0.5f), splat(1));
    x *= half, y *= half;
    const Lanes size = abs_of(x) + abs_of(y);
    sum += abs_of(x - y) / choose(size == splat(0), splat(1), size);
  }
  void join(const CanberraTerm& other) { sum += other.sum; }
  f32 finish() const { return sum_of(sum); }
};

struct BrayCurtisTerm {
  Lanes apart = {}, size = {};
  explicit BrayCurtisTerm(f32) {}
  SHIBUMI_HOT void add(Lanes x, Lanes y) {
    apart += abs_of(x - y);
    size += abs_of(x + y);
  }
  void join(const BrayCurtisTerm& other) { apart += other.apart, size += other.size; }
  f32 finish() const {
    const f32 all_apart = sum_of(apart);
    return all_apart == 0 ? 0 : all_apart / sum_of(size);
  }
};

/// With m = (x + y) / 2 and t = (x - y) / (x + y), a term is m h(t), h(t) = (1 + t) ln (1 + t) + (1 - t) ln (1 - t). The
/// definition subtracts two numbers that are nearly the same when x and y are; h does not, and it has a series for small t:
/// t^2 + t^4 / 6 + t^6 / 15 + ... + t^2k / (k (2k - 1)).
struct JensenShannonTerm {
  Lanes sum = {};
  explicit JensenShannonTerm(f32) {}
  void add(Lanes x, Lanes y) {
    const Lanes m = splat(0.5f) * x + splat(0.5f) * y;
    const Lanes t = (splat(0.5f) * x - splat(0.5f) * y) / choose(m == splat(0), splat(1), m);
    const Lanes tt = t * t;
    constexpr f32 kSeries[] = {1.0f / 45, 1.0f / 28, 1.0f / 15, 1.0f / 6, 1.0f};
    Lanes series = splat(1.0f / 66);
    for (const f32 coefficient : kSeries) series = series * tt + splat(coefficient);
    const Lanes up = splat(1) + t, down = splat(1) - t;
    // 0 ln 0 is 0: log2_of(0) is finite.
    const Lanes logs = (up * log2_of(up) + down * log2_of(down)) * splat(0.69314718f);
    sum += m * choose(tt < splat(0.0625f), series * tt, logs);
  }
  void join(const JensenShannonTerm& other) { sum += other.sum; }
  f32 finish() const { return 0.5f * sum_of(sum); }
};

template <class Term>
f32 measure_pair(const f32* a, const f32* b, u32 length, f32 p) {
  Term first(p), second(p);
  u32 i = 0;
  for (; i + 8 <= length; i += 8) {
    first.add(load_lanes(a + i), load_lanes(b + i));
    second.add(load_lanes(a + i + 4), load_lanes(b + i + 4));
  }
  for (; i < length; i += 4) {
    const u32 count = min_of(4u, length - i);
    first.add(load_tail(a + i, count), load_tail(b + i, count));
  }
  first.join(second);
  return first.finish();
}

template <class Term>
void measure_four(const f32* query, const f32* const* four, u32 length, f32 p, f32* out) {
  Term terms[4] = {Term(p), Term(p), Term(p), Term(p)};
  u32 i = 0;
  for (; i + 4 <= length; i += 4) {
    const Lanes q = load_lanes(query + i);
    for (u32 v = 0; v < 4; v++) terms[v].add(q, load_lanes(four[v] + i));
  }
  if (i < length) {
    const Lanes q = load_tail(query + i, length - i);
    for (u32 v = 0; v < 4; v++) terms[v].add(q, load_tail(four[v] + i, length - i));
  }
  for (u32 v = 0; v < 4; v++) out[v] = terms[v].finish();
}

/// The larger powers a product overflows or vanishes at are no distances any more.
constexpr f32 kWholePowerMax = 64;
bool is_whole_power(f32 p) { return p <= kWholePowerMax && p == static_cast<f32>(static_cast<u32>(p)); }

// Bits, 64 at a time: i64.popcnt is faster here than counting in lanes.

u64 load_64(const f32* source, u32 words) {
  u64 bits = 0;
  __builtin_memcpy(&bits, source, words * 4);
  return bits;
}

u32 ones(u64 bits) { return static_cast<u32>(__builtin_popcountll(bits)); }

f32 jaccard_of(u32 both, u32 either) {
  return either == 0 ? 0 : static_cast<f32>(either - both) / static_cast<f32>(either);
}

}  // namespace

f32 l1_simd128(const f32* a, const f32* b, u32 length, f32 p) { return measure_pair<L1Term>(a, b, length, p); }
f32 linf_simd128(const f32* a, const f32* b, u32 length, f32 p) { return measure_pair<LinfTerm>(a, b, length, p); }
f32 lp_simd128(const f32* a, const f32* b, u32 length, f32 p) {
  return is_whole_power(p) ? measure_pair<LpWholeTerm>(a, b, length, p) : measure_pair<LpTerm>(a, b, length, p);
}
f32 canberra_simd128(const f32* a, const f32* b, u32 length, f32 p) {
  return measure_pair<CanberraTerm>(a, b, length, p);
}
f32 bray_curtis_simd128(const f32* a, const f32* b, u32 length, f32 p) {
  return measure_pair<BrayCurtisTerm>(a, b, length, p);
}
f32 jensen_shannon_simd128(const f32* a, const f32* b, u32 length, f32 p) {
  return measure_pair<JensenShannonTerm>(a, b, length, p);
}

void l1_x4_simd128(const f32* query, const f32* const* four, u32 length, f32 p, f32* out) {
  measure_four<L1Term>(query, four, length, p, out);
}
void linf_x4_simd128(const f32* query, const f32* const* four, u32 length, f32 p, f32* out) {
  measure_four<LinfTerm>(query, four, length, p, out);
}
void lp_x4_simd128(const f32* query, const f32* const* four, u32 length, f32 p, f32* out) {
  if (is_whole_power(p)) return measure_four<LpWholeTerm>(query, four, length, p, out);
  measure_four<LpTerm>(query, four, length, p, out);
}
void canberra_x4_simd128(const f32* query, const f32* const* four, u32 length, f32 p, f32* out) {
  measure_four<CanberraTerm>(query, four, length, p, out);
}
void bray_curtis_x4_simd128(const f32* query, const f32* const* four, u32 length, f32 p, f32* out) {
  measure_four<BrayCurtisTerm>(query, four, length, p, out);
}
void jensen_shannon_x4_simd128(const f32* query, const f32* const* four, u32 length, f32 p, f32* out) {
  measure_four<JensenShannonTerm>(query, four, length, p, out);
}

f32 hamming_simd128(const f32* a, const f32* b, u32 words, f32) {
  u32 differ = 0;
  for (u32 i = 0; i < words; i += 2) {
    const u32 count = min_of(2u, words - i);
    differ += ones(load_64(a + i, count) ^ load_64(b + i, count));
  }
  return static_cast<f32>(differ);
}

f32 jaccard_simd128(const f32* a, const f32* b, u32 words, f32) {
  u32 both = 0, either = 0;
  for (u32 i = 0; i < words; i += 2) {
    const u32 count = min_of(2u, words - i);
    const u64 x = load_64(a + i, count), y = load_64(b + i, count);
    both += ones(x & y);
    either += ones(x | y);
  }
  return jaccard_of(both, either);
}

void hamming_x4_simd128(const f32* query, const f32* const* four, u32 words, f32, f32* out) {
  u32 differ[4] = {};
  for (u32 i = 0; i < words; i += 2) {
    const u32 count = min_of(2u, words - i);
    const u64 q = load_64(query + i, count);
    for (u32 v = 0; v < 4; v++) differ[v] += ones(q ^ load_64(four[v] + i, count));
  }
  for (u32 v = 0; v < 4; v++) out[v] = static_cast<f32>(differ[v]);
}

void jaccard_x4_simd128(const f32* query, const f32* const* four, u32 words, f32, f32* out) {
  u32 both[4] = {}, either[4] = {};
  for (u32 i = 0; i < words; i += 2) {
    const u32 count = min_of(2u, words - i);
    const u64 q = load_64(query + i, count);
    for (u32 v = 0; v < 4; v++) {
      const u64 other = load_64(four[v] + i, count);
      both[v] += ones(q & other);
      either[v] += ones(q | other);
    }
  }
  for (u32 v = 0; v < 4; v++) out[v] = jaccard_of(both[v], either[v]);
}

}  // namespace shibumi
