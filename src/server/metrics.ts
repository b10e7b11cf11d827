/** Counters of a server and their text for Prometheus (exposition format 0.0.4). Methods are counted, never names or keys. */

const buckets: readonly number[] = [0.0001, 0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5];

interface CallCount {
  ok: number;
  readonly errors: Map<string, number>;
  seconds: number;
  readonly histogram: number[];
}

export interface Gauge {
  readonly name: string;
  readonly help: string;
  readonly kind: 'gauge' | 'counter';
  readonly read: () => number;
}

export class Metrics {
  readonly #calls: Map<string, CallCount> = new Map();
  readonly #methods: ReadonlySet<string>;
  readonly #gauges: readonly Gauge[];
  bytesReceived = 0;
  bytesSent = 0;

  /** @param methods the names that are counted each for itself: a stranger must not make new ones */
  constructor(methods: ReadonlySet<string>, gauges: readonly Gauge[]) {
    this.#methods = methods;
    this.#gauges = gauges;
  }

  /** @param code of the failure, if it was one */
  called(method: string, code: string | undefined, seconds: number): void {
    const name = this.#methods.has(method) ? method : 'other';
    let count = this.#calls.get(name);
    if (count === undefined) {
      count = { ok: 0, errors: new Map(), seconds: 0, histogram: buckets.map(() => 0) };
      this.#calls.set(name, count);
    }
    if (code === undefined) count.ok++;
    else count.errors.set(code, (count.errors.get(code) ?? 0) + 1);
    count.seconds += seconds;
    const bucket = buckets.findIndex((limit) => seconds <= limit);
    if (bucket >= 0) count.histogram[bucket] = (count.histogram[bucket] ?? 0) + 1;
  }

  text(): string {
    const lines: string[] = [];
    for (const { name, help, kind, read } of this.#gauges)
      lines.push(`# HELP ${name} ${help}`, `# TYPE ${name} ${kind}`, `${name} ${read()}`);
    lines.push(
      '# HELP shibumi_calls_total Calls by method and outcome.',
      '# TYPE shibumi_calls_total counter',
    );
    for (const [method, { ok, errors }] of this.#calls) {
      lines.push(`shibumi_calls_total{method="${method}",code="OK"} ${ok}`);
      for (const [code, n] of errors)
        lines.push(`shibumi_calls_total{method="${method}",code="${code}"} ${n}`);
    }
    lines.push(
      '# HELP shibumi_call_duration_seconds From arrival to answer.',
      '# TYPE shibumi_call_duration_seconds histogram',
    );
    for (const [method, count] of this.#calls) lines.push(...histogramLines(method, count));
    return `${lines.join('\n')}\n`;
  }
}

function histogramLines(method: string, { ok, errors, seconds, histogram }: CallCount): string[] {
  const name = 'shibumi_call_duration_seconds';
  const total = [...errors.values()].reduce((sum, n) => sum + n, ok);
  let below = 0;
  return [
    ...buckets.map((limit, i) => {
      below += histogram[i] ?? 0;
      return `${name}_bucket{method="${method}",le="${limit}"} ${below}`;
    }),
    `${name}_bucket{method="${method}",le="+Inf"} ${total}`,
    `${name}_sum{method="${method}"} ${seconds}`,
    `${name}_count{method="${method}"} ${total}`,
  ];
}
