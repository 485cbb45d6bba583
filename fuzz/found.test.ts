// Cases that the fuzzer has found, as it printed them.

import { afterAll, beforeAll, it } from "vitest";
import type { PlanNode } from "../bindings/ts/plan/logical.js";
import type { WindowNode } from "../bindings/ts/plan/window.js";
import { date64, dictionary, type Field, int64, utf8 } from "../bindings/ts/type/data-type.js";
import type { Value } from "../twin/values.js";
import { agree } from "./agree.js";
import { Engines } from "./engines.js";
import { survives } from "./fault-target.js";
import { NO_FAULTS } from "./faulty-kernel.js";
import type { PlanCase } from "./plan.js";
import { PLAIN_WAY, type Way } from "./way.js";

let engines: Engines;
beforeAll(() => {
  engines = new Engines();
});
afterAll(() => engines.close());

async function holds(one: PlanCase, ways: readonly Way[]): Promise<void> {
  await agree(engines, one, ways);
}

function source(name: string, columns: readonly Field[]): PlanNode {
  return { kind: "source", name, schema: { fields: columns }, data: null, changelog: false };
}

/** What a window of one size without more has. */
const PLAIN_WINDOW = {
  step: null,
  offset: null,
  timeZone: null,
  nullTime: "drop",
  allowedLateness: null,
  earlyEvery: null,
} as const;

/** The rows of each window over a table's only column. */
function counted(column: Field, times: readonly Value[], window: WindowNode): PlanCase {
  return {
    plan: {
      kind: "aggregate",
      input: source("t0", [column]),
      keys: [],
      aggregates: [{ name: "n", aggregate: { name: "count", argument: null, filter: null, fast: false } }],
      grouping: null,
      window,
    },
    tables: { t0: { columns: [column], rows: times.map((time) => [time]) } },
  };
}

const int32 = { kind: "int", bits: 32, signed: true } as const;

it("sums over a changelog whose rows are all taken back are null", () =>
  holds(
    {
      plan: {
        kind: "aggregate",
        input: {
          kind: "where",
          input: {
            kind: "source",
            name: "t0",
            schema: { fields: [{ name: "c0", type: int32, nullable: true }] },
            data: null,
            changelog: false,
          },
          condition: { kind: "call", fn: "isNull", args: [{ kind: "column", name: "c0" }] },
        },
        keys: [],
        aggregates: ["sum", "avg", "min", "countDistinct"].map((name) => ({
          name,
          aggregate: {
            name: name as "sum",
            argument: { kind: "column", name: "c0" },
            filter: null,
            fast: false,
          },
        })),
        grouping: null,
      },
      tables: { t0: { columns: [{ name: "c0", type: int32, nullable: true }], rows: [[null]] } },
    },
    [
      { ...PLAIN_WAY, retracted: 3 },
      { ...PLAIN_WAY, retracted: 3, mode: "update" },
    ],
  ));

it("what a window drops for want of a time cannot fail", () => {
  const time = { kind: "column", name: "c0" } as const;
  const failing = {
    kind: "cast",
    value: { kind: "literal", value: Number.NaN, type: null },
    type: { kind: "decimal", precision: 38, scale: 4 },
    try: false,
  } as const;
  const schema = { fields: [{ name: "c0", type: int32, nullable: true }] };
  return holds(
    {
      plan: {
        kind: "aggregate",
        input: { kind: "source", name: "t0", schema, data: null, changelog: false },
        keys: [{ name: "k0", expression: failing }],
        aggregates: [
          { name: "a0", aggregate: { name: "min", argument: failing, filter: null, fast: false } },
          {
            name: "a1",
            aggregate: {
              name: "sum",
              argument: failing,
              filter: { kind: "call", fn: "isNull", args: [time] },
              fast: false,
            },
          },
        ],
        grouping: null,
        window: {
          kind: "tumble",
          column: "c0",
          size: 10,
          ...PLAIN_WINDOW,
        },
      },
      tables: { t0: { columns: schema.fields, rows: [[null], [null]] } },
    },
    [PLAIN_WAY, { ...PLAIN_WAY, mode: "stream", cuts: "rows" }],
  );
});

it("the start of a date's year may lie before the first date, and only fails where it is asked for", () => {
  const day = { kind: "column", name: "c0" } as const;
  const schema = { fields: [{ name: "c0", type: { kind: "date", unit: "day" }, nullable: true } as const] };
  const tables = { t0: { columns: schema.fields, rows: [[-(2n ** 31n) + 6n], [0n]] } };
  const year = { kind: "truncate", value: day, unit: "year" } as const;
  const recent = {
    kind: "call",
    fn: "greater",
    args: [day, { kind: "literal", value: "1969-12-31", type: null }],
  } as const;
  const input = { kind: "source", name: "t0", schema, data: null, changelog: false } as const;
  const columns = [
    {
      name: "x0",
      expression: { kind: "case", branches: [{ condition: recent, value: year }], otherwise: null } as const,
    },
  ];
  return holds({ plan: { kind: "select", input, columns }, tables }, [
    PLAIN_WAY,
    { ...PLAIN_WAY, mode: "stream" },
  ]);
});

/** A join by time that lays its rows out anew, and then another operator that takes the memory which that gives back. */
it("memory that a join by time has given back is not given back twice", () => {
  const [at, text] = [
    { name: "at", type: int64, nullable: true },
    { name: "text", type: utf8, nullable: true },
  ];
  const join = { kind: "join", suffix: "_r", nullsEqual: false, nullAware: false, residual: null } as const;
  const time = {
    kind: "asof",
    left: "at",
    right: "at",
    direction: "nearest",
    tolerance: null,
    strict: false,
  } as const;
  const latest: PlanNode = {
    ...join,
    left: source("a", [at]),
    right: source("b", [at, text]),
    how: "inner",
    on: [],
    time,
  };
  const plan: PlanNode = {
    ...join,
    left: latest,
    right: source("c", [text]),
    how: "left",
    on: [{ left: "text", right: "text" }],
    time: null,
  };
  // More than half of them have no time, and are nothing to keep.
  const rows: Value[][] = [
    [-5n, "x"],
    [null, ""],
    [null, null],
    [0n, ""],
    [null, "y"],
    [null, "y"],
    [null, "z"],
  ];
  const tables = {
    a: { columns: [at], rows: [[0n], [null], [0n], [null], [null]] },
    b: { columns: [at, text], rows },
    c: { columns: [text], rows: [["long enough to be kept apart"], [null], ["z"]] },
  };
  const way: Way = { ...PLAIN_WAY, mode: "kernel", batchRows: 64, faults: { ...NO_FAULTS, bits: 4 } };
  return holds({ plan, tables }, [way]);
});

it("does not number the slices of rows that are very far apart", () => {
  const time: Field = { name: "time", type: int32, nullable: true };
  const plan: PlanNode = {
    kind: "aggregate",
    input: source("t", [time]),
    keys: [],
    aggregates: [{ name: "rows", aggregate: { name: "count", argument: null, filter: null, fast: false } }],
    grouping: null,
    window: {
      kind: "tumble",
      column: "time",
      size: 1,
      ...PLAIN_WINDOW,
    },
  };
  return holds({ plan, tables: { t: { columns: [time], rows: [[0n], [1_073_741_823n]] } } }, [PLAIN_WAY]);
});

it("a watermark before all times says nothing, and does not end a join by time", () => {
  const at: Field = { name: "at", type: int64, nullable: true };
  const plan: PlanNode = {
    kind: "join",
    left: source("a", [at]),
    right: source("b", [at]),
    how: "inner",
    on: [],
    suffix: "_r",
    nullsEqual: false,
    nullAware: false,
    residual: null,
    time: { kind: "asof", left: "at", right: "at", direction: "backward", tolerance: null, strict: false },
  };
  const tables = {
    a: { columns: [at], rows: [[0n], [0n], [-(2n ** 63n)]] },
    b: { columns: [at], rows: [[-1n]] },
  };
  return holds({ plan, tables }, [{ ...PLAIN_WAY, mode: "stream", cuts: "rows", watermarks: true }]);
});

it("workers read texts that a join keeps as codes", () => {
  const key: Field = { name: "key", type: int64, nullable: true };
  const text: Field = { name: "text", type: dictionary(utf8), nullable: false };
  const plan: PlanNode = {
    kind: "join",
    left: source("a", [key]),
    right: source("b", [key, text]),
    how: "inner",
    on: [{ left: "key", right: "key" }],
    suffix: "_r",
    nullsEqual: false,
    nullAware: false,
    residual: null,
    time: null,
  };
  const tables = {
    a: { columns: [key], rows: [[0n], [0n], [1n]] },
    b: { columns: [key, text], rows: [[0n, "long enough to be kept apart"]] },
  };
  return holds({ plan, tables }, [{ ...PLAIN_WAY, mode: "kernel", workers: 2, shy: 2, cuts: "rows" }]);
});

it("an allocation that fails while workers are given operators leaves nothing behind", async () => {
  const number: Field = { name: "number", type: int64, nullable: true };
  const plan: PlanNode = {
    kind: "where",
    input: source("t", [number]),
    condition: { kind: "call", fn: "isNotNull", args: [{ kind: "column", name: "number" }] },
  };
  const tables = { t: { columns: [number], rows: [[0n], [1n], [2n], [3n]] } };
  for (let at = 1; at < 80; at++) {
    const way: Way = { ...PLAIN_WAY, workers: 2, cuts: "rows", form: "resident" };
    await survives(engines, { plan, tables }, way, { kind: "allocation", at });
  }
});

it("an allocation that fails while a morsel is described for workers leaves nothing behind", async () => {
  const text: Field = { name: "text", type: dictionary(utf8), nullable: true };
  const plan: PlanNode = {
    kind: "aggregate",
    input: source("t", [text]),
    keys: [{ name: "text", expression: { kind: "column", name: "text" } }],
    aggregates: [{ name: "n", aggregate: { name: "count", argument: null, filter: null, fast: false } }],
    grouping: null,
  };
  const tables = { t: { columns: [text], rows: [["a"], ["b"], ["c"], ["d"]] } };
  for (let at = 1; at < 60; at++) {
    const way: Way = { ...PLAIN_WAY, workers: 2, cuts: "rows" };
    await survives(engines, { plan, tables }, way, { kind: "allocation", at });
  }
});

it("the last moment of a window of dates in milliseconds is a date", () => {
  const date: Field = { name: "date", type: date64, nullable: false };
  const plan: PlanNode = {
    kind: "select",
    input: {
      kind: "aggregate",
      input: source("t", [date]),
      keys: [],
      aggregates: [{ name: "n", aggregate: { name: "count", argument: null, filter: null, fast: false } }],
      grouping: null,
      window: {
        kind: "tumble",
        column: "date",
        size: "1 days",
        ...PLAIN_WINDOW,
      },
    },
    columns: [
      {
        name: "hour",
        expression: { kind: "truncate", value: { kind: "column", name: "window_time" }, unit: "hour" },
      },
    ],
  };
  return holds({ plan, tables: { t: { columns: [date], rows: [[0n]] } } }, [PLAIN_WAY]);
});

it("a cast that only a row fails that is taken back later may fail in a stream of changes", () =>
  holds(
    {
      plan: {
        kind: "withColumns",
        input: {
          kind: "set",
          operation: "except",
          left: source("t0", [{ name: "c0", type: int32, nullable: false }]),
          right: source("t0", [{ name: "c0", type: int32, nullable: false }]),
        },
        columns: [
          {
            name: "x0",
            expression: {
              kind: "cast",
              value: { kind: "column", name: "c0" },
              type: { kind: "int", bits: 8, signed: true },
              try: false,
            },
          },
        ],
      },
      tables: { t0: { columns: [{ name: "c0", type: int32, nullable: false }], rows: [[1970n]] } },
    },
    [
      { ...PLAIN_WAY, mode: "update" },
      { ...PLAIN_WAY, mode: "stream" },
      { ...PLAIN_WAY, mode: "collect" },
    ],
  ));

it("lists of sessions have room", () =>
  holds(
    {
      plan: {
        kind: "aggregate",
        input: source("t0", [
          { name: "c0", type: int64, nullable: false },
          { name: "c1", type: int64, nullable: false },
        ]),
        keys: [],
        aggregates: [
          {
            name: "a2",
            aggregate: {
              name: "topK",
              argument: { kind: "column", name: "c1" },
              second: { kind: "column", name: "c0" },
              limit: 17,
              filter: null,
              fast: false,
            },
          },
        ],
        grouping: null,
        window: {
          kind: "session",
          column: "c0",
          size: 6,
          ...PLAIN_WINDOW,
        },
      },
      tables: {
        t0: {
          columns: [
            { name: "c0", type: int64, nullable: false },
            { name: "c1", type: int64, nullable: false },
          ],
          rows: Array.from({ length: 60 }, (_, row) => [
            BigInt(row + 10 * Math.floor(row / 20)),
            -1n - BigInt(row),
          ]),
        },
      },
    },
    [
      { ...PLAIN_WAY, mode: "stream" },
      { ...PLAIN_WAY, mode: "collect" },
    ],
  ));

it("times of one vector that are farther apart than 2^63 less the reach of its cuts", () =>
  holds(
    counted({ name: "c0", type: int64, nullable: false }, [0n, 9223372036854775788n], {
      ...PLAIN_WINDOW,
      kind: "tumble",
      column: "c0",
      size: 1,
    }),
    [
      { ...PLAIN_WAY, mode: "stream" },
      { ...PLAIN_WAY, mode: "collect" },
    ],
  ));

it("windows that go on in another operator remember that rows were partly late", () =>
  holds(
    counted({ name: "c0", type: int32, nullable: false }, [0n, -3n, 0n, -3n, 0n, -3n], {
      ...PLAIN_WINDOW,
      kind: "hop",
      column: "c0",
      size: 4n,
      step: 2n,
      offset: 1n,
    }),
    [
      PLAIN_WAY,
      {
        ...PLAIN_WAY,
        mode: "stream",
        cuts: "rows",
        order: 972,
        watermarks: true,
        clock: "hasty",
        faults: { ...NO_FAULTS, restart: 1 },
      },
    ],
  ));

it("a session at the first tick of all is not partly late before there is a watermark", () =>
  holds(
    counted({ name: "c0", type: int64, nullable: false }, [-9223372036854775808n], {
      ...PLAIN_WINDOW,
      kind: "session",
      column: "c0",
      size: 1,
    }),
    [PLAIN_WAY, { ...PLAIN_WAY, mode: "stream" }],
  ));
