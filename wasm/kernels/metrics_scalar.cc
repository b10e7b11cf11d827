// The scalar references of the further metrics: their definitions, a line each. Nothing calls them but tests.
#include "lanes.h"
#include "metrics.h"

namespace shibumi {

namespace {

template <class Term>
f32 sum_of_terms(const f32* a, const f32* b, u32 length, Term term) {
  f32 sum = 0;
  for (u32 i = 0; i < length; i++) sum += term(load_one(a + i), load_one(b + i));
  return sum;
}

/// x ln (x / m), continued by 0 at 0.
f32 relative_entropy(f32 x, f32 m) { return x == 0 ? 0 : x * __builtin_logf(x / m); }

u32 load_word(const f32* source) {
  u32 word;
  __builtin_memcpy(&word, source, sizeof word);
  return word;
}

}  // namespace

f32 l1_scalar(const f32* a, const f32* b, u32 length, f32) {
  return sum_of_terms(a, b, length, [](f32 x, f32 y) { return __builtin_fabsf(x - y); });
}

f32 linf_scalar(const f32* a, const f32* b, u32 length, f32) {
  f32 most = 0;
  for (u32 i = 0; i < length; i++) most = max_of(most, __builtin_fabsf(load_one(a + i) - load_one(b + i)));
  return most;
}

f32 lp_scalar(const f32* a, const f32* b, u32 length, f32 p) {
  return sum_of_terms(a, b, length, [p](f32 x, f32 y) { return __builtin_powf(__builtin_fabsf(x - y), p); });
}

f32 canberra_scalar(const f32* a, const f32* b, u32 length, f32) {
  return sum_of_terms(a, b, length, [](f32 x, f32 y) {
    // In f64, where the sum of two f32 cannot overflow.
    const f64 size = __builtin_fabs(x) + __builtin_fabs(static_cast<f64>(y));
    return size == 0 ? 0.0f : static_cast<f32>(__builtin_fabs(static_cast<f64>(x) - y) / size);
  });
}

f32 bray_curtis_scalar(const f32* a, const f32* b, u32 length, f32) {
  const f32 apart = l1_scalar(a, b, length, 0);
  const f32 size = sum_of_terms(a, b, length, [](f32 x, f32 y) { return __builtin_fabsf(x + y); });
  return apart == 0 ? 0 : apart / size;
}

f32 jensen_shannon_scalar(const f32* a, const f32* b, u32 length, f32) {
  return 0.5f * sum_of_terms(a, b, length, [](f32 x, f32 y) {
           const f32 m = 0.5f * x + 0.5f * y;
           return relative_entropy(x, m) + relative_entropy(y, m);
         });
}

f32 hamming_scalar(const f32* a, const f32* b, u32 words, f32) {
  u32 differ = 0;
  for (u32 i = 0; i < words; i++) differ += static_cast<u32>(__builtin_popcount(load_word(a + i) ^ load_word(b + i)));
  return static_cast<f32>(differ);
}

f32 jaccard_scalar(const f32* a, const f32* b, u32 words, f32) {
  u32 both = 0, either = 0;
  for (u32 i = 0; i < words; i++) {
    both += static_cast<u32>(__builtin_popcount(load_word(a + i) & load_word(b + i)));
    either += static_cast<u32>(__builtin_popcount(load_word(a + i) | load_word(b + i)));
  }
  return either == 0 ? 0 : static_cast<f32>(either - both) / static_cast<f32>(either);
}

}  // namespace shibumi
