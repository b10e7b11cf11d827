/** Many callers that each wait for their answer before they ask again. */

/** Runs `operation` for 0 … count - 1 from so many callers at a time; tells how many a second. */
export async function operationsPerSecond(
  callers: number,
  count: number,
  operation: (i: number) => Promise<unknown>,
): Promise<number> {
  let next = 0;
  const call = async (): Promise<void> => {
    while (next < count) await operation(next++);
  };
  const started = performance.now();
  await Promise.all(Array.from({ length: callers }, call));
  return (count * 1000) / (performance.now() - started);
}

/** Measures subjects in turn, round after round; what each round gave. */
export async function interleaved(
  rounds: number,
  subjects: Readonly<Record<string, () => Promise<number>>>,
): Promise<Map<string, number[]>> {
  const values = new Map(Object.keys(subjects).map((name): [string, number[]] => [name, []]));
  for (let round = 0; round < rounds; round++) {
    for (const [name, measure] of Object.entries(subjects)) values.get(name)?.push(await measure());
  }
  return values;
}
