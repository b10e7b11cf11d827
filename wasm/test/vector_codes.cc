// Codes: SQ8 and BQ find what the originals say is nearest, through deletes and replacements, and come back from storage
// whether they were stored, are older than the vectors, or are not there at all.
#include "../kernels/bit_difference.h"
#include "vector_fixture.h"

namespace shibumi::test {
namespace {

TEST(code_twins, "code kernels agree with their references at every length") {
  Random random(31);
  for (u32 bytes = 0; bytes <= 4096; bytes += bytes < 160 ? 16 : 496) {
    std::vector<QueryLane> query(bytes + 1);
    std::vector<u8> codes(4 * (bytes + 1) + 1);
    for (QueryLane& lane : query) lane = static_cast<QueryLane>(static_cast<i32>(random.below(255)) - 127);
    for (u8& code : codes) code = static_cast<u8>(random.below(128));
    // The greatest sums there are.
    for (u32 i = 0; bytes == 4096 && i < bytes; i++) query[i] = -127, codes[i + 1] = 127;
    const u8* c[4];
    for (u32 i = 0; i < 4; i++) c[i] = codes.data() + 1 + i * (bytes + 1);  // at any alignment
    i32 four[4];
    code_dot_x4_simd128(query.data(), c[0], c[1], c[2], c[3], bytes, four);
    for (u32 i = 0; i < 4; i++) {
      EXPECT(four[i] == code_dot_scalar(query.data(), c[i], bytes));
      EXPECT(code_dot_simd128(query.data(), c[i], bytes) == four[i]);
    }
    code_pair_dot_x4_simd128(c[0], c[0], c[1], c[2], c[3], bytes, four);
    for (u32 i = 0; i < 4; i++) {
      EXPECT(four[i] == code_pair_dot_scalar(c[0], c[i], bytes));
      EXPECT(code_pair_dot_simd128(c[0], c[i], bytes) == four[i]);
    }
    for (u32 words = 0; words <= bytes; words += 8) {
      EXPECT(bit_difference(c[0], c[1], words) == bit_difference_scalar(c[0], c[1], words));
    }
  }
}

struct Coded {
  VectorStore store;
  VectorModel model{24, kL2sq, {}};
};
Coded coded;

void fill(Metric metric, IndexKind index, CodeKind codes, u32 dimension, const Vector& rows, u32 count) {
  create_space(coded.store, dimension, metric, index, kIntIds, 8, codes);
  coded.model = {dimension, metric, {}};
  for (u32 first = 0; first < count; first += 100) {
    std::vector<i64> ids;
    for (u32 i = first; i < std::min(count, first + 100); i++) {
      ids.push_back(i);
      coded.model.rows[i].assign(row_of(rows, i, dimension), row_of(rows, i + 1, dimension));
    }
    EXPECT(insert_ints(coded.store, ids, row_of(rows, first, dimension)) == kOk);
  }
  EXPECT(coded.store.link(count) == kOk && coded.store.pending() == 0);
}

f64 coded_recall(const Vector& queries, u32 rerank) {
  const u32 dimension = coded.model.dimension, count = static_cast<u32>(queries.size()) / dimension;
  f64 sum = 0;
  for (u32 i = 0; i < count; i++) {
    const f32* query = row_of(queries, i, dimension);
    sum += recall(coded.model, query, search(coded.store, query, 10, 64, rerank), 10);
  }
  return sum / count;
}

constexpr CodeKind kKinds[] = {kSq8, kBits};
u32 candidates_of(CodeKind codes) { return codes == kSq8 ? 20 : 200; }

TEST(code_recall, "codes and re-ranking find what brute force finds, at odd dimensions too") {
  for (const u32 dimension : {24u, 33u, 129u}) {
    const Vector rows = clustered(2501, dimension, 30, 32), queries = clustered(20, dimension, 30, 32);
    for (const CodeKind codes : kKinds) {
      for (const IndexKind index : {kFlat, kHnsw}) {
        for (const Metric metric : {kL2sq, kIp, kCosine}) {
          fill(metric, index, codes, dimension, rows, 2500);
          const f64 found = coded_recall(queries, candidates_of(codes));
          const f64 floor = codes == kSq8 ? 0.97 : dimension < 100 ? 0.75 : 0.9;
          if (found < floor) std::printf(" [codes %u index %u metric %u d %u recall %.4f] ", codes, index, metric, dimension, found);
          EXPECT(found >= floor);
        }
      }
    }
  }
}

TEST(code_changes, "deleted and replaced vectors leave the codes, and what is stored opens again") {
  const u32 dimension = 40;
  const Vector rows = clustered(1501, dimension, 20, 33), queries = clustered(20, dimension, 20, 33);
  for (const CodeKind codes : kKinds) {
    for (const IndexKind index : {kFlat, kHnsw}) {
      fill(kL2sq, index, codes, dimension, rows, 1500);
      StoredImage image;
      image.save(kBothGroups);
      Random random(34);
      for (u32 turn = 0; turn < 600; turn++) {
        const i64 id = random.below(1500);
        if (turn % 2 == 0) {
          EXPECT(remove_int(coded.store, id) == (coded.model.rows.erase(id) ? kOk : kNotFound));
        } else {
          const f32* vector = row_of(rows, random.below(1500), dimension);
          EXPECT(insert_one(coded.store, id, vector) == kOk);
          coded.model.rows[id].assign(vector, vector + dimension);
        }
      }
      const f64 floor = codes == kSq8 ? 0.97 : 0.75;
      const u32 candidates = candidates_of(codes);
      EXPECT(coded_recall(queries, candidates) >= floor);
      EXPECT(coded.store.link(2000) == kOk);
      const f64 before = coded_recall(queries, candidates);
      EXPECT(before >= floor);
      // Stored codes that are older than the vectors.
      image.save(kPrimaryOnly);
      image.adopt();
      EXPECT(coded.store.open(true) == kOk);
      EXPECT(coded_recall(queries, candidates) >= floor);
      EXPECT(coded.store.link(2000) == kOk && coded.store.pending() == 0);
      EXPECT(coded_recall(queries, candidates) >= floor);
      // None at all.
      image.save(kBothGroups);
      for (auto block = image.blocks.begin(); block != image.blocks.end();) {
        block = block->first.first >= kCodeMeta && block->first.first <= kCodeStamps ? image.blocks.erase(block) : std::next(block);
      }
      image.adopt();
      EXPECT(coded.store.open(true) == kOk && coded.store.pending() == 0);
      EXPECT(coded_recall(queries, candidates) >= floor);
    }
  }
}

TEST(code_image, "code blocks that are not what they should be are refused") {
  const u32 dimension = 40;
  const Vector rows = clustered(301, dimension, 20, 35);
  fill(kL2sq, kFlat, kSq8, dimension, rows, 300);
  StoredImage image;
  image.save(kBothGroups);
  for (u32 at = 0; at < sizeof(CodeSuperblock); at += 4) {
    StoredImage mangled = image;
    std::string& super = mangled.blocks[{kCodeMeta, 0}];
    super.resize(sizeof(CodeSuperblock));
    super[at + 3] = static_cast<char>(super[at + 3] ^ 0x40);
    mangled.adopt();
    // How many vectors the centre of BQ was made from means nothing to SQ8.
    EXPECT((coded.store.open(true) == kCorrupt) == (at != offsetof(CodeSuperblock, trained_on)));
  }
  StoredImage without = image;
  without.blocks.erase({kCodeStamps, 0});
  without.adopt();
  EXPECT(coded.store.open(false) == kCorrupt);
}

TEST(code_extremes, "constant, zero, huge, tiny and far-off vectors are ordered as they are") {
  const u32 dimension = 7;
  for (const Metric metric : {kL2sq, kIp, kCosine}) {
    create_space(coded.store, dimension, metric, kFlat, kIntIds, 8, kSq8);
    coded.model = {dimension, metric, {}};
    Random random(36);
    for (i64 id = 0; id < 600; id++) {
      Vector vector(dimension);
      const f32 scale = id % 5 == 0 ? 0 : id % 5 == 1 ? 1e-20f : id % 5 == 2 ? 1e15f : 1;
      const f32 away = id % 5 == 4 ? 1000 : 0;
      for (f32& value : vector) value = scale * normal(random) + away;
      if (id % 7 == 0) std::fill(vector.begin(), vector.end(), scale);
      EXPECT(insert_one(coded.store, id, vector.data()) == kOk);
      coded.model.rows[id] = vector;
    }
    for (i64 id = 0; id < 600; id += 11) {
      const Vector& query = coded.model.rows[id];
      const std::vector<Answer> hits = search(coded.store, query.data(), 1, 1, 60);
      EXPECT(hits.size() == 1);
      const f64 nearest = coded.model.distances(query.data())[0];
      const f64 got = coded.model.distance(query.data(), coded.model.rows[hits[0].id]);
      EXPECT(got <= nearest + 1e-5 * (1 + __builtin_fabs(nearest)));
    }
    // Without re-ranking distances are estimates, and never anything but numbers.
    for (i64 id = 0; id < 600; id += 50) {
      for (const Answer& answer : search(coded.store, coded.model.rows[id].data(), 10, 1)) {
        EXPECT(answer.distance == answer.distance);
      }
    }
  }
}

TEST(code_bytes, "codes are the same bytes for the same work") {
  const u32 dimension = 40;
  const Vector rows = clustered(1001, dimension, 20, 37);
  StoredImage images[2];
  for (StoredImage& image : images) {
    fill(kCosine, kHnsw, kBits, dimension, rows, 1000);
    image.save(kBothGroups);
  }
  EXPECT(images[0].blocks == images[1].blocks);
}

}  // namespace
}  // namespace shibumi::test
