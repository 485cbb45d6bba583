// Memory that runs out while aggregates of every kind grow: the same story again and again, with another allocation
// failing each time, or all that come late in a step. A push, merge or combination that failed goes well when it is made again, or the operator says that
// it has failed for good; what is told to the end has the twin's results, and memory is as it was.

import { describe, expect, test } from "vitest";
import { Kernel } from "../../bindings/ts/kernel/kernel.js";
import type { Operator } from "../../bindings/ts/kernel/operator.js";
import {
  bool,
  type DataType,
  decimal,
  dictionary,
  float32,
  float64,
  int8,
  int16,
  int32,
  int64,
  utf8,
} from "../../bindings/ts/type/data-type.js";
import { MemoryLimitError, MillraceError } from "../../bindings/ts/type/error.js";
import type { Value } from "../../twin/values.js";
import { RowKind } from "../abi/operator.js";
import {
  type Aggregate,
  BUILDS,
  batchOf,
  expected,
  multiset,
  open,
  type Query,
  rowsOf,
  slice,
  type Table,
} from "../operator/testing.js";

/**
 * Every so-manieth allocation fails, of each query others, twice as many as of the stories of operators; all of them, one
 * after the other: ALLOCATION_STRIDE=2.
 */
const STRIDE = Math.ceil(Number(process.env.ALLOCATION_STRIDE ?? 122) / 2);
/** Where so many stories in a row do not miss theirs, there are no more. */
const IDLE = STRIDE > 10 ? 1 : 3;
const BUDGET = "512 MiB";
/** Rows of a push: what an aggregate keeps outgrows its first memory, and its second. */
const PUSHES = [3, 20, 150, 600, 1000];
const ROWS = PUSHES.reduce((sum, rows) => sum + rows, 0);

const [KEY, I16, I32, I64, F32, F64, WIDE, TEXT, CODED, FLAG, KIND] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10];
const TYPES: readonly DataType[] = [
  int64,
  int16,
  int32,
  int64,
  float32,
  float64,
  decimal(38, 2),
  utf8,
  dictionary(utf8, int32),
  bool,
  int8,
];

/** Of seven rows of a changelog, the one that takes the row before it back. */
const TAKEN = 6;

/** Values whose sums outgrow their lanes, and limbs, as they go on. */
function sampleOf(column: number, row: number): Value {
  const large = row > 170;
  if (row % 13 === 5 && column !== KEY && column !== KIND) return null;
  switch (column) {
    case KEY:
      return BigInt(row % 1601) * 0x1_0000_0001n;
    case FLAG:
      return row % 3 === 0;
    case KIND:
      return BigInt(row % 7 === TAKEN ? RowKind.DELETE : RowKind.INSERT);
    case I16:
      return BigInt(row % 300) - 100n;
    case F32:
      return Math.fround((row % 97) - 48.5);
    case F64:
      if (row % 401 === 7) return row % 2 === 0 ? Infinity : Number.NaN;
      return (row % 89) * 10 ** (large ? (row % 37) * 15 - 270 : 0);
    case TEXT:
    case CODED:
      return `${row % (column === TEXT ? 2000 : 90)}`.padStart(1 + (row % 50), "text ");
    case WIDE:
      return BigInt(row % 1000) * (large ? 10n ** 30n : 1n) - 77n;
    case I64:
      return BigInt(row % 1000) * (large ? 2n ** 49n : 1n) - 5n;
    default:
      return BigInt(row % 30_000) - 1000n;
  }
}
const TABLE: Table = TYPES.map((_, column) =>
  Array.from({ length: ROWS }, (_, row) => sampleOf(column, row)),
);
const LOG: Table = TABLE.map((values, column) =>
  values.map((value, row) => (row % 7 === TAKEN && column !== KIND ? values[row - 1]! : value)),
);
const REST: Table = TABLE.map((values) => values.filter((_, row) => row % 7 < TAKEN - 1 || row === ROWS - 1));
const tableOf = ({ kind }: Query): Table => (kind === undefined ? TABLE : LOG);

/** Each of these functions of each of these columns. */
const each = (columns: readonly number[], names: readonly Aggregate["name"][], more = {}): Aggregate[] =>
  columns.flatMap((of) => names.map((name) => ({ name, of, ...more })));

const QUERIES: readonly [string, readonly Aggregate[], retracts?: boolean][] = [
  [
    "integer sums in pairs",
    [...each([I32, I64], ["avg"]), { name: "count" }, { name: "avg", of: I32, filter: FLAG }],
  ],
  ["wide sums", each([WIDE, I64], ["avg", "variance"])],
  ["sums of floats", each([F32, F64], ["sum", "avg"])],
  [
    "moments of floats",
    [...each([F64, F32], ["variance", "kurtosis"]), ...each([F64], ["corr"], { second: F32 })],
  ],
  [
    "moments of integers",
    [...each([I64, WIDE], ["skewness", "kurtosisPop"]), ...each([I64], ["corr"], { second: I32 })],
  ],
  ["plain sums and moments", each([F32, F64], ["sum", "variance"], { fast: true })],
  ["extremes", each([I16, I64, F64, WIDE, TEXT, CODED], ["min", "max"])],
  ["values by another's order", each([I32, WIDE, TEXT], ["argMin", "argMax"], { second: I64 })],
  ["values by a text's order", each([I32, TEXT], ["first"], { second: TEXT })],
  ["distinct values", each([I16, I64, WIDE, TEXT, CODED], ["countDistinct"])],
  ["sums of distinct values", each([I64, F32], ["avg", "median"], { distinct: true })],
  ["quantiles", [...each([I16, F64, WIDE], ["median"]), ...each([TEXT, FLAG], ["mode"])]],
  [
    "lists of all values",
    [...each([I32, TEXT], ["arrayAgg"]), ...each([CODED], ["stringAgg"], { separator: "," })],
  ],
  ["the greatest and least", each([I32, WIDE, TEXT], ["topK", "bottomK"], { limit: 3 })],
  [
    "the greatest and least by another",
    each([I32, WIDE, TEXT], ["topK", "bottomK"], { limit: 3, second: I64 }),
  ],
  ["sketches", [...each([I64, TEXT], ["approxCountDistinct"]), ...each([F64], ["approxMedian"])]],
  ["sums of a changelog", [{ name: "count" }, ...each([I32, I64, F64, WIDE], ["avg", "variance"])], true],
  ["values of a changelog", each([I16, F64, WIDE, TEXT, CODED], ["min", "max", "countDistinct"]), true],
  ["lists of a changelog", [...each([I32, TEXT], ["arrayAgg"]), ...each([I32], ["median"])], true],
];

describe.each(BUILDS.slice(0, 1))("growth while allocations fail, %s build", async (build) => {
  const kernel = await Kernel.open({ build, budget: BUDGET });

  /** Whether memory ran out in the story at hand; how many steps it has had. */
  let refused = false;
  let steps = 0;
  /** The steps that have no more than so many bytes, when they are tried first. */
  let starved: { readonly step: number; readonly bytes: number } | null = null;

  /** Runs a step, once more where memory ran out. */
  function twice<T>(run: () => T): T {
    steps++;
    // In two steps, one after the other: what could be done without is asked for again.
    if (starved !== null && steps >= starved.step && steps < starved.step + 2)
      kernel.setBudget(kernel.usedBytes + Math.max(1, starved.bytes));
    try {
      return run();
    } catch (error) {
      if (!(error instanceof MemoryLimitError)) throw error;
      refused = true;
      kernel.setBudget(BUDGET);
      return run();
    } finally {
      kernel.setBudget(BUDGET);
    }
  }

  /** Two parts, one of them saved and restored, brought together in memory; the results. */
  function tell(query: Query): Value[][] {
    const operators: Operator[] = [];
    const make = () => {
      const operator = open(kernel, query);
      operators.push(operator);
      return operator;
    };
    try {
      const [whole, part, restored] = [twice(make), twice(make), twice(make)];
      let start = 0;
      PUSHES.forEach((rows, push) => {
        const batch = batchOf(query.types, slice(tableOf(query), start, start + rows));
        twice(() => (push % 2 === 0 ? whole : part).push(batch));
        start += rows;
      });
      for (const state of twice(() => [...part.snapshot(200)])) twice(() => restored.merge(state));
      twice(() => {
        for (const _ of whole.absorb(restored));
      });
      return twice(() => rowsOf(whole.finish()));
    } finally {
      for (const operator of operators) operator.destroy();
    }
  }

  const told = QUERIES.map(([name, aggregates, retracts], index) => {
    // Numbers looked up, numbers computed, and texts.
    const keys = [[KEY, I16, TEXT][index % 3]!];
    const query: Query = { types: TYPES, keys, aggregates, ...(retracts ? { kind: KIND } : {}) };
    return { name, index, query };
  });

  /** The story once more, in which memory may run out: whether it was told to the end. */
  function isTold(query: Query, wanted: readonly string[], of: string): boolean {
    const before = [kernel.usedBytes, kernel.blocks];
    refused = false;
    steps = 0;
    let rows: Value[][] | null = null;
    try {
      rows = tell(query);
    } catch (error) {
      // It was refused, and refused for good when it was asked again.
      expect(refused).toBe(true);
      expect(error).toBeInstanceOf(MillraceError);
      expect((error as MillraceError).code).not.toBe("KERNEL_TRAP");
    }
    kernel.failAllocation(0);
    expect([of, kernel.usedBytes, kernel.blocks]).toEqual([of, ...before]);
    if (rows !== null) expect([of, multiset(rows)]).toEqual([of, wanted]);
    return rows !== null;
  }

  test("each allocation of an operator of many aggregates fails in turn as it is made", () => {
    const names = [
      "countDistinct",
      "min",
      "topK",
      "median",
      "sum",
      "variance",
      "approxCountDistinct",
    ] as const;
    const aggregates = Array.from({ length: 70 }, (_, at) => {
      const of = at % 7 === 1 || at % 7 === 0 ? TEXT : F64;
      return {
        name: names[at % 7]!,
        of,
        limit: 1 + (at % 9),
        distinct: false,
        filter: at % 2 === 0 ? FLAG : undefined,
      };
    });
    const query: Query = { types: TYPES, keys: [KEY, TEXT], aggregates };
    const before = [kernel.usedBytes, kernel.blocks];
    let failures = 0;
    for (let made = false; !made; ) {
      kernel.failAllocation(failures + 1);
      try {
        open(kernel, query).destroy();
        made = true;
      } catch (error) {
        expect(error).toBeInstanceOf(MemoryLimitError);
        failures++;
      }
      kernel.failAllocation(0);
      expect([failures, kernel.usedBytes, kernel.blocks]).toEqual([failures, ...before]);
    }
    expect(failures).toBeGreaterThan(30);
  });

  test("allocations fail where tables divide", () => {
    const count = 40_000;
    const query: Query = { types: [int64], keys: [0], aggregates: [{ name: "countDistinct", of: 0 }] };
    const first = batchOf(query.types, [
      Array.from({ length: 20_000 }, (_, row) => BigInt(row) * 1_000_003n),
    ]);
    const rest = batchOf(query.types, [Array.from({ length: count }, (_, row) => BigInt(row) * 1_000_003n)]);
    let idle = 0;
    for (let nth = 1; idle < IDLE; nth += STRIDE) {
      const operator = open(kernel, query);
      operator.push(first);
      kernel.failAllocation(nth);
      refused = false;
      twice(() => operator.push(rest));
      kernel.failAllocation(0);
      expect([nth, operator.stats().groups]).toEqual([nth, count]);
      operator.destroy();
      idle = refused ? 0 : idle + 1;
    }
  });

  test.each(told)("one allocation: $name", { timeout: 240_000 }, ({ query, index }) => {
    const wanted = multiset(tell(query));
    // The twin knows no plain sums.
    if (!query.aggregates.some(({ fast }) => fast))
      expect(wanted).toEqual(multiset(expected(query, query.kind === undefined ? TABLE : REST)));
    let whole = 0;
    // Some can be done without.
    for (let nth = 1 + (index % STRIDE), idle = 0; idle < IDLE; nth += STRIDE) {
      kernel.failAllocation(nth);
      whole += Number(isTold(query, wanted, `allocation ${nth}`));
      idle = refused ? 0 : idle + 1;
    }
    expect(whole).toBeGreaterThan(0);
  });

  test.each(told)(
    "all of a step's allocations past some: $name",
    { timeout: 240_000 },
    ({ query, index }) => {
      const wanted = multiset(tell(query));
      const last = PUSHES.length + 6;
      for (let step = 1; step <= last; step++) {
        const bytes = [0, 4096, 20_000, 100_000, 400_000];
        for (const [at, some] of bytes.entries()) {
          if (STRIDE > 2 && (at + step * 3 + index) % (4 * bytes.length) !== 0) continue;
          starved = { step, bytes: some };
          isTold(query, wanted, `step ${step} with ${some} bytes`);
          starved = null;
        }
      }
    },
  );
});
