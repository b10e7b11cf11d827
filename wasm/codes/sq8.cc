#include "sq8.h"

#include "../kernels/lanes.h"

namespace shibumi {

namespace {

struct Range {
  f32 least, greatest;
};

Range range_of(const f32* values, u32 count) {
  Range range{load_one(values), load_one(values)};
  u32 i = 0;
  if (count >= 4) {
    Lanes least = load_lanes(values), greatest = least;
    for (i = 4; i + 4 <= count; i += 4) {
      const Lanes some = load_lanes(values + i);
      least = some < least ? some : least;
      greatest = some > greatest ? some : greatest;
    }
    for (u32 lane = 0; lane < 4; lane++) {
      range.least = min_of(range.least, least[lane]);
      range.greatest = max_of(range.greatest, greatest[lane]);
    }
  }
  for (; i < count; i++) {
    range.least = min_of(range.least, load_one(values + i));
    range.greatest = max_of(range.greatest, load_one(values + i));
  }
  return range;
}

/// Below it the inverse is not finite: such a vector is as good as constant.
constexpr f32 kLeastStep = 1e-37f;

/// `steps` between the least and the greatest value; 0 when there is no room for any.
f32 step_of(Range range, f32 factor, f32 steps) {
  const f32 step = (range.greatest * factor) / steps - (range.least * factor) / steps;
  return step >= kLeastStep ? step : 0;
}

}  // namespace

void sq8_encode(const f32* values, u32 dimension, f32 factor, u8* record) {
  constexpr f32 kSteps = 127;
  const Range range = range_of(values, dimension);
  Sq8Side& side = *reinterpret_cast<Sq8Side*>(record + sq8_code_bytes(dimension));
  side.scale = step_of(range, factor, kSteps);
  side.offset = range.least * factor;
  const f32 inverse = side.scale == 0 ? 0 : 1 / side.scale;
  u32 sum = 0, squares = 0;
  for (u32 i = 0; i < dimension; i++) {
    // A difference that overflows is infinite: the greatest code all the same.
    const f32 place = min_of((load_one(values + i) * factor - side.offset) * inverse + 0.5f, kSteps);
    const u32 code = place > 0 ? static_cast<u32>(place) : 0;
    record[i] = static_cast<u8>(code);
    sum += code;
    squares += code * code;
  }
  side.sum = side.scale * static_cast<f32>(sum);
  side.square = side.scale * (side.scale * static_cast<f32>(squares));
}

Sq8Side sq8_encode_query(const f32* values, u32 dimension, QueryLane* lanes) {
  constexpr f32 kMost = 127;
  const Range range = range_of(values, dimension);
  Sq8Side side{};
  side.scale = step_of(range, 1, 2 * kMost);
  side.offset = range.least / 2 + range.greatest / 2;
  const f32 inverse = side.scale == 0 ? 0 : 1 / side.scale;
  i32 sum = 0, squares = 0;
  for (u32 i = 0; i < dimension; i++) {
    const f32 place = (load_one(values + i) - side.offset) * inverse;
    const f32 bounded = max_of(min_of(place, kMost), -kMost);
    const i32 code = static_cast<i32>(bounded + (bounded < 0 ? -0.5f : 0.5f));
    lanes[i] = static_cast<QueryLane>(code);
    sum += code;
    squares += code * code;
  }
  for (u32 i = dimension; i < sq8_code_bytes(dimension); i++) lanes[i] = 0;
  side.sum = side.scale * static_cast<f32>(sum);
  side.square = side.scale * (side.scale * static_cast<f32>(squares));
  return side;
}

}  // namespace shibumi
