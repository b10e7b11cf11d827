/**
 * The sentence embedder: all-MiniLM-L6-v2 (Reimers & Gurevych 2019; 384-d, mean pooling, unit length) run by
 * Transformers.js in the page, on WebGPU when there is one, else in WASM. It places texts by meaning.
 *
 * Nothing of it is loaded before it is asked for. The library is an optional peer of this package (its install
 * is 474 MB and fetches more): where it is installed the bundler finds it, otherwise the exact version named
 * below comes from a public CDN. The model, about 23 MB quantised, comes from the Hugging Face hub and stays in
 * the browser's cache. So the first use needs the network, and every failure must leave the page usable.
 */

import type { Embedder, EmbedOptions } from './embedder.ts';

const LIBRARY_VERSION = '4.3.1';
const LIBRARY_CDN = `https://cdn.jsdelivr.net/npm/@huggingface/transformers@${LIBRARY_VERSION}`;
const MODEL = 'Xenova/all-MiniLM-L6-v2';
const DIMENSION = 384;
const BATCH_SIZE = 16;
/** The model reads 256 word pieces; what stands beyond them would be cut anyway, only slower. */
const CHARACTERS_MAX = 2000;
/** A network that answers nothing at all must not hold the page's first import for minutes. */
const LIBRARY_TIMEOUT_MS = 15_000;
/** The model may be slow but must move: the wait is counted from its last sign of progress. */
const MODEL_STALL_MS = 30_000;

export const TRANSFORMERS_ID = 'minilm-1';

/** The little of Transformers.js that is used here; its own types come only with its install. */
interface TransformersLibrary {
  pipeline(task: 'feature-extraction', model: string, options: PipelineOptions): Promise<FeatureExtractor>;
}

interface PipelineOptions {
  readonly device: 'webgpu' | 'wasm';
  readonly dtype: 'fp32' | 'q8';
  readonly progress_callback: (event: { status: string; progress?: number; file?: string }) => void;
}

type FeatureExtractor = (
  texts: string[],
  options: { pooling: 'mean'; normalize: true },
) => Promise<{ readonly data: Float32Array }>;

export interface LoadOptions {
  readonly signal?: AbortSignal | undefined;
  /** Called with what is being fetched and its per cent. */
  readonly onProgress?: ((what: string, percent: number) => void) | undefined;
}

/** Empty unless the optional peer is installed; then one loader of its self-contained browser build. */
const installed: Record<string, () => Promise<unknown>> = import.meta.glob(
  '../../node_modules/@huggingface/transformers/dist/transformers.min.js',
);

/**
 * Loads the library and the model.
 * @throws Error that says in plain words which part could not be had.
 */
export async function loadTransformersEmbedder({ signal, onProgress }: LoadOptions = {}): Promise<Embedder> {
  onProgress?.('Transformers.js', 0);
  const library = await loadLibrary(signal);
  const gpu = await hasGpu();
  const extract = await loadModel(library, gpu, signal, onProgress);

  return {
    id: TRANSFORMERS_ID,
    name: 'all-MiniLM-L6-v2',
    description: `Sentence embeddings by Transformers.js on ${gpu ? 'the GPU' : 'the CPU'}; matches meaning.`,
    dimension: DIMENSION,
    // Unrelated English sentences seldom come above a cosine of 0.2 with this model.
    chanceDistance: 0.8,
    batchSize: BATCH_SIZE,
    async embed(texts: readonly string[], options: EmbedOptions = {}): Promise<Float32Array> {
      const packed = new Float32Array(texts.length * DIMENSION);
      for (let start = 0; start < texts.length; start += BATCH_SIZE) {
        options.signal?.throwIfAborted();
        const batch = texts.slice(start, start + BATCH_SIZE).map((text) => text.slice(0, CHARACTERS_MAX));
        const { data } = await extract(batch, { pooling: 'mean', normalize: true });
        if (data.length !== batch.length * DIMENSION) {
          throw new Error(`${MODEL} gave ${data.length} numbers, expected ${batch.length} x ${DIMENSION}.`);
        }
        packed.set(data, start * DIMENSION);
        options.onProgress?.({ done: Math.min(start + BATCH_SIZE, texts.length), total: texts.length });
      }
      return packed;
    },
  };
}

async function loadLibrary(signal: AbortSignal | undefined): Promise<TransformersLibrary> {
  const local = Object.values(installed)[0];
  try {
    const watch = stallTimer(LIBRARY_TIMEOUT_MS, signal);
    const loading = local === undefined ? import(/* @vite-ignore */ LIBRARY_CDN) : local();
    return (await watch.race(loading)) as TransformersLibrary;
  } catch (error) {
    signal?.throwIfAborted();
    throw new Error('The library Transformers.js could not be loaded.', { cause: error });
  }
}

async function loadModel(
  library: TransformersLibrary,
  gpu: boolean,
  signal: AbortSignal | undefined,
  onProgress: LoadOptions['onProgress'],
): Promise<FeatureExtractor> {
  const watch = stallTimer(MODEL_STALL_MS, signal);
  try {
    const loading = library.pipeline('feature-extraction', MODEL, {
      device: gpu ? 'webgpu' : 'wasm',
      dtype: gpu ? 'fp32' : 'q8',
      progress_callback: ({ status, progress, file }) => {
        watch.alive();
        if (status === 'progress' && progress !== undefined) onProgress?.(file ?? MODEL, progress);
      },
    });
    return await watch.race(loading);
  } catch (error) {
    signal?.throwIfAborted();
    throw new Error('The model all-MiniLM-L6-v2 could not be fetched.', { cause: error });
  }
}

async function hasGpu(): Promise<boolean> {
  const { gpu } = navigator as { gpu?: { requestAdapter(): Promise<unknown> } };
  try {
    return (await gpu?.requestAdapter()) != null;
  } catch {
    return false;
  }
}

/** Ends a wait that no abort reaches: neither `import()` nor the library's loading takes a signal. */
function stallTimer(stallMs: number, signal: AbortSignal | undefined) {
  let stop: (reason: unknown) => void = () => {};
  let timer: ReturnType<typeof setTimeout> | undefined;
  const stopped = new Promise<never>((_, reject) => {
    stop = reject;
  });
  const alive = (): void => {
    clearTimeout(timer);
    timer = setTimeout(() => stop(new Error(`No answer for ${stallMs / 1000} s.`)), stallMs);
  };
  const onAbort = (): void => stop(signal?.reason);
  return {
    alive,
    async race<T>(work: Promise<T>): Promise<T> {
      signal?.throwIfAborted();
      signal?.addEventListener('abort', onAbort, { once: true });
      alive();
      try {
        return await Promise.race([work, stopped]);
      } finally {
        clearTimeout(timer);
        signal?.removeEventListener('abort', onAbort);
      }
    },
  };
}
