// Metrics for OpenTelemetry, without depending on it: the part of its `Meter` that is used, and what is told to it.
//
// Names and units follow its conventions. Counters move when a query ends; gauges are read when the meter asks.

import type { QueryStats } from "./query-stats.js";

export type MetricAttributes = Record<string, string>;

/** What is used of OpenTelemetry's `Meter`: its own fits, as does any object with these methods. */
export interface MetricsMeter {
  createCounter(
    name: string,
    options?: MetricOptions,
  ): { add(value: number, attributes?: MetricAttributes): void };
  createHistogram(
    name: string,
    options?: MetricOptions,
  ): { record(value: number, attributes?: MetricAttributes): void };
  createObservableGauge(name: string, options?: MetricOptions): ObservableGauge;
}

export interface MetricOptions {
  readonly description?: string;
  readonly unit?: string;
}

interface ObservableGauge {
  addCallback(callback: (result: ObservableResult) => void): void;
  removeCallback(callback: (result: ObservableResult) => void): void;
}

interface ObservableResult {
  observe(value: number, attributes?: MetricAttributes): void;
}

/** What gauges show. */
export interface Levels {
  readonly usedBytes: number;
  readonly activeRuns: number;
  readonly workers: readonly { readonly busyMs: number }[];
}

/** The instruments of one engine. */
export class Meter {
  readonly #query: (stats: QueryStats & { elapsedMs: number; isComplete: boolean }) => void;
  readonly #stop: () => void;

  constructor(meter: MetricsMeter, levels: () => Levels) {
    const queries = meter.createCounter("millrace.queries", {
      description: "Queries that are over",
      unit: "{query}",
    });
    const rows = meter.createCounter("millrace.rows", {
      description: "Rows read from sources, and of results",
      unit: "{row}",
    });
    const bytes = meter.createCounter("millrace.bytes", {
      description: "Bytes read from sources",
      unit: "By",
    });
    const duration = meter.createHistogram("millrace.query.duration", {
      description: "From the begin of a query to its end",
      unit: "s",
    });
    const running = meter.createHistogram("millrace.query.running", {
      description: "Of that, work on the calling thread",
      unit: "s",
    });
    this.#query = ({ mode, rowsIn, rowsOut, bytesIn, runningMs, elapsedMs, isComplete }) => {
      const attributes = { mode, outcome: isComplete ? "completed" : "ended" };
      queries.add(1, attributes);
      rows.add(rowsIn, { mode, direction: "in" });
      rows.add(rowsOut, { mode, direction: "out" });
      bytes.add(bytesIn, { mode });
      duration.record(elapsedMs / 1000, attributes);
      running.record(runningMs / 1000, attributes);
    };
    const gauges: [ObservableGauge, (result: ObservableResult) => void][] = [
      [
        meter.createObservableGauge("millrace.memory.used", {
          description: "Bytes of the kernel's memory in use",
          unit: "By",
        }),
        (result) => result.observe(levels().usedBytes),
      ],
      [
        meter.createObservableGauge("millrace.queries.running", { unit: "{query}" }),
        (result) => result.observe(levels().activeRuns),
      ],
      [
        meter.createObservableGauge("millrace.worker.busy", {
          description: "Time that a worker has spent on shared morsels",
          unit: "s",
        }),
        (result) => {
          levels().workers.forEach(({ busyMs }, worker) => {
            result.observe(busyMs / 1000, { worker: String(worker) });
          });
        },
      ],
    ];
    for (const [gauge, callback] of gauges) gauge.addCallback(callback);
    this.#stop = () => {
      for (const [gauge, callback] of gauges) gauge.removeCallback(callback);
    };
  }

  /** A query is over. */
  query(stats: QueryStats & { elapsedMs: number; isComplete: boolean }): void {
    this.#query(stats);
  }

  /** The engine is closed: gauges show nothing any more. */
  stop(): void {
    this.#stop();
  }
}
