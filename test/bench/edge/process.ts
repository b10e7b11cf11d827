/** A probe in Node, Bun or Deno: a call a line comes in, an answer a line goes out. */

import { createInterface } from 'node:readline';
import { open } from '../../../src/node.ts';
import { Probe, type ProbeCall } from './probe.ts';

const probe = new Probe((from) => open({ from, cache: false }));
for await (const line of createInterface({ input: process.stdin })) {
  const answer = await probe.answer(JSON.parse(line) as ProbeCall);
  process.stdout.write(`${JSON.stringify(answer ?? null)}\n`);
}
