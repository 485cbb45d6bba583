// Checkpoints as bytes, where what is saved is made up. Streams that are saved: test/checkpoint.test.ts.

import { Field as ArrowField, Time as ArrowTime, Struct } from "apache-arrow";
import { describe, expect, it } from "vitest";
import { writeBatch, writeColumn } from "../../../twin/values.js";
import { fromArrowSchema } from "../arrow/type.js";
import type { BatchData } from "../type/column.js";
import { type Field, float64, int64, list, timestamp, utf8 } from "../type/data-type.js";
import { CorruptStateError, MalformedArrowError } from "../type/error.js";
import { checkPending, parseCheckpoint, writeCheckpoint } from "./checkpoint.js";

const FIELDS: readonly Field[] = [
  { name: "text", type: utf8, nullable: false },
  { name: "value", type: int64, nullable: false },
];
const SCHEMA = { fields: FIELDS };
const batch = writeBatch(FIELDS, [
  ["a", 1n],
  ["twenty-one bytes long", 2n],
  ["", 3n],
]);

/** Three lists of three integers, which begin and end there. */
function listsOf(ends: readonly number[]): BatchData {
  const items = writeColumn(int64, [1n, 2n, 3n]);
  const type = list(int64);
  const offsets = new Uint8Array(Int32Array.from(ends).buffer);
  const none = { offset: 0, nullCount: 0, validity: null, values: new Uint8Array(0), dictionary: null };
  const column = { ...none, type, length: 3, offsets, items };
  return { schema: { fields: [{ name: "list", type, nullable: false }] }, length: 3, columns: [column] };
}

function saved(pending: BatchData): Uint8Array {
  const counts = { rowsIn: 3, batchesIn: 1, rowsOut: 3, batchesOut: 1, backwardWatermarks: 0 };
  const none = { lateRows: 0, partlyLateRows: 0, nullTimes: 0 };
  return writeCheckpoint({
    plan: [],
    sources: [],
    counts,
    ended: true,
    ...none,
    chains: [],
    pending: [pending],
  });
}

describe("results that nobody has been handed", () => {
  it("come back as they were", () => {
    const [restored] = parseCheckpoint(saved(batch)).pending;
    expect(restored!.columns.map(({ values }) => [...values.subarray(0, 4)])).toEqual(
      batch.columns.map(({ values }) => [...values.subarray(0, 4)]),
    );
    expect(restored!.length).toBe(3);
    checkPending([restored!], SCHEMA);
  });

  it("are refused where they are more than the run has counted, also of no columns", () => {
    const none = { schema: { fields: [] }, columns: [] };
    expect(parseCheckpoint(saved({ ...none, length: 3 })).pending[0]!.length).toBe(3);
    for (const length of [4, 2 ** 31 - 1])
      expect(() => parseCheckpoint(saved({ ...none, length }))).toThrow(/more results than it counts/);
  });

  it("are refused where the plan gives other columns", () => {
    const { pending } = parseCheckpoint(saved(batch));
    for (const type of [utf8, float64, timestamp("us")]) {
      const fields = [FIELDS[0]!, { ...FIELDS[1]!, type }];
      expect(() => checkPending(pending, { fields })).toThrow(CorruptStateError);
    }
  });

  it("are refused where a column that is carried along has a child without a type", () => {
    const type = new Struct([new ArrowField("x", undefined as never)]);
    const schemaOf = () => fromArrowSchema({ fields: [{ name: "text", nullable: false, type }] } as never);
    expect(() => checkPending([{ schema: schemaOf(), length: 0, columns: [] }], SCHEMA)).toThrow(
      /have no types/,
    );
  });

  it("are refused where a column of times has a unit that there is not", () => {
    const type = new ArrowTime(7 as never, 64);
    const schemaOf = () => fromArrowSchema({ fields: [{ name: "text", nullable: false, type }] } as never);
    expect(() => checkPending([{ schema: schemaOf(), length: 0, columns: [] }], SCHEMA)).toThrow(
      MalformedArrowError,
    );
  });

  it("are refused where lists lie outside their items", () => {
    const lists = listsOf([0, 2, 2, 3]);
    const { pending } = parseCheckpoint(saved(lists));
    checkPending(pending, lists.schema);
    for (const ends of [
      [0, 9, 9, 9],
      [0, 2, 1, 3],
      [-1, 2, 2, 3],
      [0, 2, 2, 4],
    ]) {
      const forged = parseCheckpoint(saved(listsOf(ends))).pending;
      expect(() => checkPending(forged, lists.schema)).toThrow(/column "list"/);
    }
  });

  it("are refused where a buffer does not hold their rows", () => {
    const [texts, values] = batch.columns as [BatchData["columns"][0], BatchData["columns"][0]];
    const short = { ...values, values: values.values.subarray(0, 16) };
    expect(() =>
      checkPending(parseCheckpoint(saved({ ...batch, columns: [texts, short] })).pending, SCHEMA),
    ).toThrow(MalformedArrowError);
    const cut = { ...texts, values: texts.values.subarray(0, 2) };
    expect(() =>
      checkPending(parseCheckpoint(saved({ ...batch, columns: [cut, values] })).pending, SCHEMA),
    ).toThrow(/column "text".*row 1.*runs past the end/);
  });
});
