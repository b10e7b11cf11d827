// Metadata for native tests: fields as a test writes them, records and filter programs as the host encodes them, and a
// model that evaluates filters one vector at a time.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "vector_fixture.h"

namespace shibumi::test {

using Value = std::variant<std::string, i64, f64, bool, std::vector<std::string>>;
/// By field number; names of fields that are not indexed have values that are JSON.
struct Fields {
  std::map<u8, Value> indexed;
  std::map<std::string, std::string> named;
  bool operator==(const Fields&) const = default;
};

inline void put_varint(std::string& out, u64 value) {
  for (; value >= 128; value >>= 7) out += static_cast<char>(value | 128);
  out += static_cast<char>(value);
}
inline void put_text(std::string& out, const std::string& text) {
  put_varint(out, text.size());
  out += text;
}
inline void put_value(std::string& out, const Value& value) {
  if (const auto* text = std::get_if<std::string>(&value)) {
    out += static_cast<char>(kString);
    put_text(out, *text);
  } else if (const auto* integer = std::get_if<i64>(&value)) {
    out += static_cast<char>(kInt);
    put_varint(out, static_cast<u64>(*integer) << 1 ^ static_cast<u64>(*integer >> 63));
  } else if (const auto* number = std::get_if<f64>(&value)) {
    out += static_cast<char>(kFloat);
    out.append(reinterpret_cast<const char*>(number), 8);
  } else if (const auto* flag = std::get_if<bool>(&value)) {
    out += static_cast<char>(*flag ? kTrue : kFalse);
  } else {
    const auto& list = std::get<std::vector<std::string>>(value);
    out += static_cast<char>(kStrings);
    put_varint(out, list.size());
    for (const std::string& text : list) put_text(out, text);
  }
}

/// A record; with `cleared` a patch that takes those fields away.
inline std::string record_of(const Fields& fields, const std::vector<u8>& cleared = {}) {
  std::map<u8, std::string> entries;
  for (const auto& [field, value] : fields.indexed) put_value(entries[field] = std::string(1, static_cast<char>(field)), value);
  for (const u8 field : cleared) entries[field] = {static_cast<char>(field), static_cast<char>(kCleared)};
  std::string out;
  for (const auto& [field, entry] : entries) out += entry;
  for (const auto& [name, json] : fields.named) {
    out += static_cast<char>(kNamedTag);
    put_text(out, name);
    put_text(out, json);
  }
  return out;
}

/// A filter program and what it means.
struct Condition {
  std::string program;
  std::function<bool(const Fields&)> holds;
};

/// Values of `field` from `low` to `high`; either may be missing, and each may be exclusive.
inline Condition range_of(u8 field, std::optional<Value> low, std::optional<Value> high, bool low_open, bool high_open) {
  Condition out;
  out.program = {static_cast<char>(1), static_cast<char>(field), static_cast<char>(1)};
  for (const auto& [limit, open] : {std::pair{&low, low_open}, std::pair{&high, high_open}}) {
    out.program += static_cast<char>(limit->has_value() ? 1 + open : 0);
    if (limit->has_value()) put_value(out.program, **limit);
  }
  out.holds = [=](const Fields& fields) {
    const auto there = fields.indexed.find(field);
    if (there == fields.indexed.end()) return false;
    const auto inside = [&](const Value& value) {
      if (low && (value < *low || (low_open && value == *low))) return false;
      return !(high && (value > *high || (high_open && value == *high)));
    };
    if (const auto* list = std::get_if<std::vector<std::string>>(&there->second)) {
      for (const std::string& text : *list) {
        if (inside(Value(text))) return true;
      }
      return false;
    }
    return inside(there->second);
  };
  return out;
}
inline Condition both(const Condition& a, const Condition& b) {
  return {a.program + b.program + '\2', [=](const Fields& f) { return a.holds(f) && b.holds(f); }};
}
inline Condition either(const Condition& a, const Condition& b) {
  return {a.program + b.program + '\3', [=](const Fields& f) { return a.holds(f) || b.holds(f); }};
}
inline Condition negated(const Condition& a) {
  return {a.program + '\4', [=](const Fields& f) { return !a.holds(f); }};
}

inline Status insert_with(VectorStore& store, i64 id, const f32* vector, const std::string& record) {
  IdBatch ids;
  ids.ints = &id;
  const u32 end = static_cast<u32>(record.size());
  MetadataBatch metadata;
  metadata.ends = &end;
  metadata.bytes = reinterpret_cast<const u8*>(record.data());
  return store.insert(ids, raw(vector), 1, metadata);
}
inline Status update_int(VectorStore& store, i64 id, const std::string& patch, bool replace) {
  u8 key[8];
  int_key(id, key);
  return store.update_metadata({key, 8}, bytes_of_string(patch), replace);
}
inline std::string metadata_of(VectorStore& store, i64 id) {
  u8 key[8];
  int_key(id, key);
  u32 slot = 0;
  EXPECT(store.find({key, 8}, slot) == kOk);
  const Bytes record = store.metadata(slot);
  return std::string(reinterpret_cast<const char*>(record.data), record.length);
}

}  // namespace shibumi::test
