// Loaded columns that lie in bytes, too (bindings/ts/kernel/narrow.ts): sums and correlations that are read from there
// (byte-keys.ts, keyed-sums.ts, narrow-sums.ts) come to what the twin says, and to what columns that are not loaded give.

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Kernel } from "../../bindings/ts/kernel/kernel.js";
import { type DataType, dictionary, int32, int64, uint32, utf8 } from "../../bindings/ts/type/data-type.js";
import type { Value } from "../../twin/values.js";
import {
  type Aggregate,
  BUILDS,
  batchOf,
  expected,
  multiset,
  type Query,
  resultsOf,
  type Table,
} from "./testing.js";

const [INT, UNSIGNED, CODE, OTHER, X, Y, LONG, MANY] = [0, 1, 2, 3, 4, 5, 6, 7] as const;
const TYPES: readonly DataType[] = [
  int32,
  uint32,
  dictionary(utf8),
  dictionary(utf8),
  int32,
  int32,
  int64,
  int32,
];

const KEYS: readonly (readonly number[])[] = [
  [INT],
  [UNSIGNED],
  [CODE],
  [INT, CODE],
  [CODE, OTHER],
  [UNSIGNED, INT],
  [CODE, INT, OTHER],
];
const SHAPES: readonly (readonly Aggregate[])[] = [
  [{ name: "sum", of: X }],
  [{ name: "sum", of: LONG }],
  [{ name: "avg", of: X }],
  [{ name: "count" }, { name: "sum", of: LONG }],
  [{ name: "corr", of: X, second: Y }],
  [
    { name: "corr", of: X, second: Y },
    { name: "count", of: Y },
  ],
  [
    { name: "avg", of: X },
    { name: "max", of: LONG },
    { name: "count", of: X },
  ],
  [
    { name: "covar", of: X, second: Y },
    { name: "sum", of: LONG },
  ],
];

/** What the rows of a batch are like. */
const KINDS = [
  "plain",
  "large",
  "new keys",
  "far keys",
  "negative",
  "wide",
  "nulls",
  "null keys",
  "nulls beside far ones",
  "one key",
] as const;
type Kind = (typeof KINDS)[number];

function rowOf(kind: Kind, row: number): Value[] {
  const mixed = (row * 2_654_435_761) >>> 8;
  // Beside nulls bytes go up to 254.
  const isBeside = kind === "nulls beside far ones";
  const first = kind === "new keys" ? 9 : kind === "far keys" ? 250 : isBeside ? 248 : 0;
  const key = kind === "one key" ? 3 : (mixed % 7) + first;
  const isKeyNull = (kind === "null keys" || isBeside) && row % 3 === 0;
  const x =
    kind === "large" || kind === "one key" || isBeside
      ? 255 - Number(isBeside) - (mixed % 3)
      : kind === "wide"
        ? 254 + (mixed % 4)
        : mixed % 100;
  const y = kind === "large" || kind === "one key" ? 250 + (row % 6) : (mixed >>> 9) % 16;
  const sign = kind === "negative" && row % 5 === 0 ? -1 : 1;
  const isNull = (kind === "nulls" || isBeside) && row % 4 === 1;
  return [
    isKeyNull ? null : BigInt(sign * key),
    isKeyNull ? null : BigInt((mixed >>> 5) % 11),
    isKeyNull ? null : `text ${key}`,
    `other ${(mixed >>> 7) % 5}`,
    isNull ? null : BigInt(sign * x),
    BigInt(y),
    isNull ? null : BigInt(sign * x * (kind === "wide" ? 2 ** 33 : 1)),
    BigInt(row * 3),
  ];
}

function tableOf(kind: Kind, first: number, rows: number): Table {
  const all = Array.from({ length: rows }, (_, row) => rowOf(kind, first + row));
  return TYPES.map((_, column) => all.map((row) => row[column]!));
}

interface Part {
  readonly kind: Kind;
  readonly rows: number;
  /** Rows of a push. */
  readonly size: number;
}

const parts = fc.array(
  fc.record({
    kind: fc.constantFrom<Kind>("plain", "plain", "plain", ...KINDS),
    rows: fc.constantFrom(1, 15, 700, 5000),
    size: fc.constantFrom(3, 1000, 2048, 5000),
  }),
  { minLength: 1, maxLength: 5 },
);

/** Pushes each part as a batch of its own, loaded or not, twice: the second time all texts are known. */
function results(
  kernel: Kernel,
  query: Query,
  tables: readonly Table[],
  of: readonly Part[],
  loaded: boolean,
) {
  return resultsOf(kernel, query, (operator) => {
    tables.forEach((table, index) => {
      const batch = batchOf(TYPES, table, index * 3, index % 2 === 1);
      const resident = kernel.load([batch]);
      const size = Math.max(of[index]!.size, Math.ceil(batch.length / 50));
      for (let turn = 0; turn < 2; turn++) {
        for (let start = 0; start < batch.length; start += size) {
          const rows = Math.min(size, batch.length - start);
          if (loaded) operator.push(resident.batches[0]!, start, rows);
          else operator.push(batch, start, rows);
        }
      }
      resident.free();
    });
  });
}

const twice = (table: Table): Table => table.map((column) => [...column, ...column]);

const joined = (tables: readonly Table[]): Table =>
  TYPES.map((_, column) => tables.flatMap((table) => twice(table)[column]!));

describe.each(BUILDS)("columns in bytes, %s build", (build) => {
  test("give the twin's sums and correlations, whatever batches are like", async () => {
    const kernel = await Kernel.open({ build });
    const before = kernel.usedBytes;
    fc.assert(
      fc.property(fc.constantFrom(...KEYS), fc.constantFrom(...SHAPES), parts, (keys, aggregates, of) => {
        const query: Query = { types: TYPES, keys, aggregates };
        const tables = of.map(({ kind, rows }, index) => tableOf(kind, index * 777, rows));
        const loaded = results(kernel, query, tables, of, true);
        expect(loaded).toEqual(multiset(expected(query, joined(tables))));
        expect(results(kernel, query, tables, of, false)).toEqual(loaded);
        expect(kernel.usedBytes).toBe(before);
      }),
      { numRuns: 40 },
    );
  });

  const PAIRS = KEYS.flatMap((keys, at) =>
    [0, 2, 4].map((step) => [keys, SHAPES[(at + step) % SHAPES.length]!] as const),
  );

  function holds(kernel: Kernel, query: Query, kinds: readonly Kind[], rows: number): void {
    const of = kinds.map((kind): Part => ({ kind, rows, size: rows }));
    const tables = of.map(({ kind }, index) => tableOf(kind, index * rows, rows));
    const loaded = results(kernel, query, tables, of, true);
    expect(loaded).toEqual(multiset(expected(query, joined(tables))));
  }

  test.each(PAIRS)("keys %j, %j: batches of each kind between plain ones", async (keys, aggregates) => {
    const kernel = await Kernel.open({ build });
    for (const kind of KINDS)
      holds(kernel, { types: TYPES, keys, aggregates }, ["plain", kind, "plain"], 2501);
  });

  test.each(PAIRS.filter((_, at) => at % 4 === 0))(
    "keys %j, %j: a batch of many vectors",
    async (keys, aggregates) => {
      const kernel = await Kernel.open({ build });
      holds(kernel, { types: TYPES, keys, aggregates }, ["plain", "one key"], 40_001);
    },
  );

  test("products of many rows of one group add up to more than 32 bits", async () => {
    const kernel = await Kernel.open({ build });
    const aggregates: Aggregate[] = [{ name: "corr", of: X, second: Y }];
    for (const key of [INT, CODE])
      holds(kernel, { types: TYPES, keys: [key], aggregates }, ["one key"], 40_001);
  });

  test.each(["plain", "nulls", "large"] as const)("many groups, %s values", async (kind) => {
    const kernel = await Kernel.open({ build });
    const aggregates: Aggregate[] = [
      { name: "min", of: X },
      { name: "max", of: LONG },
      { name: "sum", of: Y },
    ];
    for (const keys of [[MANY], [MANY, CODE]])
      holds(kernel, { types: TYPES, keys, aggregates }, [kind, kind], 20_001);
  });
});
