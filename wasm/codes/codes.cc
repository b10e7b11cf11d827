#include "codes.h"

namespace shibumi {

namespace {

constexpr u32 kTrainedFirst = 32, kTrainedMost = 16384;

}  // namespace

void Codes::define(CodeKind kind, const Rows* rows, const Slots* slots, const Quantizer* quantizer) {
  *this = Codes{};
  kind_ = kind;
  rows_ = rows;
  slots_ = slots;
  quantizer_ = quantizer;
  if (!any()) return;
  records_.define(kCodes, record_bytes());
  stamps_.define(kCodeStamps, sizeof(u32));
}

u32 Codes::record_bytes() const {
  if (is(kPq)) return quantizer_->code_bytes();
  return is(kBits) ? bits_record_bytes(rows_->dimension) : sq8_record_bytes(rows_->dimension);
}

Status Codes::create() {
  if (!any()) return kOk;
  if (reserve(1, 0) != kOk) return kOutOfMemory;
  block_append(kCodeMeta);
  CodeSuperblock& super = meta();
  super.magic = kCodeMagic;
  super.version = kCodeVersion;
  super.kind = kind_;
  return kOk;
}

Status Codes::open(u32 slot_count, u32 live_count) {
  if (!any()) return kOk;
  if (segments[kCodeMeta].block_count == 0) {
    if (segments[kCodes].block_count + segments[kCodeStamps].block_count > 0) return kCorrupt;
    const Status made = create();
    if (made != kOk) return made;
  }
  const CodeSuperblock& super = meta_read();
  if (segments[kCodeMeta].block_count != 1 || super.magic != kCodeMagic || super.version != kCodeVersion ||
      super.kind != kind_ || super.slot_count > slot_count || super.reserved != 0 ||
      segments[kCodes].block_count != records_.blocks_for(super.slot_count) ||
      segments[kCodeStamps].block_count != stamps_.blocks_for(super.slot_count)) {
    return kCorrupt;
  }
  if (!written_at_insert()) return kOk;
  u32 missing = slot_count - super.slot_count;
  for (u32 slot = 0; slot < super.slot_count; slot++) missing += slots_->live(slot) && coded_stamp(slot) != slots_->record(slot).stamp;
  if (missing == 0) return kOk;
  // The centre of bits is made of all.
  if (is(kBits) && rows_->all_present(slot_count) != kOk) return kAbsent;
  if (reserve(missing_blocks(slot_count), segments[kCodes].block_count + segments[kCodeStamps].block_count + 1) != kOk) {
    return kOutOfMemory;
  }
  extend(slot_count);
  Status status = kOk;
  for (u32 slot = 0; slot < slot_count; slot++) {
    const u32 stamp = slots_->record(slot).stamp;
    if (stamp == 0 || coded_stamp(slot) == stamp) continue;
    if (rows_->present(slot)) {
      write(slot, stamp);
      continue;
    }
    status = kAbsent;
    if (!rows_->missed(slot)) break;
  }
  if (status == kOk) grown(slot_count, live_count);
  return status;
}

u32 Codes::missing_blocks(u32 slots_after) const {
  return written_at_insert() ? records_.missing_blocks(slots_after) + stamps_.missing_blocks(slots_after) : 0;
}

u32 Codes::touched_blocks(u32 count) const {
  if (!written_at_insert()) return 0;
  const u32 codes = segments[kCodes].block_count;
  return 1 + (is(kBits) ? codes : min_of(count, codes)) + min_of(count, segments[kCodeStamps].block_count);
}

u32 Codes::blocks_bound(u32 count) const {
  return written_at_insert() ? count / records_.per_block + count / stamps_.per_block + 4 : 0;
}

void Codes::extend(u32 slot_count) {
  CodeSuperblock& super = meta();
  super.slot_count = max_of(super.slot_count, slot_count);
  records_.extend(super.slot_count);
  stamps_.extend(super.slot_count);
}

void Codes::encode(u32 slot) const {
  const Probe probe = rows_->probe(slot);
  const f32 factor = rows_->metric == kCosine ? probe.inverse_norm : 1.0f;
  u8* record = records_.mut(slot);
  if (!is(kBits)) {
    sq8_encode(probe.values, rows_->dimension, factor, record);
  } else {
    bits_encode(probe.values, rows_->dimension, factor, centre(), record);
  }
}

void Codes::write(u32 slot, u32 stamp) {
  if (slot >= meta_read().slot_count) extend(slot + 1);
  encode(slot);
  *reinterpret_cast<u32*>(stamps_.mut(slot)) = stamp;
}

void Codes::write_pq(u32 slot, u32 stamp, u32 list, f32* residual) {
  if (slot >= meta_read().slot_count) extend(slot + 1);
  const Probe probe = rows_->probe(slot);
  quantizer_->encode(probe.values, rows_->metric == kCosine ? probe.inverse_norm : 1.0f, list, residual, records_.mut(slot));
  *reinterpret_cast<u32*>(stamps_.mut(slot)) = stamp;
}

void Codes::grown(u32 slot_count, u32 live_count) {
  if (!is(kBits) || live_count < kTrainedFirst) return;
  const u32 trained_on = meta_read().trained_on;
  if (trained_on < kTrainedMost && live_count / 4 >= trained_on) train(slot_count, live_count);
}

/// The mean of all live vectors becomes the centre, and everything is coded again.
void Codes::train(u32 slot_count, u32 live_count) {
  CodeSuperblock& super = meta();
  f32* mean = reinterpret_cast<f32*>(&super + 1);
  static_assert(sizeof(CodeSuperblock) + kDimensionMax * sizeof(f32) <= kBlockBytes);
  const u32 dimension = rows_->dimension;
  __builtin_memset(mean, 0, dimension * sizeof(f32));
  const f32 share = 1.0f / static_cast<f32>(live_count);
  for (u32 slot = 0; slot < slot_count; slot++) {
    if (!slots_->live(slot)) continue;
    const Probe probe = rows_->probe(slot);
    // Divided before it is added: no sum of finite vectors overflows.
    const f32 factor = share * (rows_->metric == kCosine ? probe.inverse_norm : 1.0f);
    for (u32 i = 0; i < dimension; i++) mean[i] += probe.values[i] * factor;
  }
  super.trained_on = live_count;
  for (u32 slot = 0; slot < slot_count; slot++) {
    if (slots_->live(slot)) encode(slot);
  }
}

bool Codes::prepare(const Probe& query) {
  const u32 dimension = rows_->dimension;
  if (is(kSq8)) {
    if (!query_.ensure(sq8_code_bytes(dimension) * sizeof(QueryLane), false)) return false;
    query_side_ = sq8_encode_query(query.values, dimension, query_.as<QueryLane>());
  } else if (is(kBits)) {
    if (!query_.ensure(bits_record_bytes(dimension), false)) return false;
    bits_encode(query.values, dimension, 1, centre(), query_.as<u8>());
  } else if (is(kPq)) {
    if (!query_.ensure(quantizer_->config().subspaces * kCodewords * sizeof(f32), false)) return false;
    quantizer_->make_tables(query, query_.as<f32>());
    f32 order;
    if (quantizer_->list_count() == 1) quantizer_->measure_lists(query, &order, &pq_base_);
  }
  return true;
}

}  // namespace shibumi
