// `millrace run PLAN.ts --input NAME=FILE...`: a user's plan over files, as a batch or as a stream.

import type { RecordBatch, Table } from "apache-arrow";
import { fromArrow, fromRecordBatch } from "../../bindings/ts/arrow/index.js";
import { Engine } from "../../bindings/ts/index.js";
import { readFile, writeFile } from "../../bindings/ts/io/file.js";
import { isValid, rowText, type TextStyle } from "../../bindings/ts/io/text-format.js";
import type { BatchData } from "../../bindings/ts/type/column.js";
import type { Field } from "../../bindings/ts/type/data-type.js";
import { type Progress, progressOn } from "../report/progress.js";
import { alignedTable } from "../report/table.js";
import type { Mode } from "../suite/case.js";
import type { RawOptions } from "./options.js";
import { loadPlan } from "./plan-module.js";
import { ExitCode, UsageError } from "./usage.js";

/** Rows that are printed; the rest is counted. */
const PRINTED_ROWS = 40;

export interface RunOptions {
  /** Files by the names of the plan's sources. */
  readonly inputs: ReadonlyMap<string, string>;
  readonly mode: Mode;
  readonly out: string | null;
  readonly quiet: boolean;
}

/** Throws UsageError naming the option and what it takes. */
export function runOptions(raw: RawOptions): RunOptions {
  const mode = raw.mode ?? "batch";
  if (mode !== "batch" && mode !== "stream") throw new UsageError(`--mode is batch or stream, not "${mode}"`);
  const given = raw.input === undefined ? [] : [raw.input].flat();
  const inputs = new Map<string, string>();
  for (const input of given.map(String)) {
    const equals = input.indexOf("=");
    if (equals < 1 || equals === input.length - 1) {
      throw new UsageError(`--input is NAME=FILE, not "${input}"`);
    }
    const name = input.slice(0, equals);
    if (inputs.has(name)) throw new UsageError(`--input names "${name}" twice`);
    inputs.set(name, input.slice(equals + 1));
  }
  return { inputs, mode, out: raw.out === undefined ? null : String(raw.out), quiet: raw.quiet === true };
}

/** Runs the command; answers the exit code. */
export async function runCommand(planPath: string, raw: RawOptions): Promise<number> {
  const options = runOptions(raw);
  const plan = await loadPlan(planPath);
  const counter = new RowCounter(progressOn(process.stderr, options.quiet));
  const engine = await Engine.open({ workers: 1 });
  try {
    const inputs: Record<string, AsyncIterable<RecordBatch>> = {};
    for (const [name, path] of options.inputs) inputs[name] = counter.counted(await readFile(path));
    const start = performance.now();
    const result =
      options.mode === "batch"
        ? ((await engine.collect(plan, inputs)) as Table)
        : engine.stream(plan, inputs);
    const text = await deliver(result, options.out, counter);
    counter.finish();
    process.stdout.write(`${text}\n`);
    counter.summary(performance.now() - start, options);
  } finally {
    await engine.close();
  }
  return ExitCode.verified;
}

/** Writes the result to the file or makes a table of its first rows; answers what to print. */
async function deliver(
  result: Table | AsyncIterable<RecordBatch>,
  out: string | null,
  counter: RowCounter,
): Promise<string> {
  if (out !== null) {
    const written = await writeFile(out, result as never);
    return `${out}: ${count(written.rows)} rows, ${count(written.bytes)} bytes`;
  }
  const rows = new FirstRows();
  if (Symbol.asyncIterator in result) {
    for await (const batch of result) rows.add(fromRecordBatch(batch));
  } else {
    const { schema, batches } = fromArrow(result);
    rows.header(schema.fields);
    for (const batch of batches) rows.add(batch);
  }
  counter.finish();
  return rows.toString();
}

/** The first rows of a result as text, and the number of all. */
export class FirstRows {
  #fields: readonly Field[] = [];
  readonly #lines: string[][] = [];
  #rows = 0;

  header(fields: readonly Field[]): void {
    this.#fields = fields;
  }

  add(batch: BatchData): void {
    this.header(batch.schema.fields);
    const wanted = Math.min(batch.length, PRINTED_ROWS - this.#lines.length);
    if (wanted > 0) {
      const texts = batch.columns.map((column, index) =>
        rowText(batch.schema.fields[index]!.name, column, PLAIN_STYLE),
      );
      for (let row = 0; row < wanted; row++) {
        this.#lines.push(
          texts.map((text, index) => (isValid(batch.columns[index]!, row) ? text(row) : "null")),
        );
      }
    }
    this.#rows += batch.length;
  }

  toString(): string {
    const names = this.#fields.map(({ name }) => name);
    const lines = [names, ...this.#lines].map((line) => line.map((text) => ({ text })));
    const numeric = new Set(
      this.#fields.flatMap(({ type }, index) => (NUMBERS.has(type.kind) ? [index] : [])),
    );
    const more = this.#rows > this.#lines.length ? `, the first ${this.#lines.length} shown` : "";
    return `${alignedTable(lines, numeric)}\n(${count(this.#rows)} row${this.#rows === 1 ? "" : "s"}${more})`;
  }
}

const NUMBERS = new Set(["int", "float", "decimal", "duration"]);
const PLAIN_STYLE: TextStyle = { text: (value) => value, plain: (value) => value, notFinite: String };

/** Counts rows as sources hand them out, and shows the count while it grows. */
class RowCounter {
  readonly #progress: Progress;
  readonly #start = performance.now();
  #rows = 0;
  #lastShown = 0;

  constructor(progress: Progress) {
    this.#progress = progress;
  }

  counted(source: AsyncIterable<RecordBatch> & { readonly schema?: unknown }): AsyncIterable<RecordBatch> {
    const counter = this;
    return {
      ...(source.schema === undefined ? {} : { schema: source.schema }),
      async *[Symbol.asyncIterator]() {
        for await (const batch of source) {
          yield batch;
          counter.#add(batch.numRows);
        }
      },
    };
  }

  #add(rows: number): void {
    this.#rows += rows;
    const now = performance.now();
    if (now - this.#lastShown < 100) return;
    this.#lastShown = now;
    const rate = (this.#rows / (now - this.#start) / 1000).toFixed(1);
    this.#progress.show(`${count(this.#rows)} rows read, ${rate} M rows/s`);
  }

  finish(): void {
    this.#progress.clear();
  }

  /** One line on a terminal's stderr: what was read and how long it took. */
  summary(ms: number, { mode, quiet }: RunOptions): void {
    if (quiet || !process.stderr.isTTY) return;
    process.stderr.write(`${mode}: ${count(this.#rows)} rows read in ${(ms / 1000).toFixed(2)} s\n`);
  }
}

function count(value: number): string {
  return value.toLocaleString("en-US");
}
