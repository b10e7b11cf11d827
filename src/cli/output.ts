/** Writing to a stream at the pace of its reader. */

import { once } from 'node:events';
import type { Writable } from 'node:stream';

/** Thrown when whoever read the output has gone (`shibumi … | head`): an end, not a failure. */
export class ReaderGone extends Error {}

export class Output {
  readonly #stream: Writable;
  #failure: Error | undefined;

  constructor(stream: Writable) {
    this.#stream = stream;
    stream.on('error', (error: NodeJS.ErrnoException) => {
      this.#failure ??= error.code === 'EPIPE' ? new ReaderGone('nobody reads the output') : error;
    });
  }

  async write(data: string | Uint8Array): Promise<void> {
    if (this.#failure !== undefined) throw this.#failure;
    if (this.#stream.write(data)) return;
    // `once` rejects when the stream fails meanwhile.
    await once(this.#stream, 'drain').catch((error) => {
      throw this.#failure ?? error;
    });
  }
}
