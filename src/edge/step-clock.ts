/**
 * A monotonic clock for a runtime whose clocks stand still while code runs: Workers advance them only when something comes
 * in, so that a loop "until 8 ms have passed" would never end. Here every look at a clock that has not moved counts as a
 * step of its own: work is measured by how often it looks.
 */

/** What one look counts for, about what the engine does between two: a handful of links. */
const stepMs = 1;

export function stepClock(clock: () => number): () => number {
  let seen = clock();
  let steps = 0;
  return () => {
    const time = clock();
    if (time > seen + steps * stepMs) {
      seen = time;
      steps = 0;
    } else {
      steps++;
    }
    return seen + steps * stepMs;
  };
}
