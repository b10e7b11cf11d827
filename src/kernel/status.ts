/** What every export of the core may return; mirrors wasm/core/status.h (a unit test compares the two). */
export const Status = {
  Ok: 0,
  NotFound: 1,
  Invalid: -1,
  OutOfMemory: -2,
  Corrupt: -3,
  Full: -4,
  Absent: -5,
  OtherCore: -6,
} as const;
