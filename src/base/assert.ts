/** Broken invariants are bugs, not conditions: they stop the engine instead of going on with wrong data. */
export function assert(condition: unknown, message: string): asserts condition {
  if (!condition) throw new Error(`Invariant broken: ${message}`);
}
