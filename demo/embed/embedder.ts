/**
 * What an embedder is to the demo: text in, unit vectors out.
 *
 * Vectors of two embedders are never comparable, so each embedder has its own space, named by `id`.
 * An embedder keeps no state that changes its answers: the same text gives the same vector in every
 * session, or passages stored yesterday could not be found today.
 */

/** How far an `embed` call has come: `done` of `total` texts. */
export interface EmbedProgress {
  readonly done: number;
  readonly total: number;
}

export interface EmbedOptions {
  /** Aborts between batches; the call rejects with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
  /** Called after each batch. */
  readonly onProgress?: ((progress: EmbedProgress) => void) | undefined;
}

export interface Embedder {
  /** Short and stable: part of the space's name (`passages-<id>`). Changes whenever the vectors would. */
  readonly id: string;
  /** What the page calls it. */
  readonly name: string;
  /** One honest sentence on what it matches and what it does not. */
  readonly description: string;
  /** Floats in each vector. */
  readonly dimension: number;
  /**
   * A cosine distance that unrelated texts already reach by chance: a nearest hit at or beyond it
   * means that nothing stored resembles the query.
   */
  readonly chanceDistance: number;
  /** Texts embedded between two looks at the abort signal: about a tenth of a second of work. */
  readonly batchSize: number;
  /**
   * Embeds texts into one packed array of `texts.length * dimension` floats, each row of unit length
   * (a text with nothing to embed gives a row of zeros). The caller owns the array.
   */
  embed(texts: readonly string[], options?: EmbedOptions): Promise<Float32Array>;
}

/**
 * Lets the page paint and handle input between two batches of work on its own thread. `scheduler.yield`
 * where there is one: a chain of `setTimeout(0)` is slowed to one step every 4 ms.
 */
export function yieldToPage(): Promise<void> {
  const scheduler = (globalThis as { scheduler?: { yield?: () => Promise<void> } }).scheduler;
  return scheduler?.yield?.() ?? new Promise((resolve) => setTimeout(resolve, 0));
}
