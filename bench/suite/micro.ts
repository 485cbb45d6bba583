// Single kernels, without plans and scheduling: an operator over batches in kernel memory, against the same
// algorithm in C (bench/native/kernels.c) and against reading the same memory.
//
// Fault switches keep some of them from faster ways: hash-sum and packed-sum could index an array directly.

import { col, corr, from, sum } from "../../bindings/ts/index.js";
import { ProgramBuilder } from "../../bindings/ts/kernel/index.js";
import { Opcode } from "../../kernel/abi/instruction.js";
import { Type } from "../../kernel/abi/layout.js";
import { AggregateFault } from "../../kernel/abi/operator.js";
import type { OutputColumn } from "../result/canonical.js";
import type { BenchCase, Suite } from "./case.js";
import { columnLoop } from "./column-loops.js";
import { distinctKeys } from "./groupby.js";
import { float64, int32 } from "./typed-loops.js";

interface SumCase {
  readonly name: string;
  readonly question: string;
  readonly keys: readonly OutputColumn[];
  readonly value: OutputColumn;
  readonly fixture?: string;
  readonly faults?: AggregateFault;
  readonly bytes?: true;
  readonly quick?: true;
}

const int = (name: string): OutputColumn => ({ name, kind: "int" });

function sumCase({
  name,
  question,
  keys,
  value,
  fixture = "groupby",
  faults,
  bytes,
  quick,
}: SumCase): BenchCase {
  const names = keys.map((key) => key.name);
  const column = value.name;
  const aggregates = [{ name: column, function: "sum", column }] as const;
  return {
    suite: "micro",
    name,
    question,
    inputs: { t: { fixture, columns: [...names, column] } },
    output: [...keys, value],
    plan: () =>
      from("t")
        .groupBy(...names)
        .aggregate({ [column]: sum(column) }),
    kernel: (kernel, { fields }) =>
      kernel.hashAggregate({ columns: fields, keys: names, aggregates, faults }),
    javascript: columnLoop({ keys: names, measures: { [column]: { kind: "sum", column } } }),
    native: name,
    ...(bytes ? { kernelReadsBytes: true } : {}),
    ...(quick ? { quick: "fast" } : {}),
  };
}

const byteCorrelation: BenchCase = {
  suite: "micro",
  name: "byte-corr",
  question: "corr(v1, v2) by two keys, all in bytes, 10,000 groups",
  inputs: { t: { fixture: "groupby", columns: ["id4", "id5", "v1", "v2"] } },
  output: [int("id4"), int("id5"), { name: "r", kind: "float" }],
  plan: () =>
    from("t")
      .groupBy("id4", "id5")
      .aggregate({ r: corr("v1", "v2") }),
  kernel: (kernel, { fields }) =>
    kernel.hashAggregate({
      columns: fields,
      keys: ["id4", "id5"],
      aggregates: [{ name: "r", function: "corr", column: "v1", second: "v2" }],
    }),
  kernelReadsBytes: true,
  javascript: columnLoop({
    keys: ["id4", "id5"],
    measures: { r: { kind: "correlation", columns: ["v1", "v2"] } },
  }),
  native: "byte-corr",
};

/** Keeps v3 where v1 is at most 2: two rows in five. */
const filter: BenchCase = {
  suite: "micro",
  name: "filter",
  question: "v3 where v1 <= 2: compare, and keep the rows that passed",
  inputs: { t: { fixture: "groupby", columns: ["v1", "v3"] } },
  output: [{ name: "v3", kind: "float" }],
  plan: () => from("t").where(col("v1").le(2)).select("v3"),
  kernel: (kernel, { fields }) => {
    const program = new ProgramBuilder();
    const [tested, kept] = [program.column(Type.I32), program.column(Type.F64)];
    const [a, b] = [program.load(tested), program.literal(Type.I32, 2)];
    program.filter(program.emit(Opcode.LESS_EQUAL, Type.I32, { a, b, target: Type.BOOL }));
    program.output(program.load(kept));
    const output = { fields: [fields[1]!] };
    return kernel.project({ program: program.encode(), columns: [0, 1], input: fields, output });
  },
  kernelEmits: true,
  javascript: ({ t }) => {
    const [v1, v3] = [int32(t!, "v1"), float64(t!, "v3")];
    return () => {
      const kept = new Float64Array(v1.length);
      let rows = 0;
      for (let row = 0; row < v1.length; row++) {
        kept[rows] = v3[row]!;
        rows += v1[row]! <= 2 ? 1 : 0;
      }
      return { rows, columns: { v3: { values: kept.subarray(0, rows) } } };
    };
  },
  native: "filter",
};

export const microSuite: Suite = {
  name: "micro",
  title: "single kernels, against the same algorithm in C",
  cases: [
    sumCase({ name: "sum-int", question: "sum of int32", keys: [], value: int("v1"), quick: true }),
    sumCase({
      name: "sum-exact",
      question: "exact sum of float64",
      keys: [],
      value: { name: "v3", kind: "float" },
    }),
    sumCase({
      name: "direct-sum",
      question: "group numbers by arithmetic on a key of 100 integers, sum of int32",
      keys: [int("id4")],
      value: int("v1"),
    }),
    sumCase({
      name: "direct-sum-exact",
      question: "the same, exact sum of float64",
      keys: [int("id4")],
      value: { name: "v3", kind: "float" },
      quick: true,
    }),
    sumCase({
      name: "dictionary-sum",
      question: "group numbers from the codes of 100 texts, sum of int32",
      keys: [{ name: "id1", kind: "text" }],
      value: int("v1"),
    }),
    sumCase({
      name: "byte-sum",
      question: "sum of integers in a byte each by a key in a byte, 100 groups",
      keys: [int("id4")],
      value: int("v1"),
      bytes: true,
    }),
    sumCase({
      name: "byte-pair-sum",
      question: "the same by two keys, 10,000 groups",
      keys: [int("id4"), int("id5")],
      value: int("v1"),
      bytes: true,
    }),
    byteCorrelation,
    sumCase({
      name: "hash-sum",
      question: "group numbers by hashing rows of 8 bytes, a hundredth of the rows distinct; sum of int32",
      keys: [int("id6")],
      value: int("v1"),
      faults: AggregateFault.NO_DIRECT,
    }),
    sumCase({
      name: "packed-sum",
      question: "two keys packed into rows of 16 bytes, hashed, 10,000 groups; sum of int32",
      keys: [int("id4"), int("id5")],
      value: int("v1"),
      faults: AggregateFault.NO_DIRECT,
    }),
    {
      ...sumCase({
        name: "set-aside",
        question: "64-bit keys, nearly all distinct: rows set aside by hash and worked off by partition",
        keys: [int("key")],
        value: int("value"),
        fixture: "distinct-keys",
      }),
      javascript: distinctKeys.javascript,
    },
    filter,
  ],
  geometricMean: true,
};
