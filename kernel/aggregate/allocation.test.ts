// Memory that runs out while aggregates of every kind grow: the same story again and again, with another allocation
// failing each time, or all that come late in a step. A push, merge or combination that failed goes well when it is made again, or the operator says that
// it has failed for good; what is told to the end has the twin's results, and memory is as it was.

import { describe, expect, test } from "vitest";
import { Kernel } from "../../bindings/ts/kernel/kernel.js";
import type { Operator } from "../../bindings/ts/kernel/operator.js";
import type { BatchData } from "../../bindings/ts/type/column.js";
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
import { AggregateFault, RowKind } from "../abi/operator.js";
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
import { failEach, hasFailed, LASTING } from "../operator/testing-retries.js";

/**
 * Every so-manieth allocation fails, of each query others: every fifth with ALLOCATION_STRIDE=2, all of them, one after
 * the other, with ALLOCATION_STRIDE=0.4.
 */
const STRIDE = Math.round(Number(process.env.ALLOCATION_STRIDE ?? 24) * 2.5);
const BUDGET = "512 MiB";
/** Rows of a push: what an aggregate keeps outgrows its first memory, and its second. */
const PUSHES = [3, 20, 150, 600, 1000, 12, 9];
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
      if (row % 401 === 7 || row % 97 === 40) return row % 2 === 0 ? Infinity : Number.NaN;
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

const ASIDE = AggregateFault.SET_ASIDE | AggregateFault.TINY_TABLES;

const QUERIES: readonly [string, readonly Aggregate[], retracts?: boolean, faults?: number][] = [
  ["sums of rows set aside, by numbers", each([I32, WIDE, F64], ["avg"]), false, ASIDE],
  [
    "sums of rows set aside, by small numbers",
    [...each([I32, I16], ["sum", "max"]), { name: "count" }],
    false,
    ASIDE,
  ],
  ["sums of rows set aside, by texts", [...each([I64], ["sum", "count"])], false, ASIDE],
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
  ["distinct values of a changelog", each([WIDE, I64, F64], ["avg", "variance"], { distinct: true }), true],
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
      kernel.failAllocation(0);
      kernel.setBudget(BUDGET);
      return run();
    } finally {
      kernel.setBudget(BUDGET);
    }
  }

  /** What an operator gives of batches, each call made once more where memory ran out. */
  function resultsOf(query: Query, batches: readonly BatchData[]): Value[][] {
    const operator = twice(() => open(kernel, query));
    try {
      for (const batch of batches) twice(() => operator.push(batch));
      return twice(() => rowsOf(operator.finish()));
    } finally {
      operator.destroy();
    }
  }

  /** Three parts, of which one is saved and goes into the next, and that into the last, in memory; the results. */
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
        twice(() => [whole, part, restored][push % 3]!.push(batch));
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

  const told = QUERIES.map(([name, aggregates, retracts, faults], index) => {
    // Numbers looked up, numbers computed, and texts.
    const keys = [[KEY, I16, TEXT][index % 3]!];
    const query: Query = { types: TYPES, keys, aggregates, faults, ...(retracts ? { kind: KIND } : {}) };
    return { name, index, query };
  });

  /** The story once more, in which memory may run out: whether it was told to the end. */
  function isTold(wanted: readonly string[], of: string, story: () => Value[][]): boolean {
    const before = [kernel.usedBytes, kernel.blocks];
    refused = false;
    steps = 0;
    let rows: Value[][] | null = null;
    try {
      rows = story();
    } catch (error) {
      // It was refused, and refused for good when it was asked again.
      expect(refused).toBe(true);
      expect(error).toBeInstanceOf(MillraceError);
      expect((error as MillraceError).code).not.toBe("KERNEL_TRAP");
    }
    expect([of, kernel.usedBytes, kernel.blocks]).toEqual([of, ...before]);
    if (rows !== null) expect([of, multiset(rows)]).toEqual([of, wanted]);
    return rows !== null;
  }

  /** The pushes of a query while each allocation fails in turn, alone and with all that follow. */
  function failsEach(query: Query, tables: readonly Table[], results?: Value[][]): void {
    const joined = query.types.map((_, column) => tables.flatMap((table) => table[column]!));
    const wanted = multiset(results ?? expected(query, joined));
    const batches = tables.map((table) => batchOf(query.types, table));
    let whole = 0;
    const another = (nth: number) => {
      whole += Number(isTold(wanted, `allocation ${nth}`, () => resultsOf(query, batches)));
    };
    failEach(kernel, 1, 1, another, true);
    expect(whole).toBeGreaterThan(0);
  }

  /** Two operators have their pushes, and the first takes what the other holds, while each allocation fails in turn. */
  function failsTogether(
    query: Query,
    sides: readonly (readonly Table[])[],
    bring: (target: Operator, source: Operator) => void,
  ): void {
    const joined = query.types.map((_, column) => sides.flat().flatMap((table) => table[column]!));
    const wanted = multiset(expected(query, joined));
    const pushes = sides.map((tables) => tables.map((table) => batchOf(query.types, table)));
    const another = (nth: number) => {
      isTold(wanted, `allocation ${nth}`, () => {
        const operators = pushes.map(() => twice(() => open(kernel, query)));
        const [target, source] = operators as [Operator, Operator];
        try {
          for (const [at, batches] of pushes.entries())
            for (const batch of batches) twice(() => operators[at]!.push(batch));
          bring(target, source);
          return twice(() => rowsOf(target.finish()));
        } finally {
          for (const operator of operators) operator.destroy();
        }
      });
    };
    failEach(kernel, 1, 1, another, true);
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
    failEach(kernel, 1, STRIDE, (nth) => {
      const operator = twice(() => open(kernel, query));
      twice(() => operator.push(first));
      twice(() => operator.push(rest));
      expect([nth, operator.stats().groups]).toEqual([nth, count]);
      operator.destroy();
    });
  });

  test("allocations fail where what is taken back outgrows the lanes of sums", () => {
    const query: Query = {
      types: [int64, int64, int8],
      keys: [0],
      aggregates: [{ name: "avg", of: 1 }],
      kind: 2,
    };
    const large = 2n ** 62n;
    const table: Table = [
      [1n, 2n, 1n, 2n, 1n, 2n, 1n],
      [5n, 6n, -large, large, 7n, large, -large],
      [
        RowKind.INSERT,
        RowKind.INSERT,
        RowKind.DELETE,
        RowKind.DELETE,
        RowKind.INSERT,
        RowKind.INSERT,
        RowKind.INSERT,
      ].map(BigInt),
    ];
    const wanted = multiset([
      [1n, 6],
      [2n, 6],
    ]);
    const batches = (
      [
        [0, 2],
        [2, 4],
        [4, 7],
      ] as const
    ).map(([start, end]) => batchOf(query.types, slice(table, start, end)));
    failEach(kernel, 1, 1, (nth) => {
      isTold(wanted, `allocation ${nth}`, () => resultsOf(query, batches));
    });
  });

  test("allocations fail where two sums of all rows outgrow the lanes that they share", () => {
    const query: Query = { types: [int64, int64], keys: [], aggregates: each([0, 1], ["avg"]) };
    const large = 2n ** 62n;
    const tables: Table[] = [
      [
        [5n, 6n],
        [7n, -8n],
      ],
      [
        [large, large, -large],
        [3n, -large, -large],
      ],
    ];
    failsEach(query, tables);
  });

  test("allocations fail where floats are taken back before they have come", () => {
    const query: Query = {
      types: [int64, float64, int8],
      keys: [0],
      aggregates: each([1], ["sum"]),
      kind: 2,
    };
    const keys = [1n, 2n, 3n];
    const kinds = (kind: RowKind) => keys.map(() => BigInt(kind));
    const special = [Number.NaN, Infinity, -Infinity];
    const kept = [0.5, 1.5, 2.5];
    const tables: Table[] = [
      [keys, kept, kinds(RowKind.INSERT)],
      [keys, special, kinds(RowKind.DELETE)],
      [keys, special, kinds(RowKind.INSERT)],
    ];
    failsEach(query, tables, expected(query, tables[0]!));
  });

  test("allocations fail where rows that were set aside bring floats far apart", () => {
    const query: Query = {
      types: [int64, float64],
      keys: [0],
      aggregates: [...each([1], ["sum"]), { name: "count" }],
      faults: ASIDE,
    };
    const tables = Array.from({ length: 8 }, (_, push): Table => {
      const rows = Array.from({ length: 30 }, (_, row) => push * 20 + row);
      return [
        rows.map((row) => BigInt(row) * 10n ** 12n),
        rows.map((row) => 2 ** (((row * 331) % 1900) - 950)),
      ];
    });
    failsEach(query, tables);
  });

  test("allocations fail where dictionaries of texts meet rows that are set aside", () => {
    const query: Query = {
      types: [dictionary(utf8, int32)],
      keys: [0],
      aggregates: [{ name: "count" }],
      faults: ASIDE | AggregateFault.NO_DIRECT,
    };
    const tables = [20, 60, 200, 700].map(
      (texts): Table => [Array.from({ length: texts }, (_, row) => `text ${row * 3}`)],
    );
    failsEach(query, tables);
  });

  test("a push of which nothing is set aside for want of memory can be made again, whatever a filter has left out", () => {
    const query: Query = {
      types: [dictionary(utf8, int32), bool],
      keys: [0],
      where: 1,
      aggregates: [{ name: "count" }],
      faults: ASIDE | AggregateFault.NO_DIRECT,
    };
    const texts = Array.from({ length: 2500 }, (_, row) => `text ${row}`);
    const few: Table = [texts.slice(0, 20), Array<Value>(20).fill(true)];
    // Of the first vector no row is left.
    const many: Table = [texts, texts.map((_, row) => row >= 2048)];
    const wanted = multiset(
      expected(
        query,
        few.map((column, at) => [...column, ...many[at]!]),
      ),
    );
    const [first, second] = [few, many].map((table) => batchOf(query.types, table));
    let refusals = 0;
    for (let nth = 1, isOver = false; !isOver; nth++) {
      const operator = open(kernel, query);
      operator.push(first!);
      refused = false;
      kernel.failAllocation(nth);
      twice(() => operator.push(second!));
      isOver = !hasFailed(kernel);
      kernel.failAllocation(0);
      refusals += Number(refused);
      expect([nth, multiset(rowsOf(operator.finish()))]).toEqual([nth, wanted]);
      operator.destroy();
    }
    expect(refusals).toBeGreaterThan(1);
  });

  test("allocations fail where rows that are set aside come together with others, some null", () => {
    const query: Query = {
      types: [int64, int64],
      keys: [0],
      aggregates: [...each([1], ["sum", "count"]), { name: "count" }],
      faults: ASIDE,
    };
    const side = (first: number, nulls: boolean): Table => {
      const rows = Array.from({ length: 50 }, (_, row) => first + row);
      return [
        rows.map((row) => BigInt(row) * 10n ** 12n),
        rows.map((row) => (nulls && row % 3 === 0 ? null : BigInt(row))),
      ];
    };
    const sides = [side(0, false), side(30, true)].map((table) => [slice(table, 0, 5), slice(table, 5, 50)]);
    failsTogether(query, sides, (target, source) => twice(() => [...target.absorb(source)]));
  });

  test("allocations fail where sums come back from a state wider than their lanes", () => {
    const query: Query = { types: [int64, int64], keys: [0], aggregates: each([1], ["avg"]) };
    const large = 2n ** 62n;
    const own: Table = [
      [1n, 2n],
      [5n, 6n],
    ];
    const brought: Table = [
      [1n, 1n, 2n],
      [large, large, large],
    ];
    failsTogether(query, [[own], [brought]], (target, source) => {
      for (const state of twice(() => [...source.snapshot()])) twice(() => target.merge(state));
    });
  });

  test("allocations fail where texts that lost make room", () => {
    const query: Query = { types: [utf8], keys: [], aggregates: each([0], ["max", "min"]) };
    const text = (at: number) => `${100 + at}`.padEnd(3000, "t");
    const batches = Array.from({ length: 60 }, (_, at) => batchOf(query.types, [[text(at)]]));
    failEach(kernel, 1, Math.ceil(STRIDE / 4), (nth) => {
      const operator = twice(() => open(kernel, query));
      for (const batch of batches) twice(() => operator.push(batch));
      expect([nth, twice(() => rowsOf(operator.finish()))]).toEqual([nth, [[text(59), text(0)]]]);
      operator.destroy();
    });
  });

  test("allocations fail where more distinct values than a vector has outgrow the lanes of their sum", () => {
    const query: Query = {
      types: [int64, int8],
      keys: [],
      aggregates: each([0], ["sum"], { distinct: true }),
      kind: 1,
    };
    const values = Array.from({ length: 2500 }, (_, row) => BigInt(row % 2 === 0 ? row : -row) * 2n ** 50n);
    const batch = batchOf(query.types, [values, values.map(() => BigInt(RowKind.INSERT))]);
    const wanted = multiset([[values.reduce((sum, value) => sum + value, 0n)]]);
    failEach(kernel, 1, Math.ceil(STRIDE / 4), (nth) => {
      isTold(wanted, `allocation ${nth}`, () => resultsOf(query, [batch]));
    });
  });

  test("memory ends while the values of two operators come together, and they lose none", () => {
    const query: Query = {
      types: [int64, utf8],
      keys: [],
      aggregates: each([0, 1], ["approxCountDistinct", "countDistinct", "approxMedian"]).filter(
        ({ name, of }) => name !== "approxMedian" || of === 0,
      ),
    };
    const side = (rows: number, first: number): Table => {
      const numbers = Array.from({ length: rows }, (_, row) => first + row);
      return [numbers.map((n) => BigInt(n) * 1_000_003n), numbers.map((n) => `text ${n}`)];
    };
    const batches = [side(300, 0), side(9000, 200)].map((table) => batchOf(query.types, table));
    const bring = () => {
      const operators = batches.map(() => open(kernel, query));
      const [target, source] = operators as [Operator, Operator];
      for (const [at, batch] of batches.entries()) operators[at]!.push(batch);
      return { target, source, operators };
    };
    const absorb = ({ target, source }: ReturnType<typeof bring>) => {
      for (const _ of target.absorb(source));
    };
    const whole = bring();
    absorb(whole);
    const wanted = multiset(rowsOf(whole.target.finish()));
    for (const operator of whole.operators) operator.destroy();
    refused = false;
    for (let nth = 1; nth < 60; nth++) {
      const parts = bring();
      kernel.failAllocation((nth | LASTING) >>> 0);
      twice(() => absorb(parts));
      kernel.failAllocation(0);
      expect([nth, multiset(rowsOf(parts.target.finish()))]).toEqual([nth, wanted]);
      for (const operator of parts.operators) operator.destroy();
    }
    expect(refused).toBe(true);
  });

  test.each([
    ["as large as their bound", 1n],
    ["smaller than their bound", -1n],
  ])("allocations fail where sums %s are brought together", (_name, sign) => {
    const query: Query = { types: [int64, int64], keys: [0], aggregates: each([1], ["sum"]) };
    const rows = Array.from({ length: 3072 }, (_, row) => row);
    // Of one group, three quarters of a lane; of as many groups as are added at once, another quarter.
    const own: Table = [rows.map(() => 5n), rows.map((row) => (row % 2 === 0 ? 1n : sign) * 2n ** 50n)];
    const brought: Table = [rows.slice(0, 2048).map(BigInt), rows.slice(0, 2048).map(() => 2n ** 49n)];
    failsTogether(query, [[own], [brought]], (target, source) => twice(() => [...target.absorb(source)]));
  });

  test.each([
    ["looked up", AggregateFault.NONE],
    ["set aside", AggregateFault.NO_DIRECT | ASIDE],
  ])("allocations fail in the second vector of a push, whose rows are %s", (_name, faults) => {
    const query: Query = {
      types: [int64, int64],
      keys: [0],
      aggregates: each([1], ["sum", "count", "max"]),
      faults,
    };
    // Keys that leave the range of those before, and the first values that are null.
    const rows = Array.from({ length: 2100 }, (_, row) => row);
    const table: Table = [
      rows.map((row) => BigInt(row % 40) * (row < 2048 ? 1n : 10n ** 12n)),
      rows.map((row) => (row > 2060 && row % 3 === 0 ? null : BigInt(row))),
    ];
    const wanted = multiset(expected(query, table));
    for (const cuts of [
      [0, 2100],
      [0, 30, 2049, 2070, 2100],
    ]) {
      const batches = cuts.slice(1).map((end, at) => batchOf(query.types, slice(table, cuts[at]!, end)));
      const another = (nth: number) => {
        isTold(wanted, `allocation ${nth}`, () => resultsOf(query, batches));
      };
      failEach(kernel, 1, 1, another, true);
    }
  });

  test("allocations fail where a dictionary of more texts than rows is learnt whole", () => {
    const query: Query = { types: [dictionary(utf8, int32)], keys: [0], aggregates: [{ name: "count" }] };
    const texts = Array.from({ length: 4000 }, (_, row) => `text ${row}`);
    const whole = batchOf(query.types, [texts]);
    const batch = {
      ...whole,
      length: 1100,
      columns: whole.columns.map((column) => ({ ...column, length: 1100 })),
    };
    const wanted = multiset(expected(query, [texts.slice(0, 1100)]));
    const another = (nth: number) => {
      isTold(wanted, `allocation ${nth}`, () => resultsOf(query, [batch]));
    };
    failEach(kernel, 1, 1, another, true);
  });

  test.each([
    ["computes its groups' numbers", false],
    ["has had none before", true],
  ])("allocations fail where operators are divided, and parts come to one that %s", (_name, reversed) => {
    const query: Query = {
      types: [int64, float64],
      keys: [0],
      aggregates: [...each([1], ["sum", "max"]), { name: "count" }],
      faults: AggregateFault.SET_ASIDE,
    };
    const side = (keys: readonly bigint[]): Table => [
      keys,
      keys.map((_, row) => 2 ** (((row * 331) % 1900) - 950)),
    ];
    const near = side(Array.from({ length: 60 }, (_, row) => BigInt(row % 25)));
    // Two rows, after which others are set aside; of those some have one key, which are not left to others.
    const far = side(Array.from({ length: 42 }, (_, row) => BigInt(Math.min(row, 36)) * 10n ** 12n));
    const wanted = multiset(
      expected(
        query,
        near.map((column, at) => [...column, ...far[at]!]),
      ),
    );
    const pushes = [[near], [slice(far, 0, 2), slice(far, 2, 42)]].map((tables) =>
      tables.map((table) => batchOf(query.types, table)),
    );
    const another = (nth: number) => {
      isTold(wanted, `allocation ${nth}`, () => {
        const sources = pushes.map(() => twice(() => open(kernel, query)));
        const target = twice(() => open(kernel, query));
        try {
          for (const [at, source] of sources.entries()) {
            for (const batch of pushes[at]!) twice(() => source.push(batch));
            twice(() => source.divide(256));
          }
          for (const source of reversed ? [...sources].reverse() : sources) {
            for (let part = 0; part < 256; part++) twice(() => target.combinePart(source, part));
          }
          return twice(() => rowsOf(target.finish()));
        } finally {
          for (const operator of [...sources, target]) operator.destroy();
        }
      });
    };
    failEach(kernel, 1, 1, another, true);
  });

  /** What one side holds, and what is brought to it: by its state, or in memory. */
  const few = (nulls: boolean): Table => [
    [1n, 2n, 3n, 2n],
    nulls ? [null, 5n, 6n, null] : [4n, 5n, 6n, 7n],
    ["a text", "another", "a text", "one that is longer"],
  ];
  const none: Table = [[], [], []];
  test.each([
    ["groups without rows", none, few(false), [0], false],
    ["groups without rows, by texts", none, few(false), [2], false],
    ["groups without rows, by both", none, few(true), [0, 2], false],
    ["counts that part from those of rows", few(false), few(true), [0], false],
    ["counts that part from those of rows, of all", few(false), few(true), [], false],
    ["a changelog", few(false), few(true), [2], true],
    ["a changelog of all", none, few(true), [], true],
  ] as const)(
    "allocations fail where parts are brought together: %s",
    (_name, own, brought, keys, changelog) => {
      const types = [int64, int64, utf8];
      for (const aggregates of [
        each([1], ["count", "sum", "max"]),
        each([1, 2], ["countDistinct"]),
        each([1, 2], ["arrayAgg"]),
      ]) {
        for (const faults of [0, AggregateFault.NO_DIRECT]) {
          const query: Query = { types, keys, aggregates, changelog, faults };
          const bring = (way: "state" | "memory") => {
            const [target, source] = [twice(() => open(kernel, query)), twice(() => open(kernel, query))];
            try {
              for (const [operator, table] of [
                [target, own],
                [source, brought],
              ] as const) {
                const batch = batchOf(types, table as Table);
                if (table !== none) twice(() => operator.push(batch));
                for (let more = changelog; more; ) more = twice(() => operator.pull()) !== null;
              }
              if (way === "memory") {
                twice(() => {
                  for (const _ of target.absorb(source));
                });
              } else
                for (const state of twice(() => [...source.snapshot(2)])) twice(() => target.merge(state));
              return twice(() => rowsOf(target.finish()));
            } finally {
              target.destroy();
              source.destroy();
            }
          };
          for (const way of ["state", "memory"] as const) {
            const wanted = multiset(bring(way));
            if (!changelog)
              expect(wanted).toEqual(
                multiset(
                  expected(
                    query,
                    own.map((column, at) => [...column, ...brought[at]!]),
                  ),
                ),
              );
            failEach(kernel, 1, 1, (nth) => {
              isTold(wanted, `${way}, allocation ${nth}`, () => bring(way));
            });
          }
        }
      }
    },
  );

  test.each([
    ["numbers", int64],
    ["texts", utf8],
  ] as const)("tables of %s that could not grow are asked to again, and cannot", (_name, type) => {
    const faults = AggregateFault.TINY_TABLES | AggregateFault.NO_DIRECT;
    const query: Query = { types: [type], keys: [0], aggregates: [{ name: "count" }], faults };
    const value = (row: number) => (type === utf8 ? `text ${row}` : BigInt(row) * 1_000_003n);
    const pushes = Array.from({ length: 12 }, (_, push) =>
      batchOf([type], [Array.from({ length: 30 }, (_, row) => value(push * 20 + row))]),
    );
    const wanted = multiset(
      Array.from({ length: 250 }, (_, row) => [
        value(row),
        row < 20 || row >= 230 || row % 20 >= 10 ? 1n : 2n,
      ]),
    );
    let unseen = 0;
    for (let nth = 1; nth < 200; nth++) {
      kernel.failAllocation(nth);
      isTold(wanted, `allocation ${nth}`, () => {
        const operator = twice(() => open(kernel, query));
        try {
          for (const push of pushes) {
            const before = refused;
            twice(() => operator.push(push));
            if (refused !== before || !hasFailed(kernel)) continue;
            // The table went on without: the next push asks for it before anything else.
            unseen++;
            kernel.failAllocation(1 + (nth % 6));
          }
          return twice(() => rowsOf(operator.finish()));
        } finally {
          operator.destroy();
        }
      });
      kernel.failAllocation(0);
    }
    expect(unseen).toBeGreaterThan(0);
  });

  test.each(told)("one allocation: $name", { timeout: 900_000 }, ({ query, index }) => {
    const wanted = multiset(tell(query));
    // The twin knows no plain sums.
    if (!query.aggregates.some(({ fast }) => fast))
      expect(wanted).toEqual(multiset(expected(query, query.kind === undefined ? TABLE : REST)));
    let whole = 0;
    const another = (nth: number) => {
      whole += Number(isTold(wanted, `allocation ${nth}`, () => tell(query)));
    };
    failEach(kernel, 1 + (index % STRIDE), STRIDE, another, true);
    expect(whole).toBeGreaterThan(0);
  });

  test.each(told)(
    "all of a step's allocations past some: $name",
    { timeout: 900_000 },
    ({ query, index }) => {
      const wanted = multiset(tell(query));
      const last = PUSHES.length + 6;
      for (let step = 1; step <= last; step++) {
        const bytes = [0, 4096, 20_000, 100_000, 400_000];
        for (const [at, some] of bytes.entries()) {
          if (STRIDE > 10 && (at + step * 3 + index) % (4 * bytes.length) !== 0) continue;
          starved = { step, bytes: some };
          isTold(wanted, `step ${step} with ${some} bytes`, () => tell(query));
          starved = null;
        }
      }
    },
  );
});
