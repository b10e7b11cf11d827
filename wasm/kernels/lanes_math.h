// What the metrics need of arithmetic beyond + - * /, four lanes at a time: absolute values, choice, logarithm and power.
//
// Logarithm and power are made of their series, cut where the next term is below an f32's last bit. Errors: log2_of
// 2 units in the last place of the larger of the result and 1; power_of about 1e-7 (2 + |p log2 x|), relative.
#pragma once

#include "lanes.h"

namespace shibumi {


inline Lanes splat(f32 value) { return Lanes{value, value, value, value}; }

inline Lanes abs_of(Lanes lanes) {
  const MaskLanes magnitude = {0x7fffffffu, 0x7fffffffu, 0x7fffffffu, 0x7fffffffu};
  return reinterpret_cast<Lanes>(reinterpret_cast<MaskLanes>(lanes) & magnitude);
}

/// `mask` lane by lane all ones or all zeros, as comparisons give it.
template <class Mask>
inline Lanes choose(Mask mask, Lanes yes, Lanes no) {
  const MaskLanes bits = reinterpret_cast<MaskLanes>(mask);
  return reinterpret_cast<Lanes>((reinterpret_cast<MaskLanes>(yes) & bits) |
                                 (reinterpret_cast<MaskLanes>(no) & ~bits));
}

inline Lanes max_lanes(Lanes a, Lanes b) { return choose(a > b, a, b); }

/// Of numbers >= 0; finite for 0 (about -149), so that 0 * log2_of(0) is 0.
inline Lanes log2_of(Lanes x) {
  // Denormals are scaled up first: their exponent is not in their bits.
  const auto small = x < splat(1.17549435e-38f);
  const Lanes shift = choose(small, splat(-23), splat(0));
  x = choose(small, x * splat(8388608.0f), x);
  x = max_lanes(x, splat(1.17549435e-38f));
  // x = 2^exponent * mantissa, the mantissa from sqrt(1/2) to sqrt(2).
  const IntLanes bits = reinterpret_cast<IntLanes>(x);
  const IntLanes exponent = (bits - 0x3f3504f3) >> 23;
  const Lanes mantissa = reinterpret_cast<Lanes>(bits - (exponent << 23));
  const Lanes whole = __builtin_convertvector(exponent, Lanes) + shift;
  // ln m = 2 (s + s^3 / 3 + s^5 / 5 + ...), s = (m - 1) / (m + 1), |s| < 0.172.
  const Lanes s = (mantissa - splat(1)) / (mantissa + splat(1));
  const Lanes ss = s * s;
  constexpr f32 kSeries[] = {1.0f / 7, 1.0f / 5, 1.0f / 3, 1.0f};
  Lanes series = splat(1.0f / 9);
  for (const f32 coefficient : kSeries) series = series * ss + splat(coefficient);
  return whole + s * series * splat(2.88539008f);
}

/// 2^x; 0 below the normal range, infinite above the largest f32.
inline Lanes exp2_of(Lanes x) {
  const Lanes inside = max_lanes(splat(-127), choose(x > splat(128), splat(128), x));
  const IntLanes whole = __builtin_convertvector(inside + choose(inside < splat(0), splat(-0.5f), splat(0.5f)), IntLanes);
  // e^y, |y| <= ln 2 / 2.
  const Lanes y = (inside - __builtin_convertvector(whole, Lanes)) * splat(0.69314718f);
  constexpr f32 kSeries[] = {1.0f / 720, 1.0f / 120, 1.0f / 24, 1.0f / 6, 0.5f, 1.0f, 1.0f};
  Lanes series = splat(1.0f / 5040);
  for (const f32 coefficient : kSeries) series = series * y + splat(coefficient);
  // In two steps, as 2^128 is no f32: 2^127 times 2.
  const Lanes half = reinterpret_cast<Lanes>(((whole >> 1) + 127) << 23);
  const Lanes rest = reinterpret_cast<Lanes>(((whole - (whole >> 1)) + 127) << 23);
  return choose(x < splat(-126), splat(0), series * half * rest);
}

/// x^p for x >= 0 and p > 0.
inline Lanes power_of(Lanes x, f32 p) {
  return choose(x == splat(0), splat(0), exp2_of(splat(p) * log2_of(x)));
}

}  // namespace shibumi
