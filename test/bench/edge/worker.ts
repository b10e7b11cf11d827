/** A probe inside workerd: a call a request. */

import relaxed from 'shibumi-relaxed.wasm';
import { open } from '../../../src/edge.ts';
import { Probe, type ProbeCall } from './probe.ts';

const probe = new Probe((from) =>
  open({ from, cache: false }, { wasm: relaxed, memoryBytesMax: 128_000_000 }),
);

export default {
  async fetch(request: Request): Promise<Response> {
    return Response.json((await probe.answer((await request.json()) as ProbeCall)) ?? null);
  },
};
