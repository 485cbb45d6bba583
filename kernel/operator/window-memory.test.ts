// Windows whose memory runs out: a history of each kind is told again and again, with another allocation failing each
// time, small pieces among them. Calls that found no memory are made again, and what comes of it is the twin's; sums that
// begin or widen in the middle of a push may fail the operator instead (ABI.md). In the end memory is as it was.

import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Kernel } from "../../bindings/ts/kernel/kernel.js";
import { END_OF_INPUT, type Operator } from "../../bindings/ts/kernel/operator.js";
import { float64, int32, int64, utf8 } from "../../bindings/ts/type/data-type.js";
import { ClosedError, MemoryLimitError } from "../../bindings/ts/type/error.js";
import { valueName } from "../../twin/aggregate.js";
import type { Value } from "../../twin/values.js";
import type { TwinWindow } from "../../twin/window.js";
import { Root } from "../abi/layout.js";
import { AggregateFault } from "../abi/operator.js";
import { type Aggregate, BUILDS, batchOf, rowsOf, type Table } from "./testing.js";
import { LASTING, Retries, SMALL_TOO } from "./testing-retries.js";
import { consolidated, expectedWindow, openWindow, type WindowQuery } from "./testing-window.js";

/** How often each history is told, about, one way and the other: as often as it has allocations, if these are no more. */
const TELLINGS = Math.ceil(1000 / Math.max(1, Number(process.env.ALLOCATION_STRIDE ?? 47) - 1));
/** Counts them, and lets none fail. */
const NEVER = 0xffff_ffff;

const TYPES = [utf8, int32, float64, int64];
/** Nulls among the values of every fifth row, so that counts of them part from those of rows. */
const SUMS: readonly Aggregate[] = [
  { name: "sum", of: 2 },
  { name: "count", of: 2 },
  { name: "max", of: 1 },
  { name: "count" },
];
const SETS: readonly Aggregate[] = [
  ...SUMS,
  { name: "countDistinct", of: 0 },
  { name: "median", of: 2 },
  { name: "max", of: 0 },
];

/** Rows at these times, pushed together, and the watermark after them. */
interface Piece {
  readonly times: readonly bigint[];
  /** Keys there are; else the history's. */
  readonly keys?: number;
  readonly watermark?: bigint;
}

interface History {
  readonly asked: WindowQuery;
  readonly pieces: readonly Piece[];
  /** Another operator goes on from the state after each piece. */
  readonly saves?: boolean;
  /** The state is read after each piece, and left where that finds no memory: so does the push that follows. */
  readonly reads?: boolean;
  /** Rows of a pull. */
  readonly most?: number;
  readonly keys?: number;
  /** The first row whose value may be null. */
  readonly nullsFrom?: number;
  /** Bytes of the texts, at least. */
  readonly textBytes?: number;
}

function asking(
  window: TwinWindow,
  keys: readonly number[],
  aggregates: readonly Aggregate[],
  rest: Partial<WindowQuery> & { readonly faults?: AggregateFault } = {},
): WindowQuery {
  const { faults, ...more } = rest;
  return { query: { types: TYPES, keys, aggregates, faults }, time: 3, window, ...more };
}

/** Values of few digits, and now and then one that makes a sum wider. */
function tableOf({ pieces, keys = 7, nullsFrom = 0, textBytes = 0 }: History): Table {
  const times = pieces.flatMap((piece) => piece.times);
  const keyCounts = pieces.flatMap((piece) => piece.times.map(() => piece.keys ?? keys));
  return [
    times.map((_, row) => (row % 11 === 5 ? null : `key ${(row * 7) % keyCounts[row]!}`.padEnd(textBytes))),
    times.map((_, row) => BigInt((row * 5) % keyCounts[row]!)),
    times.map((_, row) => {
      if (row % 5 === 0 && row >= nullsFrom) return null;
      return row % 37 === 36 ? 2 ** (row % 900) : row / 8;
    }),
    times,
  ];
}

/** `count` times from `low` on, `span` wide, in no order. */
const mixed = (count: number, low: number, span: number) =>
  Array.from({ length: count }, (_, row) => BigInt(low + (((row + 1) * 7919) % span)));
const ordered = (count: number, low: number, step: number) =>
  Array.from({ length: count }, (_, row) => BigInt(low + Math.floor(row * step)));

const named = (rows: readonly Value[][]) => rows.map((row) => row.map(valueName).join(" | ")).sort();

/** What the kernel makes of a history; `again` makes its calls. */
function told(kernel: Kernel, history: History, again: Retries["again"]): { rows: string[]; late: number[] } {
  const { asked, pieces, saves, reads, most = 4000 } = history;
  const table = tableOf(history);
  const rows: Value[][] = [];
  const late: number[] = [];
  let operator = again(() => openWindow(kernel, asked));
  const drain = () => {
    for (;;) {
      const batch = again(() => operator.pull(most));
      if (batch === null) return;
      rows.push(...rowsOf([batch]));
    }
  };
  try {
    let start = 0;
    for (const { times, watermark } of pieces) {
      const end = start + times.length;
      const batch = batchOf(
        TYPES,
        table.map((column) => column.slice(start, end)),
      );
      again(() => operator.push(batch));
      for (const row of operator.late()) late.push(start + row);
      start = end;
      drain();
      if (watermark !== undefined) {
        operator.watermark(watermark);
        drain();
      }
      if (saves) operator = restarted(kernel, asked, operator, again);
      if (reads && !isRead(operator)) kernel.failAllocation(2 | SMALL_TOO);
    }
    operator.watermark(END_OF_INPUT);
    drain();
    return { rows: asked.changes === undefined ? named(rows) : consolidated(rows), late };
  } finally {
    operator.destroy();
  }
}

function restarted(
  kernel: Kernel,
  asked: WindowQuery,
  operator: Operator,
  again: Retries["again"],
): Operator {
  const states = again(() => [...operator.snapshot(50)]);
  const next = again(() => openWindow(kernel, asked));
  try {
    for (const state of states) again(() => next.merge(state));
  } catch (error) {
    next.destroy();
    throw error;
  }
  operator.destroy();
  return next;
}

/** Whether memory does for reading an operator's state; a sum that widens in that may fail the operator. */
function isRead(operator: Operator): boolean {
  try {
    for (const _ of operator.snapshot(50));
    return true;
  } catch (error) {
    expect(error).toBeInstanceOf(MemoryLimitError);
    operator.late();
    return false;
  }
}

function expectedOf(history: History): { rows: string[]; late: number[] } {
  let before = 0;
  const watermarks = history.pieces.flatMap(({ times, watermark }) => {
    before += times.length;
    return watermark === undefined ? [] : [{ before, time: watermark }];
  });
  const { rows, late } = expectedWindow(history.asked, { table: tableOf(history), watermarks });
  return { rows: named(rows), late };
}

const tumble: TwinWindow = { kind: "tumble", length: 10n, offset: 0n };
const HASHED = AggregateFault.NO_DIRECT | AggregateFault.SET_ASIDE;

const HISTORIES: readonly [name: string, history: History][] = [
  [
    "slices near each other",
    {
      asked: asking(tumble, [], [{ name: "countDistinct", of: 1 }]),
      pieces: [{ times: mixed(50, 0, 20) }, { times: mixed(80, 0, 800) }],
    },
  ],
  [
    "slices far apart",
    {
      asked: asking(tumble, [], [{ name: "countDistinct", of: 1 }]),
      pieces: [{ times: ordered(20, 0, 1500).flatMap((time) => [time, time + 1n]) }],
    },
  ],
  [
    "vectors of one slice after late rows",
    {
      asked: asking(tumble, [], [{ name: "count" }], { bound: 100n }),
      pieces: [
        { times: ordered(70, 0, 10) },
        { times: [...mixed(2048, 500, 640), ...ordered(300, 1200, 1 / 40)] },
      ],
    },
  ],
  [
    "scattered rows that leave at once",
    {
      asked: asking(tumble, [1], SUMS),
      pieces: [{ times: mixed(200, 0, 3000) }, { times: mixed(1500, -4000, 12_000) }],
    },
  ],
  [
    "scattered rows whose numbers are computed at first, and told apart by a byte each",
    {
      asked: asking(tumble, [1], [{ name: "max", of: 1 }]),
      pieces: [
        { times: mixed(200, 0, 300) },
        { times: mixed(300, -400, 2000) },
        { times: mixed(300, -4000, 60_000) },
      ],
      keys: 500,
    },
  ],
  [
    "scattered rows of more and more slices, which do not outgrow their numbers",
    {
      asked: asking(tumble, [1], [{ name: "max", of: 1 }]),
      pieces: [{ times: mixed(200, 0, 300) }, { times: mixed(300, 0, 1300) }],
      keys: 50,
    },
  ],
  [
    "slices that come back from a state",
    {
      asked: asking(tumble, [], [{ name: "count" }]),
      pieces: [{ times: ordered(20, 0, 10) }, { times: ordered(4, 100, 40) }],
      saves: true,
    },
  ],
  [
    "lists of sessions",
    {
      asked: asking(
        { kind: "session", gap: 5n },
        [1],
        [
          { name: "topK", of: 0, limit: 3 },
          { name: "arrayAgg", of: 0 },
          { name: "arrayAgg", of: 2 },
        ],
      ),
      pieces: [{ times: ordered(60, 0, 3), watermark: 90n }, { times: ordered(80, 190, 1) }],
      keys: 2,
      textBytes: 200,
    },
  ],
  [
    "scattered rows looked up and set aside",
    {
      asked: asking(tumble, [0, 1], SUMS, { faults: HASHED }),
      pieces: [
        { times: mixed(100, 0, 900) },
        { times: mixed(300, 0, 1200) },
        { times: mixed(200, -500, 17_000) },
      ],
      keys: 300,
    },
  ],
  [
    "scattered rows that are folded, beside two stacks",
    {
      asked: asking({ kind: "hop", length: 70n, step: 10n, offset: 3n }, [0], SUMS),
      pieces: [
        { times: mixed(60, 0, 300), watermark: 100n },
        { times: mixed(90, 110, 700), watermark: 200n },
        { times: mixed(90, 210, 900), watermark: 500n },
      ],
      most: 11,
    },
  ],
  [
    "scattered rows whose state is read",
    {
      asked: asking(tumble, [0], SUMS, { faults: AggregateFault.NO_DIRECT }),
      pieces: [{ times: mixed(90, 0, 200) }, { times: mixed(90, 0, 300) }],
      reads: true,
    },
  ],
  [
    "partials that set rows aside",
    {
      asked: asking({ kind: "hop", length: 400n, step: 200n, offset: 0n }, [1], SUMS, {
        bound: 30n,
        faults: HASHED,
      }),
      pieces: [
        { times: ordered(200, 0, 2) },
        { times: ordered(300, 400, 2) },
        { times: ordered(50, 1000, 9) },
      ],
      keys: 60,
      saves: true,
    },
  ],
  [
    "two stacks, and late rows between them",
    {
      asked: asking({ kind: "hop", length: 60n, step: 6n, offset: 0n }, [0], SETS, { bound: 20n }),
      pieces: [
        { times: ordered(40, 0, 1) },
        { times: ordered(20, 40, 3) },
        { times: [...mixed(15, 70, 30), ...ordered(10, 100, 6)] },
      ],
      saves: true,
    },
  ],
  [
    "windows of a few slices",
    {
      asked: asking({ kind: "hop", length: 20n, step: 10n, offset: 0n }, [0, 1], SETS, { bound: 3n }),
      pieces: [{ times: ordered(90, 0, 1 / 3) }, { times: ordered(90, 30, 1) }],
      most: 3,
    },
  ],
  [
    "windows of a few slices, of which the first have no rows now and then",
    {
      asked: asking({ kind: "hop", length: 25n, step: 10n, offset: 2n }, [0], SETS, { bound: 3n }),
      pieces: [
        { times: ordered(60, 0, 1 / 2) },
        { times: [...ordered(20, 55, 1 / 4), ...ordered(60, 71, 1 / 2)], keys: 40 },
      ],
      most: 5,
    },
  ],
  [
    "late rows that correct many windows",
    {
      asked: asking({ kind: "hop", length: 12n, step: 6n, offset: 0n }, [0], SUMS, {
        bound: 5n,
        changes: { lateness: 500n, early: 0n },
      }),
      pieces: [
        { times: ordered(25, 0, 6) },
        { times: mixed(30, 0, 150) },
        { times: [...mixed(10, 100, 50), ...ordered(6, 150, 11)] },
      ],
      saves: true,
    },
  ],
  [
    "results that leave early",
    {
      asked: asking({ kind: "cumulate", length: 60n, step: 10n, offset: 0n }, [0], SETS, {
        bound: 4n,
        changes: { lateness: 40n, early: 7n },
      }),
      pieces: [{ times: ordered(60, 0, 1) }, { times: mixed(60, 30, 70) }],
      most: 5,
    },
  ],
  [
    "sessions that join",
    {
      asked: asking({ kind: "session", gap: 4n }, [0], SETS, { bound: 300n }),
      pieces: [{ times: ordered(90, 0, 9) }, { times: ordered(90, 3, 9) }, { times: mixed(90, 700, 400) }],
      keys: 3,
    },
  ],
  [
    "sessions that leave early",
    {
      asked: asking({ kind: "session", gap: 5n }, [0], SETS, {
        bound: 300n,
        changes: { lateness: 300n, early: 50n },
      }),
      pieces: [{ times: ordered(90, 0, 3) }, { times: ordered(90, 5, 3) }, { times: mixed(90, 200, 200) }],
      keys: 3,
    },
  ],
  [
    "long texts of sessions, joined before they leave early",
    {
      asked: asking({ kind: "session", gap: 5n }, [1], [{ name: "max", of: 0 }], {
        bound: 100n,
        changes: { lateness: 300n, early: 50n },
      }),
      pieces: [{ times: ordered(30, 0, 3) }, { times: ordered(30, 5, 3) }, { times: [160n] }],
      keys: 3,
      textBytes: 3000,
    },
  ],
  [
    "sessions of keys far apart, joined before they leave early",
    {
      asked: asking({ kind: "session", gap: 5n }, [1], SETS, {
        bound: 300n,
        changes: { lateness: 300n, early: 500n },
      }),
      pieces: [
        { times: ordered(90, 0, 3) },
        { times: ordered(90, 5, 3) },
        { times: ordered(60, 500, 20), keys: 1500 },
      ],
      keys: 3,
    },
  ],
  [
    "sessions whose values begin to be null in the second vector",
    {
      asked: asking({ kind: "session", gap: 5n }, [1], SUMS, { bound: 40n }),
      pieces: [{ times: ordered(2100, 0, 1 / 4) }],
      nullsFrom: 2060,
      most: 20,
    },
  ],
  [
    "sessions of few keys laid out anew, parts among them",
    {
      asked: asking({ kind: "session", gap: 9n }, [1], SETS),
      pieces: [
        {
          times: [...ordered(1300, 0, 7), ...ordered(40, 9200, 9), ...ordered(40, 9209, 9)],
          watermark: 9110n,
        },
        { times: ordered(40, 9300, 1), watermark: 9112n },
      ],
      keys: 2,
    },
  ],
  [
    "sessions laid out anew when none is left",
    {
      asked: asking({ kind: "session", gap: 8n }, [1], SUMS),
      pieces: [
        { times: ordered(1100, 0, 9), watermark: 20_000n },
        { times: ordered(40, 30_000, 9), watermark: 30_010n },
      ],
      keys: 1,
    },
  ],
  [
    "corrections of windows that are still to come",
    {
      asked: asking({ kind: "hop", length: 12n, step: 6n, offset: 0n }, [], [{ name: "count" }], {
        changes: { lateness: 500n, early: 0n },
      }),
      pieces: [{ times: ordered(64, 0, 3), watermark: 20n }, { times: [13n, 14n, 19n] }],
    },
  ],
  [
    "sessions laid out anew",
    {
      asked: asking({ kind: "session", gap: 6n }, [0], SETS, { bound: 60n }),
      pieces: [
        { times: ordered(1300, 0, 2), watermark: 2500n },
        { times: [...ordered(60, 2540, 12), ...ordered(60, 2544, 12)], watermark: 2520n },
        { times: mixed(60, 2550, 800) },
      ],
      keys: 900,
    },
  ],
  [
    "very many sessions of one key",
    {
      asked: asking({ kind: "session", gap: 1n }, [1], [{ name: "count" }]),
      pieces: [
        { times: mixed(120, 0, 5003).map((time) => 3n * time) },
        { times: mixed(50, 1, 5003).map((time) => 3n * time) },
        { times: mixed(20, 2, 5003).map((time) => 3n * time) },
        { times: mixed(3000, 10_000, 5003).map((time) => 3n * time) },
        { times: mixed(50, 3, 5003).map((time) => 3n * time), keys: 40 },
      ],
      keys: 1,
    },
  ],
];

describe.each(BUILDS)("windows whose memory runs out, %s build", (build) => {
  let kernel: Kernel;
  beforeAll(async () => {
    kernel = await Kernel.open({ build, budget: "512 MiB" });
  });
  afterAll(() => kernel.close());

  /** Tells a story with each allocation failing in turn, and what it comes to otherwise. */
  function retell<T>(tell: (again: Retries["again"]) => T): void {
    const { view, root } = kernel.memory;
    const idle = [kernel.usedBytes, kernel.blocks];
    kernel.failAllocation(NEVER);
    const before = view.getUint32(root + Root.ALLOCATIONS, true);
    const wanted = tell((call) => call());
    const allocations = kernel.memory.view.getUint32(root + Root.ALLOCATIONS, true) - before;
    const stride = Math.ceil(allocations / TELLINGS);
    const retries = new Retries(kernel);
    let failed = 0;
    for (let nth = 1; nth <= allocations; nth += stride) {
      for (const lasts of [LASTING, 0]) {
        kernel.failAllocation((nth | SMALL_TOO | lasts) >>> 0);
        try {
          expect([nth, tell(retries.again)]).toEqual([nth, wanted]);
        } catch (error) {
          if (!(error instanceof ClosedError)) throw error;
          failed++;
        }
        kernel.failAllocation(0);
        expect([nth, kernel.usedBytes, kernel.blocks]).toEqual([nth, ...idle]);
      }
    }
    expect(retries.failures).toBeGreaterThan(3);
    expect(failed).toBeLessThan(retries.failures);
  }

  test.each(HISTORIES)("%s", { timeout: 300_000 }, (_, history) => {
    expect(told(kernel, history, (call) => call())).toEqual(expectedOf(history));
    retell((again) => told(kernel, history, again));
  });

  test.each([
    [0, SUMS],
    [HASHED, SUMS],
    [0, SETS],
  ])("brought together from two operators, faults %i", { timeout: 300_000 }, (faults, aggregates) => {
    const asked = asking(tumble, [0, 1], aggregates, { faults });
    const pieces = [
      { times: ordered(120, 0, 1 / 120) },
      { times: ordered(120, 10, 1 / 120) },
      { times: mixed(90, 0, 300) },
    ];
    const history = { asked, pieces, keys: 40 };
    const table = tableOf(history);
    retell((again) => {
      const operators: Operator[] = [];
      try {
        for (const piece of [0, 1]) {
          const operator = again(() => openWindow(kernel, asked));
          operators.push(operator);
          // Slices by themselves, then many.
          for (const [from, to] of [
            [piece * 30, 60],
            [60, 90 + piece * 30],
            [120 + piece * 60, 150 + piece * 60],
            [150 + piece * 60, 180 + piece * 60],
            [240 + piece * 45, 285 + piece * 45],
          ]) {
            const part = table.map((column) => column.slice(from, to));
            again(() => operator.push(batchOf(TYPES, part)));
          }
        }
        const [first, second] = operators as [Operator, Operator];
        again(() => [...first.absorb(second)]);
        first.watermark(END_OF_INPUT);
        const rows: Value[][] = [];
        for (;;) {
          const batch = again(() => first.pull(500));
          if (batch === null) return named(rows);
          rows.push(...rowsOf([batch]));
        }
      } finally {
        for (const operator of operators) operator.destroy();
      }
    });
  });
});
