#include "ivf.h"

namespace shibumi {

namespace {

/// Multiplications of a slice of training: about a millisecond.
constexpr u64 kSliceWork = 4u << 20;

template <class Measure>
Measure measure_of_list(const Measure& measure, f32 base) {
  if constexpr (requires { measure.of_list(base); }) {
    return measure.of_list(base);
  } else {
    return measure;
  }
}

}  // namespace

void InvertedFile::define(const QuantizerConfig& config, const Rows* rows, const Slots* slots, Codes* codes) {
  if (!has_index(kIvf)) return;
  *this = InvertedFile{};
  rows_ = rows;
  slots_ = slots;
  codes_ = codes;
  quantizer_.define(config, rows);
  training_.define(&quantizer_, rows, slots);
  pending_.define(slots);
  if (any()) entries_.define(kListEntries, sizeof(ListEntry));
}

Status InvertedFile::open(u32 slot_count) {
  if (!any()) return kOk;
  const Status status = quantizer_.open();
  if (status != kOk) return status;
  const u32 entry_blocks = segments[kListEntries].block_count;
  if (entry_blocks > (trained() ? entries_.blocks_for(slot_count) : 0)) return kCorrupt;
  if (!lists_.start(list_count()) || !pending_.reserve(slot_count)) return kOutOfMemory;
  for (u32 slot = 0; slot < slot_count; slot++) {
    const u32 stamp = slots_->record(slot).stamp;
    if (stamp == 0) continue;
    if (!in_list(slot)) {
      pending_.add(slot, stamp);
      continue;
    }
    if (entry(slot).list >= list_count()) return kCorrupt;
    if (codes_->is(kPq) && (slot >= codes_->slot_count() || codes_->coded_stamp(slot) != stamp)) return kCorrupt;
    if (!lists_.reserve(1, slot_count)) return kOutOfMemory;
    lists_.add(entry(slot).list, slot);
  }
  pending_.sort();
  return kOk;
}

bool InvertedFile::in_list(u32 slot) const {
  if (entries_.block_of(slot) >= segments[kListEntries].block_count) return false;
  return entry(slot).stamp == slots_->record(slot).stamp;
}

f64 InvertedFile::training_left(u32 live_count) const {
  if (trained()) return 0;
  return min_of(1.0, training_.work_left(live_count) / max_of(1.0, training_.work_total(live_count)));
}

void InvertedFile::inserted(u32 slot, u32 stamp) {
  if (any()) pending_.add(slot, stamp);
}

void InvertedFile::removed(u32 slot) {
  if (!any()) return;
  if (in_list(slot)) {
    lists_.remove(entry(slot).list, slot);
  } else {
    pending_.freed();
  }
}

Status InvertedFile::step(u32 slot_count, u32 live_count) {
  return trained() ? assign_next() : training_.step(slot_count, live_count, kSliceWork);
}

Status InvertedFile::assign_next() {
  u32 slot, stamp;
  if (!pending_.first(slot, stamp)) return kOk;
  const bool coded = codes_->is(kPq);
  if (!lists_.reserve(1, slot + 1) || !residual_.ensure(rows_->dimension * sizeof(f32), false)) return kOutOfMemory;
  constexpr u32 kTouched = 4;  // the entry; of the code its record, stamp and superblock
  if (reserve(entries_.missing_blocks(slot + 1) + codes_->missing_pq_blocks(slot + 1), kTouched) != kOk) return kOutOfMemory;
  pending_.take();
  const Probe probe = rows_->probe(slot);
  const u32 list = quantizer_.list_of(probe.values, rows_->metric == kCosine ? probe.inverse_norm : 1.0f);
  if (coded) codes_->write_pq(slot, stamp, list, residual_.as<f32>());
  entries_.extend(slot + 1);
  *reinterpret_cast<ListEntry*>(entries_.mut(slot)) = {stamp, list};
  lists_.add(list, slot);
  return kOk;
}

// --- search ---------------------------------------------------------------------------------------------------------

namespace {

/// Moves the entry at `i` of a heap with the nearest on top down to where it belongs.
template <class Near>
void sift_down(Near* heap, u32 i, u32 count) {
  const Near moved = heap[i];
  for (u32 child; (child = 2 * i + 1) < count; i = child) {
    if (child + 1 < count && heap[child + 1].distance < heap[child].distance) child++;
    if (!(heap[child].distance < moved.distance)) break;
    heap[i] = heap[child];
  }
  heap[i] = moved;
}

}  // namespace

/// The lists that have slots, as a heap: a search looks at few of them, so they need not be sorted.
u32 InvertedFile::heap_lists(const f32* order, NearList* heap) const {
  u32 count = 0;
  for (u32 list = 0; list < list_count(); list++) {
    if (lists_.size(list) > 0) heap[count++] = {order[list], list};
  }
  for (u32 i = count / 2; i-- > 0;) sift_down(heap, i, count);
  return count;
}

Status InvertedFile::search(const Probe& query, u32 nprobe, const Allowed& allowed, TopK& best) {
  const u32 lists = list_count();
  if (!order_.ensure(lists * (2 * sizeof(f32) + sizeof(NearList)), false)) return kOutOfMemory;
  f32* const order = order_.as<f32>();
  f32* const bases = order + lists;
  NearList* const heap = reinterpret_cast<NearList*>(bases + lists);
  quantizer_.measure_lists(query, order, bases);
  u32 left = heap_lists(order, heap), probed = 0;
  with_source(*codes_, *rows_, query, [&](const auto& source) {
    const auto any_list = source.query();
    while (left > 0 && (probed < nprobe || best.count() + waiting() < best.capacity())) {
      const u32 list = heap[0].list;
      heap[0] = heap[--left];
      if (left > 0) sift_down(heap, 0, left);
      const auto measure = measure_of_list(any_list, bases[list]);
      bool hit = false;
      lists_.each_chunk(list, [&](const u32* slots, u32 count) {
        u32 some[PostingLists::kChunkSlots + 3], found = 0, seen = 0;
        const u8* records[PostingLists::kChunkSlots + 3];
        for (u32 i = 0; i < count; i++) {
          if (!allowed(slots[i])) continue;
          some[found] = slots[i];
          records[found] = measure.at(slots[i]);
          // Slots of a list lie anywhere: all are fetched before the first is measured.
          seen ^= measure.touch(records[found++], false);
        }
        if (found == 0) return;
        fetched = seen;
        hit = true;
        for (u32 i = found; i % 4 != 0; i++) records[i] = records[0];
        for (u32 i = 0; i < found; i += 4) {
          f32 distances[4];
          measure.distance_x4(records + i, distances);
          for (u32 j = 0; j < min_of(4u, found - i); j++) best.offer(some[i + j], distances[j]);
        }
      });
      probed += hit;
    }
  });
  return kOk;
}

void InvertedFile::scan_waiting(const Probe& query, const Allowed& allowed, TopK& best, bool by_codes) const {
  const auto scan = [&](const auto& measure) {
    pending_.each([&](u32 slot, u32) {
      if (allowed(slot)) best.offer(slot, measure.distance(measure.at(slot)));
    });
  };
  if (by_codes && codes_->written_at_insert()) {
    with_source(*codes_, *rows_, query, [&](const auto& source) { scan(source.query()); });
  } else {
    scan(RowSource(*rows_, query).query());
  }
}

}  // namespace shibumi
