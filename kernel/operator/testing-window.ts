// What the tests of windows share: a windowed aggregation over plain columns, and its twin.

import fc from "fast-check";
import { encodeWindowConfig } from "../../bindings/ts/kernel/config.js";
import type { Kernel } from "../../bindings/ts/kernel/kernel.js";
import { END_OF_INPUT, type Operator } from "../../bindings/ts/kernel/operator.js";
import { ProgramBuilder } from "../../bindings/ts/kernel/program.js";
import { type Field, int8, int64 } from "../../bindings/ts/type/data-type.js";
import { valueName } from "../../twin/aggregate.js";
import type { Value } from "../../twin/values.js";
import { type TwinEvent, type TwinWindow, windowTwin } from "../../twin/window.js";
import { OperatorKind } from "../abi/operator.js";
import { WindowKind } from "../abi/window.js";
import {
  aggregateSpec,
  batchOf,
  expected,
  type Query,
  resultFields,
  rowsOf,
  slice,
  type Table,
} from "./testing.js";

/** Windows over a query whose column `time` is an int64. */
export interface WindowQuery {
  readonly query: Query;
  readonly time: number;
  readonly window: TwinWindow;
  readonly bound?: bigint | undefined;
  /** What a null time gets; dropped when absent. */
  readonly nullTime?: "error" | undefined;
  /** Results as a changelog. */
  readonly changes?: { readonly lateness: bigint; readonly early: bigint } | undefined;
}

const KINDS = {
  tumble: WindowKind.TUMBLE,
  hop: WindowKind.HOP,
  cumulate: WindowKind.CUMULATE,
  session: WindowKind.SESSION,
  global: WindowKind.GLOBAL,
};

export function windowFields(query: Query, changes: boolean): Field[] {
  const times = ["window_start", "window_end"].map((name): Field => ({ name, type: int64, nullable: false }));
  const kind: Field = { name: "row_kind", type: int8, nullable: false };
  return [...times, ...resultFields(query), ...(changes ? [kind] : [])];
}

export function openWindow(kernel: Kernel, asked: WindowQuery): Operator {
  const { query, time, window, bound, nullTime, changes } = asked;
  const program = new ProgramBuilder();
  const { outputs, ...aggregate } = aggregateSpec(program, query);
  return kernel.operator({
    kind: OperatorKind.WINDOW_AGGREGATE,
    config: encodeWindowConfig({
      kind: KINDS[window.kind],
      time: outputs[time]!,
      dropNullTime: nullTime !== "error",
      keepLate: true,
      length: "length" in window ? window.length : "gap" in window ? window.gap : undefined,
      step: "step" in window ? window.step : undefined,
      offset: "offset" in window ? window.offset : undefined,
      bound,
      ...changes,
      aggregate: { ...aggregate, changelog: changes !== undefined, program: program.encode() },
    }),
    columns: query.types.map((_, i) => i),
    output: { fields: windowFields(query, changes !== undefined) },
    emitsPerPush: true,
  });
}

/** Rows of a table, and watermarks before some of them: sorted by row. */
export interface History {
  readonly table: Table;
  readonly watermarks: readonly { readonly before: number; readonly time: bigint }[];
}

export interface Outcome {
  readonly rows: Value[][];
  readonly late: number[];
  readonly partlyLate: number;
  readonly nullTimes: number;
  readonly backward: number;
}

/** Whether the state of such windows can be saved. */
export function hasState({ window }: WindowQuery): boolean {
  return window.kind !== "session";
}

/** An operator that goes on from the state of another, which is destroyed; batches of `rows` rows. */
export function restarted(kernel: Kernel, asked: WindowQuery, operator: Operator, rows: number): Operator {
  const next = openWindow(kernel, asked);
  for (const state of operator.snapshot(rows)) next.merge(state);
  operator.destroy();
  return next;
}

/**
 * Runs a history through the kernel, in pushes of the given sizes (the last one repeats).
 * @param restart after so many pushes another operator goes on from the state; 0: never
 */
export function runWindow(
  kernel: Kernel,
  asked: WindowQuery,
  { table, watermarks }: History,
  sizes: readonly number[] = [65536],
  maxRows = 65536,
  restart = 0,
): Outcome {
  let operator = openWindow(kernel, asked);
  const restarts = restart > 0 && hasState(asked);
  const rows: Value[][] = [];
  const late: number[] = [];
  let partlyLate = 0;
  const drain = () => {
    for (let batch = operator.pull(maxRows); batch !== null; batch = operator.pull(maxRows))
      rows.push(...rowsOf([batch]));
  };
  const total = table[0]?.length ?? 0;
  let start = 0;
  let next = 0;
  for (let i = 0; start < total || next < watermarks.length; i++) {
    for (; next < watermarks.length && watermarks[next]!.before <= start; next++) {
      operator.watermark(watermarks[next]!.time);
      drain();
    }
    const until = watermarks[next]?.before ?? total;
    const end = Math.min(until, total, start + sizes[Math.min(i, sizes.length - 1)]!);
    if (end > start) {
      operator.push(batchOf(asked.query.types, slice(table, start, end), i % 9, i % 2 === 1));
      for (const row of operator.late()) late.push(start + row);
      drain();
    }
    if (restarts && i % restart === 0) {
      partlyLate += operator.stats().partlyLateRows;
      operator = restarted(kernel, asked, operator, maxRows);
    }
    start = end;
  }
  operator.watermark(END_OF_INPUT);
  drain();
  const { lateRows, nullTimes, backwardWatermarks, openWindows } = operator.stats();
  partlyLate += operator.stats().partlyLateRows;
  if (lateRows !== late.length) throw new Error(`${lateRows} late rows counted, ${late.length} listed`);
  if (openWindows !== 0) throw new Error(`${openWindows} windows are left`);
  operator.destroy();
  return { rows, late, partlyLate, nullTimes, backward: backwardWatermarks };
}

/** What the twin makes of it. */
export function expectedWindow(
  { query, time, window, bound, changes }: WindowQuery,
  { table, watermarks }: History,
): Outcome {
  const kept = query.where === undefined ? null : table[query.where]!;
  const events: TwinEvent[] = [];
  const total = table[0]?.length ?? 0;
  for (let row = 0, next = 0; row <= total; row++) {
    for (; next < watermarks.length && watermarks[next]!.before <= row; next++)
      events.push({ watermark: watermarks[next]!.time });
    if (row < total && (kept === null || kept[row] === true))
      events.push({ row, time: table[time]![row] as bigint | null });
  }
  const keyOf = (row: number) => query.keys.map((column) => keyName(table[column]![row]!)).join("|");
  const twin = windowTwin(events, window, bound ?? null, keyOf, changes?.lateness);
  const rows = twin.windows.flatMap(({ start, end, rows: members }) =>
    expected(
      { ...query, where: undefined },
      table.map((column) => members.map((row) => column[row]!)),
    ).map((row) => [start, end, ...row]),
  );
  const { nullTimes, backward, partlyLate } = twin;
  return { rows, late: [...twin.late], partlyLate: partlyLate.length, nullTimes, backward };
}

/**
 * The rows that a changelog leaves, sorted. Throws where it takes back what is not there, or gives what is, and where a
 * -U is not followed by its +U.
 */
export function consolidated(rows: readonly Value[][]): string[] {
  const left = new Set<string>();
  let replaced: string | null = null;
  for (const row of rows) {
    const [kind, name] = [Number(row.at(-1)), row.slice(0, -1).map(valueName).join(" | ")];
    const window = `${row[0]}..${row[1]}`;
    if ((kind === 2) !== (replaced !== null) || (replaced !== null && replaced !== window))
      throw new Error(`kind ${kind} of ${name} after a -U of ${replaced}`);
    replaced = kind === 1 ? window : null;
    if (kind === 0 || kind === 2) {
      if (left.has(name)) throw new Error(`${name} twice`);
      left.add(name);
    } else if (!left.delete(name)) throw new Error(`${name} is not there`);
  }
  return [...left].sort();
}

/** Zeros are one key. */
function keyName(value: Value): string {
  return valueName(value === 0 ? 0 : value);
}

// ---- arbitrary windows

const ticks = (min: number, max: number) => fc.bigInt({ min: BigInt(min), max: BigInt(max) });

export const windows: fc.Arbitrary<TwinWindow> = fc.oneof(
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant("tumble" as const),
      length: ticks(1, 40),
      offset: ticks(-50, 50),
    }),
  },
  { weight: 4, arbitrary: stepped("hop") },
  { weight: 3, arbitrary: stepped("cumulate") },
  { weight: 5, arbitrary: fc.record({ kind: fc.constant("session" as const), gap: ticks(1, 15) }) },
  { weight: 1, arbitrary: fc.constant({ kind: "global" as const }) },
);

function stepped<K extends "hop" | "cumulate">(kind: K) {
  return fc
    .record({ step: ticks(1, 12), more: ticks(0, 30), offset: ticks(-50, 50) })
    .map(({ step, more, offset }) => ({ kind, step, length: step + more, offset }));
}

/** Times of a stream: mostly forward, sometimes back, sometimes a leap, now and then null. */
export function timesOf(rows: number, jitter: number): fc.Arbitrary<Value[]> {
  return fc
    .record({
      start: fc.constantFrom(0n, -100n, 1_700_000_000_000n, -(2n ** 55n)),
      moves: fc.array(
        fc.record({
          move: fc.oneof(
            { weight: 8, arbitrary: ticks(0, 3) },
            { weight: 1, arbitrary: ticks(0, 60) },
            { weight: 1, arbitrary: ticks(-5, 0) },
          ),
          back: ticks(0, jitter),
          isNull: fc.boolean(),
        }),
        { minLength: rows, maxLength: rows },
      ),
      nulls: fc.boolean(),
    })
    .map(({ start, moves, nulls }) => {
      let time = start;
      return moves.map(({ move, back, isNull }, i) => {
        time += move;
        return nulls && isNull && i % 3 === 0 ? null : time - back;
      });
    });
}
