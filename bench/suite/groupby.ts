// Group-by questions of db-benchmark (duckdblabs/db-benchmark), numbered as there, and two more: sums by 100
// integer keys, and by 64-bit keys that are nearly all distinct.

import { avg, col, corr, count, from, max, median, min, stddev, sum, topK } from "../../bindings/ts/index.js";
import type { BenchCase, Suite } from "./case.js";
import { columnLoop } from "./column-loops.js";
import { GROUPING_QUESTIONS, variantsOf } from "./groupby-variants.js";
import {
  codes,
  columnOf,
  directSize,
  float64,
  int32,
  mapped,
  occupied,
  pick,
  WordPairGroups,
} from "./typed-loops.js";

const groupBy = (columns: readonly string[]) => ({ t: { fixture: "groupby", columns } });

const q1: BenchCase = {
  suite: "groupby",
  name: "q1",
  question: "sum v1 by id1",
  inputs: groupBy(["id1", "v1"]),
  output: [
    { name: "id1", kind: "text" },
    { name: "v1", kind: "int" },
  ],
  plan: () =>
    from("t")
      .groupBy("id1")
      .aggregate({ v1: sum("v1") }),
  sql: "SELECT id1, sum(v1) AS v1 FROM t GROUP BY id1",
  polars: (pl, { t }) => t!.lazy().groupBy("id1").agg(pl.col("v1").sum()),
  arquero: (aq, { t }) => t!.groupby("id1").rollup({ v1: aq.op.sum("v1") }),
  javascript: ({ t }) => {
    const [id1, v1] = [codes(t!, "id1"), int32(t!, "v1")];
    return () => {
      const sums = new Float64Array(id1.texts.length);
      const counts = new Uint32Array(id1.texts.length);
      const keys = id1.codes;
      for (let row = 0; row < keys.length; row++) {
        const key = keys[row]!;
        sums[key]! += v1[row]!;
        counts[key]! += 1;
      }
      const groups = occupied(counts);
      const columns = {
        id1: { values: groups, dictionary: id1.texts },
        v1: { values: pick(sums, groups) },
      };
      return { rows: groups.length, columns };
    };
  },
  quick: "fast",
};

const q2: BenchCase = {
  suite: "groupby",
  name: "q2",
  question: "sum v1 by id1, id2",
  inputs: groupBy(["id1", "id2", "v1"]),
  output: [
    { name: "id1", kind: "text" },
    { name: "id2", kind: "text" },
    { name: "v1", kind: "int" },
  ],
  plan: () =>
    from("t")
      .groupBy("id1", "id2")
      .aggregate({ v1: sum("v1") }),
  sql: "SELECT id1, id2, sum(v1) AS v1 FROM t GROUP BY id1, id2",
  polars: (pl, { t }) => t!.lazy().groupBy(["id1", "id2"]).agg(pl.col("v1").sum()),
  arquero: (aq, { t }) => t!.groupby("id1", "id2").rollup({ v1: aq.op.sum("v1") }),
  javascript: ({ t }) => {
    const [id1, id2, v1] = [codes(t!, "id1"), codes(t!, "id2"), int32(t!, "v1")];
    return () => {
      const width = id2.texts.length;
      const sums = new Float64Array(id1.texts.length * width);
      const counts = new Uint32Array(sums.length);
      const [a, b] = [id1.codes, id2.codes];
      for (let row = 0; row < a.length; row++) {
        const key = a[row]! * width + b[row]!;
        sums[key]! += v1[row]!;
        counts[key]! += 1;
      }
      const groups = occupied(counts);
      const columns = {
        id1: { values: groups.map((group) => Math.floor(group / width)), dictionary: id1.texts },
        id2: { values: groups.map((group) => group % width), dictionary: id2.texts },
        v1: { values: pick(sums, groups) },
      };
      return { rows: groups.length, columns };
    };
  },
};

const q3: BenchCase = {
  suite: "groupby",
  name: "q3",
  question: "sum v1, mean v3 by id3",
  inputs: groupBy(["id3", "v1", "v3"]),
  output: [
    { name: "id3", kind: "text" },
    { name: "v1", kind: "int" },
    { name: "v3", kind: "float" },
  ],
  plan: () =>
    from("t")
      .groupBy("id3")
      .aggregate({ v1: sum("v1"), v3: avg("v3") }),
  sql: "SELECT id3, sum(v1) AS v1, avg(v3) AS v3 FROM t GROUP BY id3",
  polars: (pl, { t }) => t!.lazy().groupBy("id3").agg(pl.col("v1").sum(), pl.col("v3").mean()),
  arquero: (aq, { t }) => t!.groupby("id3").rollup({ v1: aq.op.sum("v1"), v3: aq.op.mean("v3") }),
  javascript: ({ t }) => {
    const [id3, v1, v3] = [codes(t!, "id3"), int32(t!, "v1"), float64(t!, "v3")];
    return () => {
      const size = id3.texts.length;
      const [sums, means, counts] = [new Float64Array(size), new Float64Array(size), new Uint32Array(size)];
      const keys = id3.codes;
      for (let row = 0; row < keys.length; row++) {
        const key = keys[row]!;
        sums[key]! += v1[row]!;
        means[key]! += v3[row]!;
        counts[key]! += 1;
      }
      for (let key = 0; key < size; key++) means[key]! /= counts[key]!;
      const groups = occupied(counts);
      const columns = {
        id3: { values: groups, dictionary: id3.texts },
        v1: { values: pick(sums, groups) },
        v3: { values: pick(means, groups) },
      };
      return { rows: groups.length, columns };
    };
  },
};

const q4: BenchCase = {
  suite: "groupby",
  name: "q4",
  question: "mean v1, v2, v3 by id4",
  inputs: groupBy(["id4", "v1", "v2", "v3"]),
  output: [
    { name: "id4", kind: "int" },
    { name: "v1", kind: "float" },
    { name: "v2", kind: "float" },
    { name: "v3", kind: "float" },
  ],
  plan: () =>
    from("t")
      .groupBy("id4")
      .aggregate({ v1: avg("v1"), v2: avg("v2"), v3: avg("v3") }),
  sql: "SELECT id4, avg(v1) AS v1, avg(v2) AS v2, avg(v3) AS v3 FROM t GROUP BY id4",
  polars: (pl, { t }) =>
    t!.lazy().groupBy("id4").agg(pl.col("v1").mean(), pl.col("v2").mean(), pl.col("v3").mean()),
  arquero: (aq, { t }) =>
    t!.groupby("id4").rollup({ v1: aq.op.mean("v1"), v2: aq.op.mean("v2"), v3: aq.op.mean("v3") }),
  javascript: ({ t }) => {
    const [id4, v1, v2, v3] = [int32(t!, "id4"), int32(t!, "v1"), int32(t!, "v2"), float64(t!, "v3")];
    const size = directSize(id4);
    return () => {
      const sums = threeSums(id4, v1, v2, v3, size);
      const groups = occupied(sums, 4);
      const mean = (index: number) =>
        mapped(groups, (group) => sums[4 * group + index]! / sums[4 * group + 3]!);
      const columns = {
        id4: { values: groups },
        v1: { values: mean(0) },
        v2: { values: mean(1) },
        v3: { values: mean(2) },
      };
      return { rows: groups.length, columns };
    };
  },
  quick: "fast",
};

const q5: BenchCase = {
  suite: "groupby",
  name: "q5",
  question: "sum v1, v2, v3 by id6",
  inputs: groupBy(["id6", "v1", "v2", "v3"]),
  output: [
    { name: "id6", kind: "int" },
    { name: "v1", kind: "int" },
    { name: "v2", kind: "int" },
    { name: "v3", kind: "float" },
  ],
  plan: () =>
    from("t")
      .groupBy("id6")
      .aggregate({ v1: sum("v1"), v2: sum("v2"), v3: sum("v3") }),
  sql: "SELECT id6, sum(v1) AS v1, sum(v2) AS v2, sum(v3) AS v3 FROM t GROUP BY id6",
  polars: (pl, { t }) =>
    t!.lazy().groupBy("id6").agg(pl.col("v1").sum(), pl.col("v2").sum(), pl.col("v3").sum()),
  arquero: (aq, { t }) =>
    t!.groupby("id6").rollup({ v1: aq.op.sum("v1"), v2: aq.op.sum("v2"), v3: aq.op.sum("v3") }),
  javascript: ({ t }) => {
    const [id6, v1, v2, v3] = [int32(t!, "id6"), int32(t!, "v1"), int32(t!, "v2"), float64(t!, "v3")];
    const size = directSize(id6);
    return () => {
      const sums = threeSums(id6, v1, v2, v3, size);
      const groups = occupied(sums, 4);
      const columns = {
        id6: { values: groups },
        v1: { values: pick(sums, groups, 4, 0) },
        v2: { values: pick(sums, groups, 4, 1) },
        v3: { values: pick(sums, groups, 4, 2) },
      };
      return { rows: groups.length, columns };
    };
  },
  quick: "fast",
};

const q6: BenchCase = {
  suite: "groupby",
  name: "q6",
  question: "median v3, sd v3 by id4, id5",
  inputs: groupBy(["id4", "id5", "v3"]),
  output: [
    { name: "id4", kind: "int" },
    { name: "id5", kind: "int" },
    { name: "median", kind: "float" },
    { name: "sd", kind: "float" },
  ],
  plan: () =>
    from("t")
      .groupBy("id4", "id5")
      .aggregate({ median: median("v3"), sd: stddev("v3") }),
  sql: "SELECT id4, id5, median(v3) AS median, stddev_samp(v3) AS sd FROM t GROUP BY id4, id5",
  polars: (pl, { t }) =>
    t!
      .lazy()
      .groupBy(["id4", "id5"])
      .agg(pl.col("v3").median().alias("median"), pl.col("v3").std().alias("sd")),
  arquero: (aq, { t }) =>
    t!.groupby("id4", "id5").rollup({ median: aq.op.median("v3"), sd: aq.op.stdev("v3") }),
  javascript: columnLoop(GROUPING_QUESTIONS.q6),
};

const q7: BenchCase = {
  suite: "groupby",
  name: "q7",
  question: "max v1 - min v2 by id3",
  inputs: groupBy(["id3", "v1", "v2"]),
  output: [
    { name: "id3", kind: "text" },
    { name: "range", kind: "int" },
  ],
  plan: () =>
    from("t")
      .groupBy("id3")
      .aggregate({ high: max("v1"), low: min("v2") })
      .select({ id3: col("id3"), range: col("high").sub(col("low")) }),
  sql: "SELECT id3, max(v1) - min(v2) AS range FROM t GROUP BY id3",
  polars: (pl, { t }) =>
    t!
      .lazy()
      .groupBy("id3")
      .agg(pl.col("v1").max().minus(pl.col("v2").min()).alias("range")),
  arquero: (aq, { t }) =>
    t!
      .groupby("id3")
      .rollup({ high: aq.op.max("v1"), low: aq.op.min("v2") })
      .derive({ range: "d => d.high - d.low" })
      .select("id3", "range"),
  javascript: ({ t }) => {
    const [id3, v1, v2] = [codes(t!, "id3"), int32(t!, "v1"), int32(t!, "v2")];
    return () => {
      const size = id3.texts.length;
      const highs = new Int32Array(size).fill(-2147483648);
      const lows = new Int32Array(size).fill(2147483647);
      const counts = new Uint8Array(size);
      const keys = id3.codes;
      for (let row = 0; row < keys.length; row++) {
        const key = keys[row]!;
        if (v1[row]! > highs[key]!) highs[key] = v1[row]!;
        if (v2[row]! < lows[key]!) lows[key] = v2[row]!;
        counts[key] = 1;
      }
      const groups = occupied(counts);
      const ranges = groups.map((group) => highs[group]! - lows[group]!);
      const columns = { id3: { values: groups, dictionary: id3.texts }, range: { values: ranges } };
      return { rows: groups.length, columns };
    };
  },
};

const q8: BenchCase = {
  suite: "groupby",
  name: "q8",
  question: "two largest v3 by id6",
  inputs: groupBy(["id6", "v3"]),
  output: [
    { name: "id6", kind: "int" },
    { name: "largest", kind: "list-of-float" },
  ],
  plan: () =>
    from("t")
      .groupBy("id6")
      .aggregate({ largest: topK("v3", 2) }),
  sql: "SELECT id6, max(v3, 2) AS largest FROM t GROUP BY id6",
  polars: (pl, { t }) =>
    t!
      .lazy()
      .groupBy("id6")
      .agg(pl.col("v3").sort({ descending: true }).head(2).alias("largest")),
  javascript: columnLoop(GROUPING_QUESTIONS.q8),
};

const q9: BenchCase = {
  suite: "groupby",
  name: "q9",
  question: "corr(v1, v2)^2 by id2, id4",
  inputs: groupBy(["id2", "id4", "v1", "v2"]),
  output: [
    { name: "id2", kind: "text" },
    { name: "id4", kind: "int" },
    { name: "r2", kind: "float" },
  ],
  plan: () =>
    from("t")
      .groupBy("id2", "id4")
      .aggregate({ r: corr("v1", "v2") })
      .select({ id2: col("id2"), id4: col("id4"), r2: col("r").mul(col("r")) }),
  sql: "SELECT id2, id4, pow(corr(v1, v2), 2) AS r2 FROM t GROUP BY id2, id4",
  polars: (pl, { t }) =>
    t!
      .lazy()
      .groupBy(["id2", "id4"])
      .agg(pl.pearsonCorr("v1", "v2").alias("r"))
      .select(pl.col("id2"), pl.col("id4"), pl.col("r").mul(pl.col("r")).alias("r2")),
  arquero: (aq, { t }) =>
    t!
      .groupby("id2", "id4")
      .rollup({ r: aq.op.corr("v1", "v2") })
      .derive({ r2: "d => d.r * d.r" })
      .select("id2", "id4", "r2"),
  javascript: ({ t }) => {
    const [id2, id4] = [codes(t!, "id2"), int32(t!, "id4")];
    const [v1, v2] = [int32(t!, "v1"), int32(t!, "v2")];
    const width = directSize(id4);
    return () => {
      // Sums of small integers: exact in float64 as they are.
      const size = id2.texts.length * width;
      const counts = new Uint32Array(size);
      const [x, y, xy] = [new Float64Array(size), new Float64Array(size), new Float64Array(size)];
      const [xx, yy] = [new Float64Array(size), new Float64Array(size)];
      const keys = id2.codes;
      for (let row = 0; row < keys.length; row++) {
        const key = keys[row]! * width + id4[row]!;
        const [a, b] = [v1[row]!, v2[row]!];
        counts[key]! += 1;
        x[key]! += a;
        y[key]! += b;
        xy[key]! += a * b;
        xx[key]! += a * a;
        yy[key]! += b * b;
      }
      const groups = occupied(counts);
      const squares = mapped(groups, (group) => {
        const [n, sx, sy] = [counts[group]!, x[group]!, y[group]!];
        const both = n * xy[group]! - sx * sy;
        return both ** 2 / ((n * xx[group]! - sx * sx) * (n * yy[group]! - sy * sy));
      });
      const columns = {
        id2: { values: groups.map((group) => Math.floor(group / width)), dictionary: id2.texts },
        id4: { values: groups.map((group) => group % width) },
        r2: { values: squares },
      };
      return { rows: groups.length, columns };
    };
  },
};

const q10: BenchCase = {
  suite: "groupby",
  name: "q10",
  question: "sum v3, count by id1, id2, id3, id4, id5, id6",
  inputs: groupBy(["id1", "id2", "id3", "id4", "id5", "id6", "v3"]),
  output: [
    { name: "id1", kind: "text" },
    { name: "id2", kind: "text" },
    { name: "id3", kind: "text" },
    { name: "id4", kind: "int" },
    { name: "id5", kind: "int" },
    { name: "id6", kind: "int" },
    { name: "v3", kind: "float" },
    { name: "rows", kind: "int" },
  ],
  plan: () =>
    from("t")
      .groupBy("id1", "id2", "id3", "id4", "id5", "id6")
      .aggregate({ v3: sum("v3"), rows: count() }),
  sql: "SELECT id1, id2, id3, id4, id5, id6, sum(v3) AS v3, count(*) AS rows FROM t GROUP BY ALL",
  polars: (pl, { t }) =>
    t!
      .lazy()
      .groupBy(["id1", "id2", "id3", "id4", "id5", "id6"])
      .agg(pl.col("v3").sum(), pl.len().alias("rows")),
  arquero: (aq, { t }) =>
    t!.groupby("id1", "id2", "id3", "id4", "id5", "id6").rollup({ v3: aq.op.sum("v3"), rows: aq.op.count() }),
  javascript: ({ t }) => {
    const [id1, id2, id3] = [codes(t!, "id1"), codes(t!, "id2"), codes(t!, "id3")];
    const [id4, id5, id6, v3] = [int32(t!, "id4"), int32(t!, "id5"), int32(t!, "id6"), float64(t!, "v3")];
    const pack = sixKeyPacking(id1.texts.length, id2.texts.length, id3.texts.length, id4, id5, id6);
    return () => {
      const rows = id4.length;
      const table = new WordPairGroups(rows);
      const [sums, counts] = [new Float64Array(rows), new Float64Array(rows)];
      const first = new Int32Array(rows);
      for (let row = 0; row < rows; row++) {
        const far = id6[row]!;
        const narrow =
          ((id1.codes[row]! * pack.width2 + id2.codes[row]!) * pack.width4 + id4[row]!) * pack.width5 +
          id5[row]!;
        const low = narrow | ((far & pack.spareMask) << pack.narrowBits);
        const high = id3.codes[row]! | ((far >>> pack.spareBits) << pack.bits3);
        const group = table.group(low, high);
        if (counts[group] === 0) first[group] = row;
        sums[group]! += v3[row]!;
        counts[group]! += 1;
      }
      const firsts = first.subarray(0, table.groups);
      const at = (values: Int32Array) => firsts.map((row) => values[row]!);
      const columns = {
        id1: { values: at(id1.codes), dictionary: id1.texts },
        id2: { values: at(id2.codes), dictionary: id2.texts },
        id3: { values: at(id3.codes), dictionary: id3.texts },
        id4: { values: at(id4) },
        id5: { values: at(id5) },
        id6: { values: at(id6) },
        v3: { values: sums.subarray(0, table.groups) },
        rows: { values: counts.subarray(0, table.groups) },
      };
      return { rows: table.groups, columns };
    };
  },
};

const intSum: BenchCase = {
  suite: "groupby",
  name: "int-sum",
  question: "sum v1 by the 100 integers of id4",
  inputs: groupBy(["id4", "v1"]),
  output: [
    { name: "id4", kind: "int" },
    { name: "v1", kind: "int" },
  ],
  plan: () =>
    from("t")
      .groupBy("id4")
      .aggregate({ v1: sum("v1") }),
  sql: "SELECT id4, sum(v1) AS v1 FROM t GROUP BY id4",
  polars: (pl, { t }) => t!.lazy().groupBy("id4").agg(pl.col("v1").sum()),
  arquero: (aq, { t }) => t!.groupby("id4").rollup({ v1: aq.op.sum("v1") }),
  javascript: ({ t }) => {
    const [id4, v1] = [int32(t!, "id4"), int32(t!, "v1")];
    const size = directSize(id4);
    return () => {
      const [sums, counts] = [new Float64Array(size), new Uint32Array(size)];
      for (let row = 0; row < id4.length; row++) {
        const key = id4[row]!;
        sums[key]! += v1[row]!;
        counts[key]! += 1;
      }
      const groups = occupied(counts);
      return {
        rows: groups.length,
        columns: { id4: { values: groups }, v1: { values: pick(sums, groups) } },
      };
    };
  },
  quick: "fast",
};

export const distinctKeys: BenchCase = {
  suite: "groupby",
  name: "distinct-keys",
  question: "sum value by 64-bit keys, nearly all distinct",
  inputs: { t: { fixture: "distinct-keys", columns: ["key", "value"] } },
  output: [
    { name: "key", kind: "int" },
    { name: "value", kind: "int" },
  ],
  plan: () =>
    from("t")
      .groupBy("key")
      .aggregate({ value: sum("value") }),
  sql: "SELECT key, sum(value) AS value FROM t GROUP BY key",
  polars: (pl, { t }) => t!.lazy().groupBy("key").agg(pl.col("value").sum()),
  javascript: ({ t }) => {
    const keys = columnOf(t!, "key").values;
    const words = new Int32Array(keys.buffer, keys.byteOffset, 2 * keys.length);
    const value = int32(t!, "value");
    return () => {
      const rows = value.length;
      const groups = new WordPairGroups(rows);
      const sums = new Float64Array(rows);
      for (let row = 0; row < rows; row++) {
        sums[groups.group(words[2 * row]!, words[2 * row + 1]!)]! += value[row]!;
      }
      const out = new Int32Array(2 * groups.groups);
      for (let group = 0; group < groups.groups; group++) {
        out[2 * group] = groups.lows[group]!;
        out[2 * group + 1] = groups.highs[group]!;
      }
      const columns = {
        key: { values: new BigInt64Array(out.buffer) },
        value: { values: sums.subarray(0, groups.groups) },
      };
      return { rows: groups.groups, columns };
    };
  },
};

/**
 * How six ids fit a pair of 32-bit words: id1, id2, id4 and id5 as one number in the low word, id3 in the high
 * one, id6 in the bits that are left over in both. Throws RangeError when they do not fit.
 */
function sixKeyPacking(
  width1: number,
  width2: number,
  width3: number,
  id4: Int32Array,
  id5: Int32Array,
  id6: Int32Array,
) {
  const bits = (count: number) => Math.ceil(Math.log2(Math.max(2, count)));
  const [width4, width5] = [directSize(id4), directSize(id5)];
  const narrowBits = bits(width1 * width2 * width4 * width5);
  const [bits3, bits6] = [bits(width3), bits(directSize(id6))];
  const spareBits = Math.min(bits6, 31 - narrowBits);
  if (spareBits < 0 || bits3 + bits6 - spareBits > 32) throw new RangeError("the ids do not fit two words");
  return { width2, width4, width5, narrowBits, bits3, spareBits, spareMask: (1 << spareBits) - 1 };
}

/** Sums of two integer columns and a float one, and the count, by a small non-negative integer key, side by side. */
function threeSums(
  keys: Int32Array,
  v1: Int32Array,
  v2: Int32Array,
  v3: Float64Array,
  size: number,
): Float64Array {
  const sums = new Float64Array(4 * size);
  for (let row = 0; row < keys.length; row++) {
    const at = keys[row]! << 2;
    sums[at]! += v1[row]!;
    sums[at + 1]! += v2[row]!;
    sums[at + 2]! += v3[row]!;
    sums[at + 3]! += 1;
  }
  return sums;
}

const QUESTIONS = [q1, q2, q3, q4, q5, q6, q7, q8, q9, q10, intSum, distinctKeys];

export const groupbySuite: Suite = {
  name: "groupby",
  title: "group-by questions of db-benchmark",
  cases: [...QUESTIONS, ...variantsOf(QUESTIONS)],
  geometricMean: true,
};
