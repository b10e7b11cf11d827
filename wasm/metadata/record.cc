#include "record.h"

#include "../kv/btree_page.h"

namespace shibumi {

bool ByteCursor::take(u32 count) {
  if (!good || count > left()) return good = false;
  at += count;
  return true;
}

u64 ByteCursor::varint() {
  u64 value = 0;
  for (u32 shift = 0; shift < 64; shift += 7) {
    const u8 next = byte();
    value |= static_cast<u64>(next & 127) << shift;
    if (next < 128) {
      // One way to write each number, so that equal records are equal bytes.
      if ((next == 0 && shift > 0) || (shift == 63 && next > 1)) good = false;
      return value;
    }
  }
  good = false;
  return 0;
}

Bytes ByteCursor::text() {
  const u64 length = varint();
  if (length > left() || !take(static_cast<u32>(length))) return good = false, Bytes{};
  return {at - length, static_cast<u32>(length)};
}

FieldValue read_value(ValueKind kind, ByteCursor& cursor) {
  FieldValue value;
  value.kind = kind;
  switch (kind) {
    case kString:
      value.text = cursor.text();
      if (value.text.length > kIndexedTextMax) cursor.good = false;
      break;
    case kInt: {
      const u64 zigzag = cursor.varint();
      value.integer = static_cast<i64>(zigzag >> 1 ^ (0 - (zigzag & 1)));
      break;
    }
    case kFloat:
      if (cursor.take(sizeof value.number)) __builtin_memcpy(&value.number, cursor.at - 8, sizeof value.number);
      if (!(__builtin_fabs(value.number) <= __DBL_MAX__)) cursor.good = false;
      break;
    case kFalse:
    case kTrue:
      break;
    default:
      cursor.good = false;
  }
  return value;
}

namespace {

u32 ordered_number(u64 bits, u8* out) {
  bits = __builtin_bswap64(bits);
  __builtin_memcpy(out, &bits, sizeof bits);
  return sizeof bits;
}

/// A zero byte becomes 0 255, and the end is 0 0: a text comes before all that begin with it.
u32 ordered_text(Bytes text, u8* out) {
  u32 length = 0;
  for (u32 i = 0; i < text.length; i++) {
    out[length++] = text.data[i];
    if (text.data[i] == 0) out[length++] = 255;
  }
  out[length++] = 0;
  out[length++] = 0;
  return length;
}

}  // namespace

u32 value_key(const FieldValue& value, u8* out) {
  switch (value.kind) {
    case kString:
      return ordered_text(value.text, out);
    case kInt:
      return ordered_number(static_cast<u64>(value.integer) ^ 1ull << 63, out);
    case kFloat: {
      const f64 number = value.number == 0 ? 0 : value.number;  // -0 is 0
      u64 bits;
      __builtin_memcpy(&bits, &number, sizeof bits);
      return ordered_number(bits >> 63 ? ~bits : bits | 1ull << 63, out);
    }
    default:
      out[0] = value.kind == kTrue;
      return 1;
  }
}

bool RecordReader::next() {
  if (!cursor_.good || cursor_.left() == 0) return false;
  const RecordReader before = *this;
  const u8* start = cursor_.at;
  field_ = cursor_.byte();
  name_ = {};
  if (field_ == kNamedTag) {
    name_ = cursor_.text();
    cleared_ = cursor_.text().length == 0;
    kind_ = kCleared;
    body_ = {};
    if (name_.length == 0) cursor_.good = false;
  } else {
    kind_ = static_cast<ValueKind>(cursor_.byte());
    cleared_ = kind_ == kCleared;
    const u8* body = cursor_.at;
    if (kind_ == kStrings) {
      const u64 count = cursor_.varint();
      for (u64 i = 0; i < count && cursor_.good; i++) read_value(kString, cursor_);
    } else if (!cleared_) {
      read_value(kind_, cursor_);
    }
    body_ = {body, static_cast<u32>(cursor_.at - body)};
    if (field_ >= kFieldsMax) cursor_.good = false;
  }
  entry_ = {start, static_cast<u32>(cursor_.at - start)};
  begun_ = true;
  if (before.begun_ && before.compare(*this) >= 0) cursor_.good = false;
  return cursor_.good;
}

i32 RecordReader::compare(const RecordReader& other) const {
  if (field_ != other.field_) return field_ < other.field_ ? -1 : 1;
  return field_ == kNamedTag ? compare_keys(name_, other.name_) : 0;
}

RecordShape shape_of(Bytes record) {
  RecordShape shape;
  RecordReader reader(record);
  while (reader.next()) {
    shape.cleared = shape.cleared || reader.cleared();
    reader.values([&shape](const FieldValue&) { shape.values++; });
  }
  shape.good = reader.good();
  return shape;
}

u32 apply_patch(Bytes record, Bytes patch, u8* out) {
  RecordReader old(record), changed(patch);
  u32 length = 0;
  const auto keep = [out, &length](Bytes entry) {
    __builtin_memcpy(out + length, entry.data, entry.length);
    length += entry.length;
  };
  bool more_old = old.next(), more_changed = changed.next();
  while (more_old || more_changed) {
    const i32 order = !more_old ? 1 : !more_changed ? -1 : old.compare(changed);
    if (order < 0) {
      keep(old.entry());
    } else if (!changed.cleared()) {
      keep(changed.entry());
    }
    if (order <= 0) more_old = old.next();
    if (order >= 0) more_changed = changed.next();
  }
  return length;
}

}  // namespace shibumi
