// The group-by questions over data of other shapes: 5 % nulls, sorted by the ids, very few and very many groups.
//
// db-benchmark has the first two; the other two look for cliffs. A variant is a case of its own: groupby/q1@nulls.

import type Polars from "nodejs-polars";
import type { BenchCase, DataOptions, PolarsQuery } from "./case.js";
import { columnLoop, type GroupingQuestion, type Measure } from "./column-loops.js";

interface Variant {
  readonly name: string;
  readonly data: DataOptions;
  /** Added to the question. */
  readonly words: string;
  /** Whether the hand-written loops of the plain questions fit: no nulls, and not too many groups. */
  readonly plainLoops: boolean;
}

const VARIANTS: readonly Variant[] = [
  { name: "nulls", data: { nulls: 5 }, words: "5 % nulls", plainLoops: false },
  { name: "sorted", data: { sorted: true }, words: "sorted by the ids", plainLoops: true },
  { name: "k2", data: { k: 2 }, words: "K = 2", plainLoops: true },
  { name: "k1m", data: { k: 1_000_000 }, words: "K = 1,000,000", plainLoops: false },
];

const sum = (column: string): Measure => ({ kind: "sum", column });
const mean = (column: string): Measure => ({ kind: "mean", column });

/** The questions in the form that loops and Polars queries which take nulls are made from. */
export const GROUPING_QUESTIONS = {
  q1: { keys: ["id1"], measures: { v1: sum("v1") } },
  q2: { keys: ["id1", "id2"], measures: { v1: sum("v1") } },
  q3: { keys: ["id3"], measures: { v1: sum("v1"), v3: mean("v3") } },
  q4: { keys: ["id4"], measures: { v1: mean("v1"), v2: mean("v2"), v3: mean("v3") } },
  q5: { keys: ["id6"], measures: { v1: sum("v1"), v2: sum("v2"), v3: sum("v3") } },
  q6: {
    keys: ["id4", "id5"],
    measures: { median: { kind: "median", column: "v3" }, sd: { kind: "sd", column: "v3" } },
  },
  q7: { keys: ["id3"], measures: { range: { kind: "max-less-min", columns: ["v1", "v2"] } } },
  q8: { keys: ["id6"], measures: { largest: { kind: "two-largest", column: "v3" } } },
  q9: { keys: ["id2", "id4"], measures: { r2: { kind: "squared-correlation", columns: ["v1", "v2"] } } },
  q10: {
    keys: ["id1", "id2", "id3", "id4", "id5", "id6"],
    measures: { v3: sum("v3"), rows: { kind: "rows" } },
  },
  "int-sum": { keys: ["id4"], measures: { v1: sum("v1") } },
} as const satisfies Readonly<Record<string, GroupingQuestion>>;

/** Every variant of those of `cases` that read the group-by table. */
export function variantsOf(cases: readonly BenchCase[]): BenchCase[] {
  const questions: Readonly<Record<string, GroupingQuestion>> = GROUPING_QUESTIONS;
  return VARIANTS.flatMap((variant) =>
    cases.flatMap((of) => {
      const question = questions[of.name];
      return question === undefined ? [] : [variantOf(of, question, variant)];
    }),
  );
}

function variantOf(of: BenchCase, question: GroupingQuestion, variant: Variant): BenchCase {
  const { quick: _, arquero, ...plain } = of;
  const input = of.inputs.t!;
  return {
    ...plain,
    ...(variant.data.nulls === undefined && arquero !== undefined ? { arquero } : {}),
    name: `${of.name}@${variant.name}`,
    variant: variant.name,
    question: `${of.question}; ${variant.words}`,
    inputs: { t: { ...input, options: variant.data } },
    javascript: variant.plainLoops ? of.javascript : columnLoop(question),
    ...(variant.data.nulls === undefined ? {} : { polars: polarsWithNulls(question) }),
  };
}

function polarsWithNulls({ keys, measures }: GroupingQuestion): PolarsQuery {
  return (pl, { t }) => {
    const measured = Object.entries(measures).map(([name, measure]) =>
      polarsMeasure(pl, measure).alias(name),
    );
    return t!
      .lazy()
      .groupBy([...keys])
      .agg(...measured);
  };
}

/** Polars sums no values to 0 and not to null, which costs it a count of the values. */
function polarsMeasure(pl: typeof Polars, measure: Measure) {
  switch (measure.kind) {
    case "rows":
      return pl.len();
    case "sum": {
      const column = pl.col(measure.column);
      return pl.when(column.count().gt(0)).then(column.sum()).otherwise(pl.lit(null));
    }
    case "mean":
      return pl.col(measure.column).mean();
    case "median":
      return pl.col(measure.column).median();
    case "sd":
      return pl.col(measure.column).std();
    case "two-largest":
      return pl.col(measure.column).dropNulls().sort({ descending: true }).head(2);
    case "max-less-min":
      return pl.col(measure.columns[0]).max().minus(pl.col(measure.columns[1]).min());
    case "correlation":
      return pl.pearsonCorr(...measure.columns);
    case "squared-correlation":
      return pl.pearsonCorr(...measure.columns).pow(2);
  }
}
