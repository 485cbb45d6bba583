// Keys that are texts, as codes of dictionaries that stay with the results (KEEP_CODES): whoever reads them reads the texts,
// whatever tier groups are in, however many rows a pull takes and wherever memory ends.

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { asDraining, asKeeping, asShared } from "../../bindings/ts/kernel/config.js";
import { Kernel } from "../../bindings/ts/kernel/kernel.js";
import { END_OF_INPUT, type Operator } from "../../bindings/ts/kernel/operator.js";
import type { ResidentBatch } from "../../bindings/ts/kernel/resident.js";
import {
  bool,
  type DataType,
  dictionary,
  int16,
  int32,
  int64,
  utf8,
} from "../../bindings/ts/type/data-type.js";
import type { Value } from "../../twin/values.js";
import { AggregateFault } from "../abi/operator.js";
import {
  BUILDS,
  expected,
  multiset,
  openAs,
  pushAll,
  type Query,
  rowsOf,
  slice,
  type Table,
} from "./testing.js";
import { failEach, Retries } from "./testing-retries.js";

const coding = (config: Uint8Array) => asKeeping(config, true);
const drained = (config: Uint8Array) => asDraining(coding(config));
const shared = (config: Uint8Array) => asShared(coding(config));
const openCoding = (kernel: Kernel, query: Query, flags = coding) =>
  openAs(kernel, query, flags, { keepsResults: true });

/** All batches that an operator has now, where they lie. */
function batchesOf(
  operator: Operator,
  maxRows: number,
  maxBytes = 0,
  again = <T>(call: () => T): T => call(),
): ResidentBatch[] {
  const batches: ResidentBatch[] = [];
  for (let more = true; more; ) {
    more = again(() => operator.pullHere(maxRows, maxBytes));
    const batch = operator.takenResident();
    if (batch !== null) batches.push(batch);
  }
  return batches;
}

function ended(operator: Operator, maxRows = 65_536, maxBytes = 0): ResidentBatch[] {
  operator.watermark(END_OF_INPUT);
  return batchesOf(operator, maxRows, maxBytes);
}

const read = (batches: readonly ResidentBatch[]) => rowsOf(batches.map((batch) => batch.toHost()));
const isCoded = (batch: ResidentBatch, column: number) => batch.column(column)!.dictionary !== 0;
const ordinals = (rows: number, value: (row: number) => Value): Value[] =>
  Array.from({ length: rows }, (_, row) => value(row));

/** Keys of each kind, of few values or many; types are those of the columns. */
const KEY_TYPES: readonly DataType[] = [utf8, dictionary(utf8, int16), int32, int64, bool];
function keyValue(type: DataType, draw: number, values: number): Value {
  if (draw % 13 === 5) return null;
  const number = Math.floor(draw / 13) % values;
  if (type.kind === "bool") return number % 2 === 0;
  if (type.kind === "int") return BigInt(number) * 3n - 4n;
  return ["", "a", "é", "\u{1f600}", "a text that takes more than one word"][number] ?? `text ${number}`;
}

const FAULTS = [
  0,
  AggregateFault.NO_DIRECT,
  AggregateFault.NO_DIRECT | AggregateFault.SET_ASIDE,
  AggregateFault.NO_DIRECT | AggregateFault.SET_ASIDE | AggregateFault.TINY_TABLES,
  AggregateFault.HASH_ZERO | AggregateFault.NO_DIRECT,
] as const;

const cases = fc
  .record({
    keys: fc.array(fc.tuple(fc.constantFrom(...KEY_TYPES), fc.constantFrom(1, 2, 9, 60)), {
      minLength: 1,
      maxLength: 4,
    }),
    draws: fc.array(fc.nat({ max: 999_999 }), { maxLength: 260 }),
    faults: fc.constantFrom(...FAULTS),
    cuts: fc.array(fc.integer({ min: 1, max: 90 }), { maxLength: 5 }),
    counts: fc.boolean(),
    maxRows: fc.constantFrom(1, 7, 50, 65_536),
  })
  .map(({ keys, draws, faults, counts, ...how }) => {
    const types = [...keys.map(([type]) => type), int64];
    const columns = keys.map(([type, values], index) =>
      draws.map((draw) => keyValue(type, Math.floor(draw / (11 * index + 1)), values)),
    );
    const table: Table = [...columns, draws.map((draw): Value => (draw % 7 === 0 ? null : BigInt(draw)))];
    const aggregates: Query["aggregates"] = [
      { name: "sum", of: keys.length },
      ...(counts ? [{ name: "count" } as const] : []),
    ];
    return {
      query: { types, keys: keys.map((_, at) => at), aggregates, faults } satisfies Query,
      table,
      ...how,
    };
  });

describe.each(BUILDS)("keys as codes, %s build", (build) => {
  test("are the texts of the twin, however groups are numbered and rows come", async () => {
    const kernel = await Kernel.open({ build });
    const before = kernel.usedBytes;
    let [coded, plain] = [0, 0];
    fc.assert(
      fc.property(cases, fc.constantFrom(coding, drained), ({ query, table, cuts, maxRows }, flags) => {
        const operator = openCoding(kernel, query, flags);
        pushAll(operator, query, table, [20, ...cuts]);
        const batches = ended(operator, maxRows);
        expect(multiset(read(batches))).toEqual(multiset(expected(query, table)));
        for (const batch of batches) {
          for (const [at, column] of query.keys.entries()) {
            if (query.types[column] !== utf8 && query.types[column]!.kind !== "dictionary") continue;
            if (isCoded(batch, at)) coded++;
            else plain++;
          }
          batch.free();
        }
        operator.destroy();
        expect(kernel.usedBytes).toBe(before);
      }),
      { numRuns: 300 },
    );
    expect(Math.min(coded, plain)).toBeGreaterThan(30);
  });

  test("come where there are twice as many rows as texts, in all batches or none", async () => {
    const kernel = await Kernel.open({ build });
    const [rows, texts] = [600, 300];
    const types = [utf8, int32, utf8];
    for (const faults of FAULTS) {
      for (const [many, isFew] of [
        [rows, true],
        [rows - 1, false],
      ] as const) {
        const table: Table = [
          ordinals(many, (row) => `text ${row % texts}`),
          ordinals(many, (row) => BigInt(row >= texts ? 1 : 0)),
          ordinals(many, (row) => `of its own ${row}`),
        ];
        for (const [keys, codes] of [
          [
            [0, 1],
            [isFew, false],
          ],
          [
            [0, 2],
            [isFew, false],
          ],
          [[0], [false]],
        ] as const) {
          const query: Query = { types, keys, aggregates: [{ name: "count" }], faults };
          const operator = openCoding(kernel, query);
          pushAll(operator, query, table);
          const batches = ended(operator, 64);
          expect(batches.length).toBeGreaterThan(3);
          for (const batch of batches) expect(codes.map((_, at) => isCoded(batch, at))).toEqual(codes);
          expect(multiset(read(batches))).toEqual(multiset(expected(query, table)));
          for (const batch of batches) batch.free();
          operator.destroy();
        }
      }
    }
  });

  test("do not leave where nobody has asked for them, nor in states", async () => {
    const kernel = await Kernel.open({ build });
    const table: Table = [ordinals(300, (row) => `text ${row % 3}`), ordinals(300, (row) => BigInt(row))];
    const query: Query = { types: [utf8, int32], keys: [0, 1], aggregates: [] };
    const operator = openCoding(kernel, query, asKeeping);
    pushAll(operator, query, table);
    for (const batch of ended(operator)) {
      expect(isCoded(batch, 0)).toBe(false);
      batch.free();
    }
    operator.destroy();
    const saved = openCoding(kernel, query);
    pushAll(saved, query, table);
    const restored = openCoding(kernel, query);
    for (const state of saved.snapshot(50)) restored.merge(state);
    const batches = ended(restored);
    expect(isCoded(batches[0]!, 0)).toBe(true);
    expect(multiset(read(batches))).toEqual(multiset(expected(query, table)));
    for (const batch of batches) batch.free();
    for (const one of [saved, restored]) one.destroy();
  });

  test("take no room of a batch's texts", async () => {
    const kernel = await Kernel.open({ build });
    const long = "long ".repeat(40);
    const table: Table = [
      ordinals(500, (row) => `${long}${row % 5}`),
      ordinals(500, (row) => BigInt(row)),
      ordinals(500, (row) => `${row}`.padStart(10)),
    ];
    const query: Query = { types: [utf8, int32, utf8], keys: [0, 1], aggregates: [{ name: "min", of: 2 }] };
    for (const [flags, rows] of [
      [coding, [100, 100, 100, 100, 100]],
      [asKeeping, Array.from({ length: 125 }, () => 4)],
    ] as const) {
      const operator = openCoding(kernel, query, flags);
      pushAll(operator, query, table);
      const batches = ended(operator, 65_536, 1000);
      expect(batches.map((batch) => batch.rows)).toEqual(rows);
      expect(multiset(read(batches))).toEqual(multiset(expected(query, table)));
      for (const batch of batches) batch.free();
      operator.destroy();
    }
  });

  test("of parts of others follow the texts that come with them", async () => {
    const kernel = await Kernel.open({ build });
    const before = kernel.usedBytes;
    const parts = 256;
    let coded = 0;
    for (const [values, type] of [
      [4, utf8],
      [150, utf8],
      [150, dictionary(utf8, int16)],
    ] as const) {
      const rows = 1500;
      const table: Table = [
        ordinals(rows, (row) => (row % 19 === 3 ? null : `text ${(row * 7) % values}`)),
        ordinals(rows, (row) => (row % 17 === 3 ? null : BigInt((row * 7) % 511) * 10n ** 12n)),
      ];
      const query: Query = {
        types: [type, int64],
        keys: [0, 1],
        aggregates: [{ name: "count" }],
        faults: AggregateFault.SET_ASIDE | AggregateFault.NO_DIRECT | AggregateFault.TINY_TABLES,
      };
      const sources = [0, 1, 2].map((third) => {
        const source = openCoding(kernel, query, shared);
        pushAll(source, query, slice(table, (third * rows) / 3, ((third + 1) * rows) / 3), [50]);
        source.divide(parts);
        return source;
      });
      for (const maxRows of [7, 65_536]) {
        const target = openCoding(kernel, query, drained);
        const batches: ResidentBatch[] = [];
        for (let part = 0; part < parts; part++) {
          for (const source of sources) target.combinePart(source, part);
          batches.push(...batchesOf(target, maxRows));
        }
        batches.push(...ended(target, maxRows));
        coded += batches.filter((batch) => isCoded(batch, 0)).length;
        expect(multiset(read(batches))).toEqual(multiset(expected(query, table)));
        for (const batch of batches) batch.free();
        target.destroy();
      }
      for (const source of sources) source.destroy();
      expect(kernel.usedBytes).toBe(before);
    }
    expect(coded).toBeGreaterThan(10);
  });

  test("of readers are dictionaries of their own, that go with them", async () => {
    const kernel = await Kernel.open({ build });
    const before = kernel.usedBytes;
    for (const faults of [0, AggregateFault.NO_DIRECT]) {
      const query: Query = { types: [utf8, int32], keys: [0, 1], aggregates: [{ name: "count" }], faults };
      const table: Table = [ordinals(500, (row) => `text ${row % 5}`), ordinals(500, (row) => BigInt(row))];
      const owner = openCoding(kernel, query);
      pushAll(owner, query, table);
      owner.watermark(END_OF_INPUT);
      owner.pullHere(100, 0);
      const first = owner.takenResident()!;
      const readers = [0, 1].map(() => openCoding(kernel, query));
      for (const [part, reader] of readers.entries()) expect(reader.shareResults(owner, part, 2)).toBe(true);
      const given = readers.map((reader) => batchesOf(reader, 64));
      // Where numbers are computed all groups may be in one half of them.
      const having = [[first], ...given].filter((batches) => batches.length > 0);
      const dictionaries = having.map(([batch]) => batch!.column(0)!.dictionary);
      expect(new Set([0, ...dictionaries]).size).toBe(1 + having.length);
      expect(multiset(read([first, ...given.flat()]))).toEqual(multiset(expected(query, table)));
      for (const batch of [first, ...given.flat()]) batch.free();
      for (const one of [...readers, owner]) one.destroy();
      expect(kernel.usedBytes).toBe(before);
    }
  });

  test.each(FAULTS)(
    "faults %i: where an allocation fails the pull is made again, by codes or by texts",
    async (faults) => {
      const kernel = await Kernel.open({ build });
      const before = kernel.usedBytes;
      const table: Table = [
        ordinals(400, (row) => (row % 17 === 3 ? null : `text ${row % 40}`)),
        ordinals(400, (row) => (row % 19 === 5 ? null : BigInt((row * 7) % 50))),
        ordinals(400, (row) => `a text to be copied ${row % 3}`),
      ];
      const query: Query = {
        types: [utf8, int64, utf8],
        keys: [2, 0, 1],
        aggregates: [{ name: "count" }],
        faults,
      };
      const rows = multiset(expected(query, table));
      const seen = new Set<boolean>();
      const story = (nth: number): void => {
        kernel.failAllocation(0);
        const operator = openCoding(kernel, query, drained);
        pushAll(operator, query, table);
        operator.watermark(END_OF_INPUT);
        const retries = new Retries(kernel);
        kernel.failAllocation((nth | 0x8000_0000) >>> 0);
        const batches = batchesOf(operator, 60, 0, retries.again);
        expect([nth, multiset(read(batches))]).toEqual([nth, rows]);
        for (const batch of batches) {
          seen.add(isCoded(batch, 0));
          batch.free();
        }
        operator.destroy();
        expect(kernel.usedBytes).toBe(before);
      };
      failEach(kernel, 1, 1, story);
      expect([...seen].sort()).toEqual([false, true]);
    },
  );
});
