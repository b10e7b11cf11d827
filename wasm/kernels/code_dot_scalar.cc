// The scalar references of code_dot.h. Nothing calls them but tests.
#include "code_dot.h"

namespace shibumi {

i32 code_dot_scalar(const QueryLane* query, const u8* code, u32 bytes) {
  i32 sum = 0;
  for (u32 i = 0; i < bytes; i++) sum += query[i] * code[i];
  return sum;
}

void code_dot_x4_scalar(const QueryLane* query, const u8* c0, const u8* c1, const u8* c2, const u8* c3, u32 bytes,
                        i32* out) {
  const u8* codes[4] = {c0, c1, c2, c3};
  for (u32 c = 0; c < 4; c++) out[c] = code_dot_scalar(query, codes[c], bytes);
}

i32 code_pair_dot_scalar(const u8* a, const u8* b, u32 bytes) {
  i32 sum = 0;
  for (u32 i = 0; i < bytes; i++) sum += a[i] * b[i];
  return sum;
}

void code_pair_dot_x4_scalar(const u8* a, const u8* c0, const u8* c1, const u8* c2, const u8* c3, u32 bytes, i32* out) {
  const u8* codes[4] = {c0, c1, c2, c3};
  for (u32 c = 0; c < 4; c++) out[c] = code_pair_dot_scalar(a, codes[c], bytes);
}

}  // namespace shibumi
