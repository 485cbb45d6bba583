import { Field, Int32, List, RecordBatch, Schema, Struct, Table, vectorFromArray } from "apache-arrow";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { sortRows } from "../../../twin/plan.js";
import { readColumn, type Value, writeColumn } from "../../../twin/values.js";
import { asc, desc, from } from "../plan/index.js";
import type { BatchData } from "../type/column.js";
import { type DataType, int32, utf8 } from "../type/data-type.js";
import { Engine } from "./engine.js";
import { CELLS, drawnOrder } from "./testing-order.js";
import { Sorter } from "./testing-sorter.js";

const column = fc.constantFrom(...CELLS);

const table = fc.array(column, { minLength: 1, maxLength: 4 }).chain((columns) =>
  fc.record({
    types: fc.constant(columns.map(([type]) => type)),
    rows: fc.array(fc.tuple(...columns.map(([, cell]) => fc.option(cell))), { maxLength: 30 }),
    by: drawnOrder(columns.length, 0),
    split: fc.nat(30),
    offset: fc.nat(5),
  }),
);

function batchOf(types: readonly DataType[], rows: readonly (readonly Value[])[], offset: number): BatchData {
  const fields = types.map((type, at) => ({ name: `c${at}`, type, nullable: true }));
  const columns = types.map((type, at) =>
    writeColumn(
      type,
      rows.map((row) => row[at]!),
      { offset },
    ),
  );
  return { schema: { fields }, length: rows.length, columns };
}

function rowsOf(batch: BatchData): Value[][] {
  const columns = batch.columns.map(readColumn);
  return Array.from({ length: batch.length }, (_, row) => columns.map((values) => values[row]!));
}

describe("the plain sorter", () => {
  it("orders like the twin, however the rows are split", () => {
    fc.assert(
      fc.property(table, ({ types, rows, by, split, offset }) => {
        const sorter = new Sorter(batchOf(types, [], 0).schema, by, null);
        sorter.push(batchOf(types, rows.slice(0, split), offset));
        sorter.push(batchOf(types, rows.slice(split), 0));
        expect(rowsOf(sorter.finish())).toEqual(sortRows(rows, by));
      }),
    );
  });

  it("keeps the right rows when it cuts to a limit on the way", () => {
    const schema = batchOf([int32], [], 0).schema;
    const limit = { count: 3, offset: 2 };
    const sorter = new Sorter(schema, [{ column: 0, descending: true, nullsFirst: false }], limit);
    const values = Array.from({ length: 200_000 }, (_, row) => [BigInt((row * 7919) % 200_000)]);
    for (let at = 0; at < values.length; at += 30_000) {
      sorter.push(batchOf([int32], values.slice(at, at + 30_000), at % 8));
    }
    expect(rowsOf(sorter.finish())).toEqual([[199_997n], [199_996n], [199_995n]]);
  });

  it("gives an empty batch when no rows came or the offset is past them", () => {
    const { schema } = batchOf([utf8, int32], [], 0);
    expect(new Sorter(schema, [], null).finish().length).toBe(0);
    const sorter = new Sorter(schema, [], { count: 5, offset: 9 });
    sorter.push(batchOf([utf8, int32], [["a", 1n]], 0));
    expect(sorter.finish().length).toBe(0);
  });
});

describe("orderBy with columns that the kernel cannot read", () => {
  let engine: Engine;
  beforeAll(async () => {
    engine = await Engine.open({ memory: "256 MiB" });
  });
  afterAll(() => engine.close());

  const list = new List(new Field("item", new Int32(), true));
  const type = new Struct([new Field("k", new Int32(), true), new Field("l", list, true)]);
  const schema = new Schema(type.children);

  /** Rows [from, to): a key with duplicates, and a list that names the row. */
  function batch(from: number, to: number): RecordBatch {
    const rows = Array.from({ length: to - from }, (_, row) => ({
      k: (from + row) % 5 === 0 ? null : ((from + row) * 7919) % 1000,
      l: [from + row, -1],
    }));
    return new RecordBatch(schema, vectorFromArray(rows, type).data[0] as never);
  }

  function rowsOfTable(table: Table): [number | null, number][] {
    return table
      .toArray()
      .map(({ k, l }: { k: number | null; l: { get(at: number): number } }) => [k, l.get(0)]);
  }

  const parts = [batch(0, 700), batch(700, 701), batch(701, 2000)];
  const all = rowsOfTable(new Table(parts));

  it("carries lists along, ties in the order in which they came", async () => {
    const sorted = await engine.collect(from("t").orderBy(desc("k")), { t: new Table(parts) });
    const want = [...all].sort((a, b) => (b[0] ?? -1) - (a[0] ?? -1));
    expect(rowsOfTable(sorted)).toEqual(want);
  });

  it("cuts to a limit on the way", async () => {
    const many = Array.from({ length: 4 }, (_, part) => batch(part * 20_000, (part + 1) * 20_000));
    const plan = from("t").orderBy(asc("k")).limit(40, 5);
    const want = rowsOfTable(new Table(many))
      .sort((a, b) => (a[0] ?? 1e9) - (b[0] ?? 1e9) || a[1] - b[1])
      .slice(5, 45);
    expect(rowsOfTable(await engine.collect(plan, { t: many }))).toEqual(want);
    const streamed: [number | null, number][] = [];
    for await (const one of engine.stream(plan, { t: many })) streamed.push(...rowsOfTable(new Table([one])));
    expect(streamed).toEqual(want);
    expect(engine.stats().usedBytes).toBeLessThan(2 ** 20);
  });
});
