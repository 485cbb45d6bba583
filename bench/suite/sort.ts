// Whole tables put in order, with a column that has to go along: one key of each type, two keys, input that is
// in order already, and the first hundred rows.
//
// Keys are distinct, so every engine must give the same rows in the same order.

import { asc, desc, from, type Plan } from "../../bindings/ts/index.js";
import type { PlainTable } from "../input/plain-table.js";
import type { OutputColumn, RawResult } from "../result/canonical.js";
import type { BenchCase, PolarsQuery, Suite } from "./case.js";
import { codes, columnOf, float64, int32 } from "./typed-loops.js";

interface Question {
  readonly name: string;
  readonly question: string;
  readonly columns: readonly (readonly [string, OutputColumn["kind"]])[];
  readonly plan: (t: Plan) => Plan;
  /** What follows FROM t in SQL. */
  readonly order: string;
  readonly polars: PolarsQuery;
  /** Order of two rows. */
  readonly compare: (t: PlainTable) => (a: number, b: number) => number;
  readonly limit?: number;
  readonly quick?: BenchCase["quick"];
}

const VALUE = ["value", "float"] as const;

function sortCase(asked: Question): BenchCase {
  const names = [...asked.columns, VALUE].map(([name]) => name);
  return {
    suite: "sort",
    name: asked.name,
    question: asked.question,
    inputs: { t: { fixture: "sort", columns: names } },
    output: [...asked.columns, VALUE].map(([name, kind]) => ({ name, kind })),
    ordered: true,
    plan: () => asked.plan(from("t") as Plan),
    sql: `SELECT ${names.map((name) => `"${name}"`).join(", ")} FROM t ${asked.order}`,
    polars: asked.polars,
    javascript: ({ t }) => {
      const compare = asked.compare(t!);
      return () => {
        const rows = Uint32Array.from({ length: t!.rows }, (_, row) => row).sort(compare);
        return pickRows(t!, names, rows.subarray(0, asked.limit));
      };
    },
    ...(asked.quick === undefined ? {} : { quick: asked.quick }),
  };
}

/** The rows with these numbers of the named columns. */
function pickRows(t: PlainTable, names: readonly string[], rows: Uint32Array): RawResult {
  const columns = names.map((name) => {
    const { values, dictionary } = columnOf(t, name);
    const picked = new (values.constructor as Float64ArrayConstructor)(rows.length);
    const source = values as Float64Array;
    for (let at = 0; at < rows.length; at++) picked[at] = source[rows[at]!]!;
    return [name, dictionary === null ? { values: picked } : { values: picked, dictionary }] as const;
  });
  return { rows: rows.length, columns: Object.fromEntries(columns) };
}

/** Order by an int64 column: its high words, then its low ones. */
function byWords(t: PlainTable, name: string): (a: number, b: number) => number {
  const { values } = columnOf(t, name);
  const high = new Int32Array(values.buffer, values.byteOffset, 2 * values.length);
  const low = new Uint32Array(values.buffer, values.byteOffset, 2 * values.length);
  return (a, b) => high[2 * a + 1]! - high[2 * b + 1]! || low[2 * a]! - low[2 * b]!;
}

const int64Key: Question = {
  name: "int64",
  question: "by 64-bit integers",
  columns: [["int64", "int"]],
  plan: (t) => t.orderBy("int64"),
  order: "ORDER BY int64",
  polars: (_, { t }) => t!.lazy().sort("int64"),
  compare: (t) => byWords(t, "int64"),
  quick: "fast",
};

const floatKey: Question = {
  name: "float64",
  question: "by 64-bit floats",
  columns: [["float64", "float"]],
  plan: (t) => t.orderBy("float64"),
  order: "ORDER BY float64",
  polars: (_, { t }) => t!.lazy().sort("float64"),
  compare: (t) => {
    const keys = float64(t, "float64");
    return (a, b) => keys[a]! - keys[b]!;
  },
};

const textKey: Question = {
  name: "string",
  question: "by texts of 12 bytes that begin alike",
  columns: [["text", "text"]],
  plan: (t) => t.orderBy("text"),
  order: "ORDER BY text",
  polars: (_, { t }) => t!.lazy().sort("text"),
  compare: (t) => {
    const keys = codes(t, "text");
    return (a, b) => {
      const [left, right] = [keys.texts[keys.codes[a]!]!, keys.texts[keys.codes[b]!]!];
      return left < right ? -1 : left > right ? 1 : 0;
    };
  },
};

const twoKeys: Question = {
  name: "two-keys",
  question: "by 1,000 groups, and floats descending",
  columns: [
    ["group", "int"],
    ["float64", "float"],
  ],
  plan: (t) => t.orderBy(asc("group"), desc("float64")),
  order: 'ORDER BY "group", float64 DESC',
  polars: (_, { t }) => t!.lazy().sort({ by: ["group", "float64"], descending: [false, true] }),
  compare: (t) => {
    const [groups, keys] = [int32(t, "group"), float64(t, "float64")];
    return (a, b) => groups[a]! - groups[b]! || keys[b]! - keys[a]!;
  },
};

const sorted: Question = {
  name: "sorted",
  question: "by 64-bit integers that are in order",
  columns: [["time", "int"]],
  plan: (t) => t.orderBy("time"),
  order: "ORDER BY time",
  polars: (_, { t }) => t!.lazy().sort("time"),
  compare: (t) => byWords(t, "time"),
};

const top: Question = {
  name: "top-100",
  question: "the 100 greatest 64-bit integers",
  columns: [["int64", "int"]],
  plan: (t) => t.orderBy(desc("int64")).limit(100),
  order: "ORDER BY int64 DESC LIMIT 100",
  polars: (_, { t }) => t!.lazy().sort("int64", true).limit(100),
  compare: (t) => {
    const ascending = byWords(t, "int64");
    return (a, b) => ascending(b, a);
  },
  limit: 100,
};

export const sortSuite: Suite = {
  name: "sort",
  title: "tables put in order, with a column that goes along",
  cases: [int64Key, floatKey, textKey, twoKeys, sorted, top].map(sortCase),
};
