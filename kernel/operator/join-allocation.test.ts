// Memory that runs out while joins of every kind work: the same story again and again, with another allocation failing
// each time, or all that come late in a step. A call that found no memory goes well when it is made again, what has left
// in the end is the twin's, and memory is as it was.

import { beforeAll, describe, expect, test } from "vitest";
import type { JoinTimeSpec } from "../../bindings/ts/kernel/config.js";
import { Kernel } from "../../bindings/ts/kernel/kernel.js";
import type { ResidentBatch } from "../../bindings/ts/kernel/resident.js";
import type { BatchData } from "../../bindings/ts/type/column.js";
import {
  bool,
  type DataType,
  dictionary,
  float64,
  int8,
  int16,
  int32,
  int64,
  utf8,
} from "../../bindings/ts/type/data-type.js";
import { MemoryLimitError } from "../../bindings/ts/type/error.js";
import { consolidate } from "../../test/testing-result.js";
import type { Value } from "../../twin/values.js";
import { JoinFault, JoinTime, RowKind } from "../abi/operator.js";
import { BUILDS, batchOf, multiset, rowsOf, slice, type Table } from "./testing.js";
import { expectedJoin, type JoinQuery, loadedTable, openJoin } from "./testing-join.js";
import { failEach, LASTING, Retries } from "./testing-retries.js";

/** Every so-manieth allocation fails, of each story others; all of them, one after the other: ALLOCATION_STRIDE=2. */
const STRIDE = Math.ceil(Number(process.env.ALLOCATION_STRIDE ?? 60) / 2);
/** Of stories that repeat themselves fewer do. */
const REPEATING = 10;
const RARER = 5;
const isThorough = STRIDE < 10;
/** Steps of a story that are starved. */
const STARVED = isThorough ? 12 : 3;
const BUDGET = "512 MiB";
const END = 2n ** 63n - 1n;
const SMALL = JoinFault.SMALL_STEPS | JoinFault.TINY_TABLES;

interface Story {
  readonly query: JoinQuery;
  readonly tables: readonly [Table, Table];
  /** Ports and rows of pushes; the end of a port is -1 rows. What is left then comes, the right side first. */
  readonly feeds: readonly (readonly [port: 0 | 1, rows: number])[];
  /** Where the watermark of a port follows its rows: how far rows are behind others. */
  readonly disorder?: bigint;
  /** Rows of a pull. */
  readonly maxRows?: number;
  /** Types of the columns as they come, where they are not those of the query. */
  readonly comes?: (push: number) => readonly [readonly DataType[], readonly DataType[]];
}

const table = (rows: number, columns: readonly ((row: number) => Value)[]): Table =>
  columns.map((cell) => Array.from({ length: rows }, (_, row) => cell(row)));
const coded = dictionary(utf8, int16);

/** A key, a time that ascends but for a few rows, and payloads. */
function timely(rows: number, salt: number, keys = 40): Table {
  return table(rows, [
    (row) => (row % 19 === salt ? null : `the key ${(row >> 2) % keys} of some length`),
    (row) => (row % 23 === salt ? null : BigInt(row * 3 + ((row * 7) % 5) + salt)),
    (row) => (row % 3 === 0 ? null : BigInt((row + salt) % 11)),
    (row) => `payload ${row}, which lies in the arena`,
  ]);
}
const TIMELY = [utf8, int64, int64, utf8];
const BY_TIME: readonly (readonly [0 | 1, number])[] = [0, 1, 2, 3, 4, 5].flatMap((_, round) => [
  [1, 20 + round] as const,
  [0, 25 - round] as const,
]);

function byTime(how: JoinQuery["how"], time: JoinTimeSpec, change: Partial<Story> = {}): Story {
  const query: JoinQuery = { types: [TIMELY, TIMELY], keys: 1, how, time, faults: SMALL };
  return {
    query,
    tables: [timely(170, 3), timely(150, 1)],
    feeds: BY_TIME,
    disorder: 12n,
    ...change,
  };
}

/** Rows of few keys of which most are taken back, by one column each that is null now and then. */
function changing(rows: number, salt: number): Table {
  const like = (row: number) => (row % 7 < 5 ? row >> 1 : row + rows);
  return table(rows, [
    (row) => (like(row) % 17 === salt ? null : `a key of texts ${like(row) % 9}`),
    (row) => (like(row) % 5 === 0 ? null : BigInt(like(row) % 13)),
    (row) => `the payload ${like(row)}, long enough`,
    (row) => (row % 7 < 5 && row % 2 === 1 && row % 7 > 0 ? BigInt(RowKind.DELETE) : BigInt(RowKind.INSERT)),
  ]);
}

/** Each row comes, and is taken back with the push after it, but for every ninth. */
function passing(pushes: number, rows: number, salt: number): Table {
  const cells: Value[][] = [];
  for (let push = 0; push < pushes; push++) {
    for (let row = 0; row < rows; row++) {
      const of = (push >> 1) * rows + row;
      if (push % 2 === 1 && row % 9 === 0) continue;
      const kind = push % 2 === 0 ? RowKind.INSERT : RowKind.DELETE;
      cells.push([
        of % 17 === salt ? null : `a key of texts ${of % 60}`,
        of % 5 === 0 ? null : BigInt(of % 13),
        `the payload ${of}, long enough`,
        BigInt(kind),
      ]);
    }
  }
  return [0, 1, 2, 3].map((column) => cells.map((row) => row[column]!));
}
const CHANGING = [utf8, int64, utf8, int8];
const STAYS = [utf8, int64, utf8];
const staying = (rows: number): Table =>
  table(rows, [
    (row) => (row % 11 === 4 ? null : `a key of texts ${row % 70}`),
    (row) => BigInt(row % 6),
    (row) => `what stays ${row}`,
  ]);
const IN_TURNS: readonly (readonly [0 | 1, number])[] = Array.from({ length: 24 }, (_, push) => [
  push % 4 === 1 ? 1 : 0,
  19,
]);

function changes(how: JoinQuery["how"], change: Partial<JoinQuery> = {}, tables?: Story["tables"]): Story {
  return {
    query: { types: [CHANGING, CHANGING], keys: 1, how, changes: [true, true], faults: SMALL, ...change },
    tables: tables ?? [passing(16, 20, 3), passing(8, 12, 5)],
    feeds: IN_TURNS,
  };
}

/** More than rows have room for, where they lie in a loaded table. */
const LOADED = [int32, int64, utf8, float64, coded, bool, int8];
const loadedRows = (rows: number, keys: number): Table =>
  table(rows, [
    (row) => BigInt((row * 37) % keys),
    (row) => (row % 9 === 4 ? null : BigInt(row)),
    (row) => (row % 11 === 4 ? null : `text ${row} ${"x".repeat(row === 50 ? 20_000 : row % 30)}`),
    (row) => row / 3,
    (row) => `code ${row % 50}`,
    (row) => row % 3 === 0,
    (row) => BigInt(row % 100),
  ]);

/** Numbers far apart, nulls among them, and a text of either encoding. */
const PLAIN = [int64, coded, int64, bool];
const plain = (rows: number, step: bigint, salt: number): Table =>
  table(rows, [
    (row) => (row % 31 === salt ? null : BigInt(row) * step),
    (row) => (row % 9 === 4 ? null : `text number ${row % 300}`),
    (row) => (row % 4 === 0 ? null : BigInt((row * 5) % 17)),
    (row) => (row % 5 === 0 ? null : row % 2 === 0),
  ]);
const TEXTS = [coded, coded, int64];
const texts = (rows: number, salt: number): Table =>
  table(rows, [
    (row) => (row % 13 === salt ? null : `key ${row % 1500}`),
    (row) => (row % 4 === 0 ? null : `text ${row % 600}`),
    (row) => BigInt(row % 9),
  ]);
const long = (rows: number, bytes: number): Table =>
  table(rows, [(row) => `key ${row % 40}`, (row) => `${row}`.padEnd(bytes, "x"), () => 1n]);

const TEXT_KEYS = [utf8, int64, utf8];

const RIGHT_FIRST = [
  [1, 700],
  [1, 65_536],
  [1, -1],
  [0, 30],
  [0, 2100],
] as const;
const BOTH = [
  [1, 40],
  [0, 30],
  [1, 1500],
  [0, 1600],
] as const;

const WITHIN: JoinTimeSpec = { mode: JoinTime.WITHIN, low: -20n, high: 15n };
const BACKWARD: JoinTimeSpec = { mode: JoinTime.BACKWARD, tolerance: 40n, strict: false };

const STORIES: readonly (readonly [string, Story])[] = [
  ["within bounds of time", byTime("full", WITHIN)],
  ["within bounds of time, all of it kept", byTime("right", { ...WITHIN, low: -900n, high: 900n })],
  ["within bounds of time and a condition", { ...byTime("semi", WITHIN) }],
  ["the latest", byTime("left", BACKWARD)],
  ["the next", byTime("left", { mode: JoinTime.FORWARD, tolerance: 40n, strict: true })],
  ["the next, however late", byTime("inner", { mode: JoinTime.FORWARD, tolerance: null, strict: false })],
  [
    "the nearest",
    byTime(
      "left",
      { mode: JoinTime.NEAREST, tolerance: 60n, strict: false },
      { tables: [timely(170, 3), timely(150, 1, 13)] },
    ),
  ],
  ["the nearest, however far", byTime("inner", { mode: JoinTime.NEAREST, tolerance: null, strict: false })],
  [
    "by time, many rows of one push",
    {
      ...byTime("full", WITHIN),
      query: { types: [TIMELY, TIMELY], keys: 1, how: "left", time: { ...BACKWARD, tolerance: null } },
      tables: [timely(2400, 3), timely(2300, 1)],
      feeds: BOTH,
      maxRows: 65_536,
    },
  ],
  [
    "the latest, right side first",
    {
      query: {
        types: [TEXT_KEYS, TEXT_KEYS],
        keys: 1,
        how: "left",
        time: { ...BACKWARD, tolerance: null },
      },
      tables: [keyed(4800, 20), keyed(120, 8000)],
      feeds: [
        [1, 65_536],
        [1, -1],
        [0, 30],
        [0, 2500],
        [0, 1200],
      ],
      maxRows: 65_536,
      comes: (push) => [push % 2 === 0 ? [coded, int64, utf8] : [utf8, int64, utf8], TEXT_KEYS],
    },
  ],
  ["changes of both sides", changes("full")],
  ["changes of both sides, corrected", changes("full", { corrects: true })],
  ["changes and a condition", changes("left", { corrects: true, residual: [1, 1] })],
  ["changes of few rows at once", changes("full", {}, [changing(330, 3), changing(200, 5)])],
  ["changes of keys", changes("semi", { corrects: true })],
  ["changes of keys that are not there", changes("anti", { corrects: true })],
  ["changes of what is not in", changes("anti", { corrects: true, nullAware: true })],
  ["changes of what is not in, at the end", changes("anti", { nullAware: true })],
  [
    "changes of one side",
    {
      ...changes("right", { types: [CHANGING, STAYS], changes: [true, false] }, [
        passing(16, 20, 3),
        staying(90),
      ]),
    },
  ],
  [
    "changes of many rows",
    {
      query: { types: [CHANGING, CHANGING], keys: 1, how: "full", changes: [true, true], corrects: true },
      tables: [table2(2300), table2(1300)],
      feeds: BOTH,
      maxRows: 65_536,
    },
  ],
  [
    "numbers, right side first",
    {
      query: { types: [PLAIN, PLAIN], keys: 1, how: "full", buildFirst: true, faults: SMALL },
      tables: [plain(260, 1n, 2), plain(2900, 1n, 3)],
      feeds: RIGHT_FIRST,
    },
  ],
  [
    "numbers far apart, right side first",
    {
      query: { types: [PLAIN, PLAIN], keys: 1, how: "left", buildFirst: true, faults: SMALL },
      tables: [plain(260, 1_000_003n, 2), plain(2900, 1_000_003n, 3)],
      feeds: RIGHT_FIRST,
    },
  ],
  [
    "numbers that were to come first on one side",
    {
      query: { types: [PLAIN, PLAIN], keys: 1, how: "right", buildFirst: true, kept: false },
      tables: [plain(2000, 1_000_003n, 2), plain(1900, 1_000_003n, 3)],
      feeds: BOTH,
      maxRows: 65_536,
    },
  ],
  [
    "numbers and a condition",
    {
      query: { types: [PLAIN, PLAIN], keys: 1, how: "full", residual: [2, 2] },
      tables: [plain(900, 1n, 2), plain(2500, 1n, 3)],
      feeds: BOTH,
      maxRows: 700,
    },
  ],
  [
    "no keys",
    {
      query: { types: [PLAIN, PLAIN], keys: 0, how: "inner", residual: [2, 2] },
      tables: [plain(60, 1n, 2), plain(70, 1n, 3)],
      feeds: [
        [0, 20],
        [1, 30],
      ],
      maxRows: 500,
    },
  ],
  [
    "texts and numbers as keys",
    {
      query: { types: [TEXTS, TEXTS], keys: 3, how: "left", nullsEqual: true },
      tables: [texts(1900, 2), texts(2100, 3)],
      feeds: BOTH,
      maxRows: 65_536,
    },
  ],
  [
    "texts, right side first, which leave as codes",
    {
      query: { types: [TEXTS, TEXTS], keys: 1, how: "left", buildFirst: true, kept: true },
      tables: [texts(2400, 2), texts(1400, 3)],
      feeds: RIGHT_FIRST,
      maxRows: 65_536,
      comes: (push) => [TEXTS, push === 1 ? [utf8, utf8, int64] : TEXTS],
    },
  ],
  [
    "texts of either encoding",
    {
      query: { types: [TEXTS, TEXTS], keys: 1, how: "full" },
      tables: [texts(1700, 2), texts(1600, 3)],
      feeds: [...BOTH, [0, 10], [1, 10]],
      maxRows: 65_536,
      comes: (push) =>
        push % 2 === 0
          ? [TEXTS, TEXTS]
          : [
              [utf8, utf8, int64],
              [utf8, utf8, int64],
            ],
    },
  ],
  [
    "keys of which some are not in",
    {
      query: { types: [TEXTS, TEXTS], keys: 1, how: "anti", nullAware: true, faults: SMALL },
      tables: [texts(200, 2), [texts(90, 3)[0]!.map((key) => key ?? "key 7"), ...texts(90, 3).slice(1)]],
      feeds: [
        [1, 90],
        [1, -1],
        [0, 60],
      ],
    },
  ],
  [
    "a long text among many, right side first",
    {
      query: {
        types: [
          [utf8, utf8, int64],
          [utf8, utf8, int64],
        ],
        keys: 1,
        how: "inner",
      },
      tables: [long(800, 20), long(40, 3000)],
      feeds: RIGHT_FIRST,
      maxRows: 65_536,
    },
  ],
  [
    "copied rows, a long text among many, right side first",
    {
      query: {
        types: [
          [int32, utf8],
          [int32, utf8, int64],
        ],
        keys: 1,
        how: "left",
        buildFirst: true,
        faults: JoinFault.COPY_ROWS,
      },
      tables: [
        table(900, [(row) => (row % 7 === 3 ? null : BigInt(row % 120)), (row) => `left ${row}`]),
        table(100, [
          (row) => BigInt((row * 37) % 100),
          (row) => (row % 9 === 4 ? null : `text ${row} ${"x".repeat(row === 50 ? 20_000 : row % 30)}`),
          (row) => BigInt(row),
        ]),
      ],
      feeds: RIGHT_FIRST,
      maxRows: 65_536,
    },
  ],
  [
    "copied rows, keys of several rows, both sides open",
    {
      query: {
        types: [
          [int32, utf8],
          [int32, utf8, int64],
        ],
        keys: 1,
        how: "full",
        faults: JoinFault.COPY_ROWS,
      },
      tables: [
        table(1500, [(row) => (row % 7 === 3 ? null : BigInt(row % 720)), (row) => `left ${row}`]),
        table(1400, [
          (row) => BigInt((row * 37) % 700),
          (row) => (row % 9 === 4 ? null : `text ${row}`),
          (row) => BigInt(row),
        ]),
      ],
      feeds: BOTH,
      maxRows: 65_536,
    },
  ],
  ...[60, 1400].map((keys): [string, Story] => [
    `loaded rows of ${keys} keys, right side first`,
    {
      query: { types: [[int32, utf8], LOADED], keys: 1, how: "full", buildFirst: true, loaded: [true, true] },
      tables: [
        table(900, [(row) => (row % 7 === 3 ? null : BigInt(row % 1100)), (row) => `left ${row}`]),
        loadedRows(1400, keys),
      ],
      feeds: RIGHT_FIRST,
      maxRows: 65_536,
    },
  ]),
  [
    "loaded rows of texts, both sides open",
    {
      query: {
        types: [
          [utf8, ...LOADED],
          [utf8, ...LOADED],
        ],
        keys: 1,
        how: "left",
        residual: [2, 2],
        loaded: [true, true],
        kept: true,
      },
      tables: [0, 1].map((salt) => [
        Array.from({ length: 300 }, (_, row) => `key ${(row * 7 + salt) % 170}`),
        ...loadedRows(300, 300),
      ]) as unknown as [Table, Table],
      feeds: BOTH,
      maxRows: 65_536,
    },
  ],
  [
    "a long text among many",
    {
      query: {
        types: [
          [utf8, utf8, int64],
          [utf8, utf8, int64],
        ],
        keys: 1,
        how: "full",
      },
      tables: [long(800, 20), long(90, 3000)],
      feeds: BOTH,
      maxRows: 65_536,
    },
  ],
  [
    "texts and a condition on others",
    {
      query: { types: [TEXTS, TEXTS], keys: 1, how: "left", residual: [1, 1] },
      tables: [texts(700, 2), texts(600, 3)],
      feeds: [
        [1, 300],
        [0, 400],
      ],
      maxRows: 500,
    },
  ],
  [
    "rows of many chunks",
    {
      query: {
        types: [
          [int32, bool],
          [int32, bool],
        ],
        keys: 1,
        how: "inner",
      },
      tables: [
        table(70_000, [(row) => BigInt(row), (row) => (row % 9 === 4 ? null : row % 2 === 0)]),
        table(40, [(row) => BigInt(row * 1750), (row) => (row % 7 === 4 ? null : row % 2 === 0)]),
      ],
      feeds: [
        [0, 35_000],
        [0, 35_000],
      ],
      maxRows: 65_536,
    },
  ],
  [
    "floats by texts",
    {
      query: {
        types: [
          [utf8, float64],
          [utf8, float64],
        ],
        keys: 1,
        how: "inner",
      },
      tables: [
        table(300, [(row) => `${row % 70}`, (row) => row / 3]),
        table(300, [(row) => `${row % 90}`, (row) => row / 7]),
      ],
      feeds: BOTH,
      maxRows: 90,
    },
  ],
];

/** Rows in the order of time until the last ones, of more keys than there is room for at first. */
function keyed(rows: number, bytes: number): Table {
  return table(rows, [
    (row) => (row % 50 === 7 ? null : `the key ${row % 1700}`),
    (row) => (row % 60 === 9 ? null : row === 4000 ? 3n : BigInt(row >> 1)),
    (row) => `row ${row}`.padEnd(bytes),
  ]);
}
/** Rows that come, some of which go. */
function table2(rows: number): Table {
  const of = (row: number) => (row % 5 === 4 ? row - 1 : row);
  return table(rows, [
    (row) => (of(row) % 17 === 3 ? null : `a key of texts ${of(row) % 1400}`),
    (row) => BigInt(of(row) % 13),
    (row) => `the payload ${of(row)}`,
    (row) => BigInt(row % 5 === 4 ? RowKind.DELETE : RowKind.INSERT),
  ]);
}

describe.each(BUILDS.slice(0, 1))("joins while allocations fail, %s build", async (build) => {
  const kernel = await Kernel.open({ build, budget: BUDGET });

  /** The rows of pushes, made once. */
  const batches = new Map<string, BatchData>();
  function batchFrom(
    { query, tables, comes }: Story,
    push: number,
    port: 0 | 1,
    at: number,
    until: number,
  ): BatchData {
    const types = comes?.(push)[port] ?? query.types[port];
    const name = `${push} ${port} ${at}`;
    const known =
      batches.get(name) ?? batchOf(types, slice(tables[port], at, until), until % 9, until % 2 === 1);
    batches.set(name, known);
    return known;
  }

  /** Runs the story; `starve` says how many bytes a step has that is tried first. The rows that have left. */
  function tell(story: Story, starve: (step: number) => number | null = () => null): Value[][] {
    const { query, tables, disorder, maxRows = 40 } = story;
    const retries = new Retries(kernel);
    let step = 0;
    const again = <T>(call: () => T): T => {
      const bytes = starve(step++);
      if (bytes === null) return retries.again(call);
      kernel.setBudget(kernel.usedBytes + Math.max(1, bytes));
      let first = true;
      return retries.again(() => {
        if (!first) kernel.setBudget(BUDGET);
        first = false;
        try {
          return call();
        } finally {
          kernel.setBudget(BUDGET);
        }
      });
    };
    const loaded = tables.map((one, port) =>
      query.loaded?.[port] ? retries.again(() => loadedTable(kernel, query.types[port as 0 | 1], one)) : null,
    );
    const operator = again(() => openJoin(kernel, query));
    const rows: Value[][] = [];
    const at = [0, 0];
    const ended = [false, false];
    const kept: ResidentBatch[] = [];
    const drain = () => {
      if (query.kept) {
        for (let more = true; more; ) {
          const pulled = again(() => operator.tryPullResident(maxRows));
          more = pulled.more;
          if (pulled.batch !== null) kept.push(pulled.batch);
        }
        return;
      }
      const pull = () => again(() => operator.pull(maxRows));
      for (let batch = pull(); batch !== null; batch = pull()) rows.push(...rowsOf([batch]));
    };
    const end = (port: number) => {
      if (ended[port]) return;
      ended[port] = true;
      again(() => operator.watermark(END, port));
      drain();
    };
    let pushes = 0;
    const push = (port: 0 | 1, count: number) => {
      const until = Math.min(tables[port][0]!.length, at[port]! + count);
      const from = at[port]!;
      const lies = loaded[port]?.batches[0];
      const batch = lies ?? batchFrom(story, pushes++, port, from, until);
      again(() => operator.push(batch, lies ? from : 0, until - from, 0, port));
      at[port] = until;
      drain();
      if (disorder === undefined) return;
      const seen = tables[port][query.keys]!.slice(0, until).filter((time) => time !== null) as bigint[];
      const newest = BigInt(Math.max(0, ...seen.map(Number)));
      again(() => operator.watermark(newest - disorder - 1n, port));
      drain();
    };
    try {
      for (const [port, count] of story.feeds) {
        if (count < 0) end(port);
        else push(port, count);
      }
      for (const port of [1, 0] as const) {
        if (at[port]! < tables[port][0]!.length) push(port, 65_536);
        end(port);
      }
      for (const batch of kept) rows.push(...rowsOf([retries.again(() => batch.toHost())]));
      return rows;
    } finally {
      for (const batch of kept) batch.free();
      operator.destroy();
      for (const table of loaded) table?.free();
    }
  }

  const isChanges = ({ query }: Story) => query.changes !== undefined || query.corrects === true;
  const outcome = (story: Story, rows: Value[][]) => multiset(isChanges(story) ? consolidate(rows) : rows);

  describe.each(STORIES.map(([name, story], index) => ({ name, story, index })))(
    "$name",
    ({ story, index }) => {
      const wanted = multiset(expectedJoin(story.query, story.tables));
      beforeAll(() => batches.clear());
      const before = [kernel.usedBytes, kernel.blocks];
      const check = (of: string, rows: Value[][]) => {
        expect([of, kernel.usedBytes, kernel.blocks]).toEqual([of, ...before]);
        expect([of, outcome(story, rows)]).toEqual([of, wanted]);
      };

      test("one allocation", { timeout: 900_000 }, () => {
        let told = 0;
        const stride = story.feeds.length > REPEATING ? RARER * STRIDE : STRIDE;
        const another = (nth: number) => {
          check(`allocation ${nth}`, tell(story));
          told++;
        };
        failEach(kernel, 1 + (index % stride), stride, another, true);
        expect(told).toBeGreaterThan(1);
      });

      test("all of a step's allocations past some", { timeout: 900_000 }, () => {
        let steps = 0;
        const count = () => {
          steps++;
          return null;
        };
        check("undisturbed", tell(story, count));
        const every = Math.max(1, Math.floor(steps / STARVED));
        for (let step = index % every; step < steps; step += every) {
          for (const bytes of isThorough ? [0, 4096, 120_000] : [4096])
            check(
              `step ${step} with ${bytes} bytes`,
              tell(story, (now) => (now === step ? bytes : null)),
            );
        }
      });
    },
  );

  /** Bytes that are left to a step, in so many steps, few and many. */
  const grades = (steps: number, most: number) =>
    Array.from({ length: isThorough ? steps : 5 }, (_, at) =>
      Math.floor((at * most) / (isThorough ? steps : 5)),
    );

  test("memory that ends as rows are laid out anew", { timeout: 900_000 }, () => {
    for (const story of [byTime("full", WITHIN), changes("full", { corrects: true })]) {
      const wanted = multiset(expectedJoin(story.query, story.tables));
      batches.clear();
      let steps = 0;
      tell(story, () => {
        steps++;
        return null;
      });
      for (const [at, bytes] of grades(360, 160_000).entries()) {
        const step = (at * 37) % steps;
        const rows = tell(story, (now) => (now >= step && now < step + 40 ? bytes : null));
        expect([bytes, outcome(story, rows)]).toEqual([bytes, wanted]);
      }
    }
  });

  test("memory that ends as rows leave with their push", { timeout: 900_000 }, () => {
    const [, story] = STORIES.find(([name]) => name === "the latest, right side first")!;
    const wanted = multiset(expectedJoin(story.query, story.tables));
    batches.clear();
    // The push of many rows is the one that needs most: what is just not enough for it, and somewhat less.
    const steps: number[] = [];
    tell(story, (now) => {
      steps[now] = kernel.usedBytes;
      return null;
    });
    const growth = steps.map((used, at) => (steps[at + 1] ?? used) - used);
    const step = growth.indexOf(Math.max(...growth));
    for (const less of grades(160, 160_000)) {
      const rows = tell(story, (now) => (now === step ? Math.max(0, growth[step]! + 20_000 - less) : null));
      expect([less, multiset(rows)]).toEqual([less, wanted]);
    }
  });

  test.each([1n, 1_000_003n])("memory that ends as an index of numbers %s apart is made", (apart) => {
    const types = [int64, int64];
    const side = (rows: number): Table => table(rows, [(row) => BigInt(row) * apart, (row) => BigInt(row)]);
    const tables = [side(50), side(9000)] as const;
    const query: JoinQuery = { types: [types, types], keys: 1, how: "left", buildFirst: true };
    const wanted = multiset(expectedJoin(query, tables));
    const [left, right] = tables.map((one) => batchOf(types, one));
    for (const bytes of grades(80, 160_000)) {
      const retries = new Retries(kernel);
      const operator = openJoin(kernel, query);
      operator.push(right!, 0, undefined, 0, 1);
      operator.watermark(END, 1);
      kernel.setBudget(kernel.usedBytes + Math.max(1, bytes));
      try {
        while (operator.pull(1) !== null);
      } catch (error) {
        expect(error).toBeInstanceOf(MemoryLimitError);
      }
      kernel.setBudget(BUDGET);
      while (operator.pull() !== null);
      operator.push(left!, 0, undefined, 0, 0);
      operator.watermark(END, 0);
      const rows = rowsOf(retries.pulls(operator, 65_536));
      operator.destroy();
      expect([bytes, multiset(rows)]).toEqual([bytes, wanted]);
    }
  });

  test("memory that ends as keys that lie close together get other numbers", () => {
    const types = [int64, int64];
    // Forty keys side by side, then forty that begin elsewhere: the range is made, then made wider.
    const side = (salt: number): Table =>
      table(120, [
        (row) => (row % 10 === 9 ? null : BigInt(((row * 7 + salt) % 40) + (row < 60 ? 0 : 45))),
        (row) => BigInt(row),
      ]);
    const tables = [side(0), side(3)] as const;
    const faults = JoinFault.TINY_TABLES;
    const query: JoinQuery = { types: [types, types], keys: 1, how: "full", nullsEqual: true, faults };
    const wanted = multiset(expectedJoin(query, tables));
    const pushes = tables.map((one) =>
      Array.from({ length: 10 }, (_, at) => batchOf(types, slice(one, at * 12, at * 12 + 12))),
    );
    const tiers = new Set<number>();
    let refused = 0;
    for (const lasting of [0, LASTING]) {
      for (let step = 0; step < 20; step++) {
        for (let nth = 1; nth <= 12; nth++) {
          const retries = new Retries(kernel);
          const operator = openJoin(kernel, query);
          const rows: Value[][] = [];
          const drain = () => rows.push(...rowsOf(retries.pulls(operator, 65_536)));
          for (let now = 0; now < 20; now++) {
            if (now === step) kernel.failAllocation(nth | lasting);
            retries.again(() => operator.push(pushes[now & 1]![now >> 1]!, 0, undefined, 0, now & 1));
            if (now === step) kernel.failAllocation(0);
            drain();
          }
          tiers.add(operator.stats().keyTier);
          for (const port of [0, 1]) {
            operator.watermark(END, port);
            drain();
          }
          refused += retries.failures;
          operator.destroy();
          expect([lasting, step, nth, multiset(rows)]).toEqual([lasting, step, nth, wanted]);
        }
      }
    }
    expect(refused).toBeGreaterThan(20);
    expect([...tiers]).toEqual([5]);
  });

  test("an index that was not finished, and rows of its own side that come before it is asked for again", () => {
    const types = [int64, int64];
    const side = (rows: number, first: number): Table =>
      table(rows, [(row) => BigInt(row + first) * 1_000_003n, (row) => BigInt(row)]);
    const [left, right, more] = [side(40, 4980), side(5000, 0), side(30, 5000)];
    const query: JoinQuery = { types: [types, types], keys: 1, how: "inner", buildFirst: true };
    const wanted = multiset(
      expectedJoin(query, [left, right.map((column, at) => [...column, ...more[at]!])]),
    );
    const pushes = [right, left, more].map((one) => batchOf(types, one));
    let refused = 0;
    for (let nth = 1; nth <= 240; nth++) {
      const retries = new Retries(kernel);
      const operator = openJoin(kernel, query);
      const rows: Value[][] = [];
      const drain = () => rows.push(...rowsOf(retries.pulls(operator, 65_536)));
      operator.push(pushes[0]!, 0, undefined, 0, 1);
      kernel.failAllocation((1 + (nth >> 3)) | LASTING);
      let isDone = true;
      try {
        operator.push(pushes[1]!, 0, undefined, 0, 0);
      } catch (error) {
        expect(error).toBeInstanceOf(MemoryLimitError);
        isDone = false;
        refused++;
      }
      if (isDone) drain();
      kernel.failAllocation((1 + (nth & 7)) | LASTING);
      retries.again(() => operator.push(pushes[2]!, 0, undefined, 0, 1));
      kernel.failAllocation(0);
      drain();
      if (!isDone) operator.push(pushes[1]!, 0, undefined, 0, 0);
      drain();
      for (const port of [0, 1]) {
        operator.watermark(END, port);
        drain();
      }
      operator.destroy();
      expect([nth, multiset(rows)]).toEqual([nth, wanted]);
    }
    expect(refused).toBeGreaterThan(3);
  });
});
