// Metadata against a model: records come back as they were put, filters find what one look at each vector finds, through
// inserts, replacements, patches, deletes, checkpoints and reopening; and what breaks the grammar is refused.
#include "metadata_fixture.h"

namespace shibumi::test {

namespace {

std::string random_text(Random& random) {
  static const char* const texts[] = {"", "a", "ab", "b", "cat_0", "cat_1", "caf\xc3\xa9", "z"};
  if (random.below(20) == 0) return std::string("a\0b", 3);
  if (random.below(30) == 0) return std::string(kIndexedTextMax, 'x');
  return texts[random.below(8)];
}

Value random_value(Random& random, u8 field) {
  switch (field % 5) {
    case 0: return random_text(random);
    case 1: return static_cast<i64>(random.below(4) == 0 ? random.next() : random.below(40)) - 20;
    case 2: return random.below(9) == 0 ? -0.0 : (static_cast<f64>(random.below(64)) - 32) * (random.below(5) ? 0.25 : 1e300);
    case 3: return random.below(2) == 0;
    default: {
      std::vector<std::string> list(random.below(4));
      for (std::string& text : list) text = random_text(random);
      return list;
    }
  }
}

Fields random_fields(Random& random) {
  Fields fields;
  for (u8 field = 0; field < 5; field++) {
    if (random.below(4) > 0) fields.indexed[field] = random_value(random, field);
  }
  if (random.below(3) == 0) fields.named["note"] = "\"" + std::string(random.below(50), 'n') + "\"";
  if (random.below(25) == 0) fields.named["text"] = "\"" + std::string(random.below(14'000), 't') + "\"";
  return fields;
}

Condition random_condition(Random& random, u32 depth) {
  const u32 roll = depth == 0 ? 0 : random.below(5);
  if (roll == 2) return both(random_condition(random, depth - 1), random_condition(random, depth - 1));
  if (roll == 3) return either(random_condition(random, depth - 1), random_condition(random, depth - 1));
  if (roll == 4) return negated(random_condition(random, depth - 1));
  const u8 field = static_cast<u8>(random.below(5));
  const u8 like = field == 4 ? 0 : field;  // the texts of a list are compared one by one
  const Value value = random_value(random, like);
  if (random.below(2) == 0) return range_of(field, value, value, false, false);
  std::optional<Value> low, high;
  if (random.below(3) > 0) low = value;
  if (random.below(3) > 0) high = random_value(random, like);
  return range_of(field, low, high, random.below(2) == 0, random.below(2) == 0);
}

void expect_filter(VectorStore& store, const std::map<i64, Fields>& model, const Condition& condition) {
  Allowed allowed;
  EXPECT(store.filter(bytes_of_string(condition.program), allowed) == kOk);
  u32 matches = 0;
  for (const auto& [id, fields] : model) matches += condition.holds(fields);
  EXPECT(allowed.count == matches);
  std::vector<u32> slots(model.size() + 1);
  EXPECT(store.scan(nullptr, static_cast<u32>(slots.size()), slots.data(), allowed) == matches);
  for (u32 i = 0; i < matches; i++) EXPECT(condition.holds(model.at(id_of(store, slots[i]))));
}

}  // namespace

TEST(metadata_model, "records and filters agree with a model over random inserts, patches, deletes and reopenings") {
  VectorStore store;
  create_space(store, 2, kL2sq, kHnsw);
  std::map<i64, Fields> model;
  Random random(7);
  StoredImage image;
  const f32 vector[2] = {1, 2};
  for (u32 round = 0; round < 6000; round++) {
    const i64 id = random.below(700);
    const u32 roll = random.below(10);
    const Fields fields = random_fields(random);
    if (roll < 5) {
      EXPECT(insert_with(store, id, vector, record_of(fields)) == kOk);
      model[id] = fields;
    } else if (roll == 5) {
      EXPECT(insert_one(store, id, vector) == kOk);
      model[id] = {};
    } else if (roll == 6) {
      EXPECT(remove_int(store, id) == (model.erase(id) ? kOk : kNotFound));
    } else if (roll == 7) {
      const bool there = model.count(id) > 0;
      EXPECT(update_int(store, id, record_of(fields), true) == (there ? kOk : kNotFound));
      if (there) model[id] = fields;
    } else {
      std::vector<u8> cleared;
      for (u8 field = 0; field < 5; field++) {
        if (fields.indexed.count(field) == 0 && random.below(2) == 0) cleared.push_back(field);
      }
      const bool there = model.count(id) > 0;
      EXPECT(update_int(store, id, record_of(fields, cleared), false) == (there ? kOk : kNotFound));
      if (there) {
        for (const u8 field : cleared) model[id].indexed.erase(field);
        for (const auto& [field, value] : fields.indexed) model[id].indexed[field] = value;
        for (const auto& [name, json] : fields.named) model[id].named[name] = json;
      }
    }
    if (random.below(8) == 0 && model.count(id) > 0) EXPECT(metadata_of(store, id) == record_of(model[id]));
    if (random.below(8) == 0) {
      const Condition condition = random_condition(random, 4);
      expect_filter(store, model, condition);
      expect_filter(store, model, condition);  // as it was kept
    }
    if (round % 1000 == 999) {
      image.save(kBothGroups);
      image.adopt();
      EXPECT(store.open(true) == kOk);
      for (const auto& [each, its] : model) EXPECT(metadata_of(store, each) == record_of(its));
    }
  }
  while (!model.empty()) {
    EXPECT(remove_int(store, model.begin()->first) == kOk);
    model.erase(model.begin());
  }
  image.save(kBothGroups);
  image.adopt();
  EXPECT(store.open(true) == kOk);
}

TEST(metadata_grammar, "a record, patch or program against the grammar is refused and changes nothing") {
  VectorStore store;
  create_space(store, 1, kL2sq, kFlat);
  const f32 vector = 1;
  Fields fields;
  fields.indexed = {{0, std::string("a")}, {1, i64{5}}, {2, 0.5}, {3, true}, {4, std::vector<std::string>{"x", "y"}}};
  fields.named = {{"more", "[1]"}};
  const std::string record = record_of(fields);
  EXPECT(insert_with(store, 1, &vector, record) == kOk);
  // Every prefix that is not a whole number of entries, and every changed byte, is refused or is another good record.
  Random random(3);
  for (u32 i = 0; i < 4000; i++) {
    std::string bad = record;
    if (random.below(2) == 0) bad.resize(random.below(static_cast<u32>(bad.size())));
    for (u32 n = random.below(3); n > 0 && !bad.empty(); n--) bad[random.below(static_cast<u32>(bad.size()))] = static_cast<char>(random.next());
    const RecordShape shape = shape_of(bytes_of_string(bad));
    const Status status = insert_with(store, 2, &vector, bad);
    EXPECT(status == (shape.good && !shape.cleared ? kOk : kInvalid));
    if (status == kOk) EXPECT(metadata_of(store, 2) == bad && remove_int(store, 2) == kOk);
    EXPECT(update_int(store, 1, bad, false) == (shape.good ? kOk : kInvalid));
    EXPECT(update_int(store, 1, record, true) == kOk);
    Allowed allowed;
    const Status filtered = store.filter(bytes_of_string(bad), allowed);
    EXPECT(filtered == kOk || filtered == kInvalid);
  }
  Allowed allowed;
  for (const std::string& program : {std::string("\2"), std::string("\5\5"), std::string("\5\2"), std::string("\4"),
                                     std::string("\1"), std::string("\1\100\0", 3), std::string(100, '\5') + std::string(99, '\2')}) {
    EXPECT(store.filter(bytes_of_string(program), allowed) == kInvalid);
  }
  EXPECT(store.filter(bytes_of_string("\5"), allowed) == kOk && allowed.count == 1);
  EXPECT(insert_with(store, 2, &vector, record_of({{}, {{"n", std::string(kRecordBytesMax, '1')}}})) == kInvalid);
  EXPECT(update_int(store, 1, record_of({{}, {{"n", std::string(kRecordBytesMax - 20, '1')}}}), false) == kFull);
  EXPECT(metadata_of(store, 1) == record && store.live_count() == 1);
}

TEST(metadata_memory, "no write of metadata needs more frames than plan() said, with a checkpoint under way") {
  VectorStore store;
  create_space(store, 2, kL2sq, kFlat);
  Random random(11);
  const f32 vector[2] = {1, 2};
  for (u32 round = 0; round < 400; round++) {
    std::vector<i64> ids;
    std::vector<u32> ends;
    std::string bytes;
    u32 values = 0;
    for (u32 i = 1 + random.below(60); i > 0; i--) {
      ids.push_back(random.below(5000));
      const std::string record = record_of(random_fields(random));
      values += shape_of(bytes_of_string(record)).values;
      bytes += record;
      ends.push_back(static_cast<u32>(bytes.size()));
    }
    const u32 count = static_cast<u32>(ids.size());
    const Vector vectors(2 * count, 1.0f);
    const u32 planned = store.plan(count, 0, {0, values, static_cast<u32>(bytes.size())});
    EXPECT(hold(planned) == kOk);
    const i32 frozen = round % 3 == 0 ? checkpoint_begin(kBothGroups) : 0;
    EXPECT(frozen >= 0);
    const u32 before = frames_in_use();
    EXPECT(hold(0) == kOk);
    if (round % 2 == 0) {
      IdBatch batch;
      batch.ints = ids.data();
      const MetadataBatch metadata{ends.data(), reinterpret_cast<const u8*>(bytes.data())};
      EXPECT(store.insert(batch, raw(vectors.data()), count, metadata) == kOk);
    } else {
      for (u32 i = 0; i < count; i++) {
        const u32 start = i == 0 ? 0 : ends[i - 1];
        const Status status = update_int(store, ids[i], bytes.substr(start, ends[i] - start), false);
        EXPECT(status == kOk || status == kNotFound || status == kFull);
      }
    }
    // Transient buffers (marks, joined records) are not part of the promise.
    EXPECT(frames_in_use() <= before + planned + 4);
    if (round % 3 == 0) {
      for (u32 i = 0; i < static_cast<u32>(frozen); i++) checkpoint_copied(i);
      checkpoint_end(true);
    }
    EXPECT(insert_one(store, random.below(5000), vector) == kOk);
  }
}

}  // namespace shibumi::test
