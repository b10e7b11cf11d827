// What is stored of a vector's metadata: a record, one entry a field.
//
//   record := entry*            ascending: indexed fields by number, then the others by the bytes of their names
//   entry  := field u8 < 64, kind u8, body                        an indexed field
//           | 255 u8, length varint, name, length varint, JSON    any other; without JSON it is cleared
//   body   := kString: text | kInt: zigzag varint | kFloat: f64 | kFalse, kTrue, kCleared: nothing
//           | kStrings: count varint, count x text
//   text   := length varint, UTF-8
//
// A varint is LEB128. `kCleared`, and a name without JSON, stand in patches only: applying a patch to a record puts the
// patch's entries in place of the record's of the same field and leaves cleared ones out.
//
// A value's *key* is its bytes in an order that compares as the values do: how it is found again (postings.h).
//
// Nothing here trusts its bytes: a reader ends with `good() == false` where they break the grammar.
#pragma once

#include "../kv/btree.h"

namespace shibumi {

enum ValueKind : u8 { kCleared = 0, kString = 1, kInt = 2, kFloat = 3, kFalse = 4, kTrue = 5, kStrings = 6 };

constexpr u32 kFieldsMax = 64;
constexpr u8 kNamedTag = 255;
/// The longest indexed text, in bytes.
constexpr u32 kIndexedTextMax = 1024;
/// A text's key at its longest: every byte escaped, and the end.
constexpr u32 kValueKeyMax = 2 * kIndexedTextMax + 2;

/// A position in untrusted bytes; a read past the end makes it bad and answers zeros.
struct ByteCursor {
  const u8* at = nullptr;
  const u8* end = nullptr;
  bool good = true;

  explicit ByteCursor(Bytes bytes) : at(bytes.data), end(bytes.data + bytes.length) {}
  u32 left() const { return static_cast<u32>(end - at); }
  u8 byte() { return take(1) ? at[-1] : 0; }
  u64 varint();
  Bytes text();
  bool take(u32 count);
};

/// One value of an indexed field. Texts of a list come one by one.
struct FieldValue {
  ValueKind kind = kCleared;  // never kStrings
  Bytes text;
  i64 integer = 0;
  f64 number = 0;
};

/// Reads the value of `kind` at the cursor (not a list). A bad kind makes the cursor bad.
FieldValue read_value(ValueKind kind, ByteCursor& cursor);
/// Writes the value's key and returns its length, kValueKeyMax at most. Requires: a text of at most kIndexedTextMax.
u32 value_key(const FieldValue& value, u8* out);

class RecordReader {
 public:
  explicit RecordReader(Bytes record) : cursor_(record) {}

  /// Steps to the next entry; false at the end or where the grammar is broken.
  bool next();
  /// Whether everything so far was as it should be.
  bool good() const { return cursor_.good; }

  u8 field() const { return field_; }            // < kFieldsMax, or kNamedTag
  ValueKind kind() const { return kind_; }       // of an indexed field
  bool cleared() const { return cleared_; }
  Bytes entry() const { return entry_; }         // the whole of it
  /// Calls `visit(FieldValue)` for the value of an indexed field, or for each of a list's.
  template <class Visit>
  void values(Visit visit) const {
    ByteCursor body(body_);
    u64 count = kind_ == kStrings ? body.varint() : kind_ == kCleared ? 0 : 1;
    for (; count > 0; count--) visit(read_value(kind_ == kStrings ? kString : kind_, body));
  }
  /// < 0, 0, > 0 as this entry's field comes before, with, after the other's.
  i32 compare(const RecordReader& other) const;

 private:
  ByteCursor cursor_;
  u8 field_ = 0;
  ValueKind kind_ = kCleared;
  bool cleared_ = false;
  bool begun_ = false;
  Bytes entry_, body_, name_;
};

/// What a record or patch holds; `good` when it keeps the grammar.
struct RecordShape {
  bool good = false;
  bool cleared = false;  // some entry clears: a patch, not a record
  u32 values = 0;        // of indexed fields, each of a list counted
};
RecordShape shape_of(Bytes record);

/// Writes `record` with `patch` applied to `out`, which has room for both, and returns its length. Requires: both good.
u32 apply_patch(Bytes record, Bytes patch, u8* out);

}  // namespace shibumi
