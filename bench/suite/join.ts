// Join questions of db-benchmark (duckdblabs/db-benchmark), numbered as there: every column of both sides leaves.
// Texts that came by dictionary (id4, id5) may stay codes in a result: Polars keeps them so, and Millrace in its own
// memory; copying its result out, which is timed apart, makes them texts.
//
// The right sides' keys are unique, so the hand-written loops index one array by key; of texts by a number for each
// that both sides' dictionaries share.
//
// And one as-of join: each trade beside the latest quote of its symbol, ten trades to a quote, both in the order of time.

import { from, type JoinHow, type Plan } from "../../bindings/ts/index.js";
import type { PlainTable } from "../input/plain-table.js";
import type { OutputColumn, RawColumn, RawResult } from "../result/canonical.js";
import type { BenchCase, JavaScriptLoop, Suite } from "./case.js";
import { codes, columnOf, directSize, int32, integersAsFloat64 } from "./typed-loops.js";

const LEFT = ["id1", "id2", "id3", "id4", "id5", "id6", "v1"];
const RIGHT = {
  small: ["id1", "id4", "v2"],
  medium: ["id1", "id2", "id4", "id5", "v2"],
  big: ["id1", "id2", "id3", "id4", "id5", "id6", "v2"],
} as const;

type Side = keyof typeof RIGHT;

const KINDS: Readonly<Record<string, OutputColumn["kind"]>> = {
  id1: "int",
  id2: "int",
  id3: "int",
  id4: "text",
  id5: "text",
  id6: "text",
  v1: "float",
  v2: "float",
};

/** Right columns beside the key, with their names in the result. */
function rightColumns(side: Side, key: string): { name: string; as: string }[] {
  return RIGHT[side]
    .filter((name) => name !== key)
    .map((name) => ({ name, as: LEFT.includes(name) ? `${name}_right` : name }));
}

function joinCase(
  name: string,
  question: string,
  side: Side,
  key: string,
  how: Extract<JoinHow, "inner" | "left">,
  quick?: BenchCase["quick"],
): BenchCase {
  const right = rightColumns(side, key);
  const selected = [
    ...LEFT.map((column) => `x."${column}"`),
    ...right.map((column) => `${side}."${column.name}" AS "${column.as}"`),
  ];
  return {
    suite: "join",
    name,
    question,
    inputs: {
      x: { fixture: "join-left", columns: LEFT },
      [side]: { fixture: `join-${side}`, columns: RIGHT[side] },
    },
    output: [
      ...LEFT.map((column) => ({ name: column, kind: KINDS[column]! })),
      ...right.map((column) => ({ name: column.as, kind: KINDS[column.name]! })),
    ],
    plan: () => (from("x") as Plan).join(from(side) as Plan, { on: key as never, how }) as Plan,
    sql: `SELECT ${selected.join(", ")} FROM x ${how.toUpperCase()} JOIN ${side} ON x."${key}" = ${side}."${key}"`,
    polars: (_, tables) =>
      tables.x!.lazy().join(tables[side]!.lazy(), { on: key, how, suffix: "_right" } as never),
    javascript: loop(side, key, how === "left"),
    ...(quick === undefined ? {} : { quick }),
  };
}

/** Keys of both sides as numbers of one range; -1 for a left text that the right side's dictionary lacks. */
function keysOf(
  x: PlainTable,
  y: PlainTable,
  key: string,
): { left: Int32Array; right: Int32Array; size: number } {
  if (KINDS[key] === "int") {
    const [left, right] = [int32(x, key), int32(y, key)];
    return { left, right, size: Math.max(directSize(left), directSize(right)) };
  }
  const [a, b] = [codes(x, key), codes(y, key)];
  const numbers = new Map(b.texts.map((text, at) => [text, at]));
  const translated = Int32Array.from(a.texts, (text) => numbers.get(text) ?? -1);
  return { left: a.codes.map((code) => translated[code]!), right: b.codes, size: b.texts.length };
}

function loop(side: Side, key: string, outer: boolean): JavaScriptLoop {
  return (tables) => {
    const [x, y] = [tables.x!, tables[side]!];
    const { left, right, size } = keysOf(x, y, key);
    return () => {
      const rowOf = new Int32Array(size).fill(-1);
      for (let row = 0; row < right.length; row++) rowOf[right[row]!] = row;
      const mine = new Int32Array(left.length);
      const theirs = new Int32Array(left.length);
      let rows = 0;
      for (let row = 0; row < left.length; row++) {
        const found = left[row]! < 0 ? -1 : rowOf[left[row]!]!;
        if (found < 0 && !outer) continue;
        mine[rows] = row;
        theirs[rows++] = found;
      }
      const columns: Record<string, RawColumn> = {};
      for (const name of LEFT) columns[name] = taken(x, name, mine.subarray(0, rows));
      for (const { name, as } of rightColumns(side, key))
        columns[as] = taken(y, name, theirs.subarray(0, rows));
      return { rows, columns } satisfies RawResult;
    };
  };
}

/** A column at these rows; null at -1. */
function taken(table: PlainTable, name: string, rows: Int32Array): RawColumn {
  const { values, dictionary } = columnOf(table, name);
  const from = values as Int32Array;
  const out = new (from.constructor as Int32ArrayConstructor)(rows.length);
  let nulls: Uint8Array | null = null;
  for (let at = 0; at < rows.length; at++) {
    const row = rows[at]!;
    if (row >= 0) out[at] = from[row]!;
    else {
      nulls ??= new Uint8Array(rows.length).fill(1);
      nulls[at] = 0;
    }
  }
  return { values: out, valid: nulls, ...(dictionary === null ? {} : { dictionary }) };
}

const ASOF = [
  { name: "symbol", kind: "text" },
  { name: "ts", kind: "int" },
  { name: "quantity", kind: "float" },
  { name: "quoted", kind: "int" },
  { name: "bid", kind: "float" },
] as const satisfies readonly OutputColumn[];

const asof: BenchCase = {
  suite: "join",
  name: "asof",
  question: "left, the latest of 1 in 10 rows, by text and time",
  inputs: {
    trades: { fixture: "asof-trades", columns: ["symbol", "ts", "quantity"] },
    quotes: { fixture: "asof-quotes", columns: ["symbol", "quoted", "bid"] },
  },
  output: ASOF,
  plan: () =>
    (from("trades") as Plan).asofJoin(
      from("quotes") as Plan,
      {
        on: ["ts", "quoted"],
        by: "symbol",
      } as never,
    ) as Plan,
  sql: `SELECT t.*, q.quoted, q.bid FROM trades t ASOF LEFT JOIN quotes q ON t.symbol = q.symbol AND t.ts >= q.quoted`,
  polars: (pl, tables) =>
    tables
      .trades!.lazy()
      .joinAsof(tables.quotes!.lazy(), {
        leftOn: "ts",
        rightOn: "quoted",
        by: "symbol",
        coalesce: false,
        checkSortedness: false,
      } as never)
      .select(...ASOF.map(({ name }) => pl.col(name))),
  javascript: asofLoop,
};

/** Both sides are in the order of time: one merge, with the latest quote of each symbol at hand. */
function asofLoop(tables: Readonly<Record<string, PlainTable>>): () => RawResult {
  const [trades, quotes] = [tables.trades!, tables.quotes!];
  const [own, other] = [codes(trades, "symbol"), codes(quotes, "symbol")];
  const numbers = new Map(other.texts.map((text, at) => [text, at]));
  const translated = Int32Array.from(own.texts, (text) => numbers.get(text) ?? -1);
  const [ts, quoted] = [integersAsFloat64(trades, "ts"), integersAsFloat64(quotes, "quoted")];
  return () => {
    const latest = new Int32Array(other.texts.length).fill(-1);
    const mine = Int32Array.from(ts.keys());
    const theirs = new Int32Array(ts.length);
    let next = 0;
    for (let row = 0; row < ts.length; row++) {
      for (; next < quoted.length && quoted[next]! <= ts[row]!; next++) latest[other.codes[next]!] = next;
      const symbol = translated[own.codes[row]!]!;
      theirs[row] = symbol < 0 ? -1 : latest[symbol]!;
    }
    const columns: Record<string, RawColumn> = {};
    for (const name of ["symbol", "ts", "quantity"]) columns[name] = taken(trades, name, mine);
    for (const name of ["quoted", "bid"]) columns[name] = taken(quotes, name, theirs);
    return { rows: ts.length, columns };
  };
}

export const joinSuite: Suite = {
  name: "join",
  title: "joins (db-benchmark, and as of a time)",
  cases: [
    joinCase("q1", "inner, 1 in 1,000,000 rows, on an integer", "small", "id1", "inner"),
    joinCase("q2", "inner, 1 in 1,000 rows, on an integer", "medium", "id2", "inner", "fast"),
    joinCase("q3", "left outer, 1 in 1,000 rows, on an integer", "medium", "id2", "left"),
    joinCase("q4", "inner, 1 in 1,000 rows, on a text", "medium", "id5", "inner"),
    joinCase("q5", "inner, as many rows, on an integer", "big", "id3", "inner"),
    asof,
  ],
  geometricMean: true,
};
