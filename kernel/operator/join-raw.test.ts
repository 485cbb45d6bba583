// Joins of batches that our own host never makes: short texts at the very end of the memory, of which no word more can be
// read, and codes of a dictionary that has no number to be known by.

import { beforeAll, describe, expect, test } from "vitest";
import { encodeJoinConfig } from "../../bindings/ts/kernel/config.js";
import { ProgramBuilder } from "../../bindings/ts/kernel/program.js";
import { Batch, Column, ColumnFlag, Type } from "../abi/layout.js";
import { JoinType, OperatorKind } from "../abi/operator.js";
import { Status } from "../abi/status.js";
import { compileBuild, END, place, RAW_BUILDS, Raw, writeConfig } from "./testing-raw.js";

const TEXTS = ["a", "bc", "def", "the end"];
const ROWS = 64;

function loads(types: readonly Type[]): Uint8Array {
  const builder = new ProgramBuilder();
  for (const type of types) builder.output(builder.load(builder.column(type)));
  return builder.encode();
}

describe.each(RAW_BUILDS)("batches of another host, %s build", (_build, file, shared, base) => {
  let raw: Raw;
  beforeAll(async () => {
    raw = new Raw(await compileBuild(file), shared, base);
  });

  /**
   * A batch whose columns are texts, the first of which lies at the end of the memory: as they are, or as codes of a
   * dictionary with that number.
   */
  function texts(rows: number, dictionary: number | null): number {
    const length = dictionary === null ? rows : TEXTS.length;
    const values = Array.from({ length }, (_, row) => TEXTS[row % TEXTS.length]!);
    const offsets = new Int32Array(length + 1);
    values.forEach((text, row) => {
      offsets[row + 1] = offsets[row]! + text.length;
    });
    const descriptors = new Uint8Array(2 * Column.SIZE);
    const view = new DataView(descriptors.buffer);
    const part = (column: number, field: Column, sizeField: Column, bytes: Uint8Array) => {
      view.setUint32(column * Column.SIZE + sizeField, bytes.length, true);
      return { bytes, set: (at: number) => view.setUint32(column * Column.SIZE + field, at, true) };
    };
    const own = dictionary === null ? 0 : 1;
    view.setUint32(own * Column.SIZE + Column.TYPE, Type.BYTES, true);
    view.setUint32(own * Column.SIZE + Column.LENGTH, length, true);
    const parts = [
      part(own, Column.VALUES, Column.VALUES_BYTES, new TextEncoder().encode(values.join(""))),
      part(own, Column.OFFSETS, Column.OFFSETS_BYTES, new Uint8Array(offsets.buffer)),
    ];
    if (dictionary !== null) {
      view.setUint32(Column.TYPE, Type.I8, true);
      view.setUint32(Column.LENGTH, rows, true);
      view.setUint32(Column.FLAGS, ColumnFlag.DICTIONARY, true);
      view.setUint32(Column.DICTIONARY_ID, dictionary, true);
      const codes = Uint8Array.from({ length: rows }, (_, row) => row % TEXTS.length);
      parts.push(part(0, Column.VALUES, Column.VALUES_BYTES, codes));
    }
    return place(raw, descriptors, parts, rows, 1, (at) => {
      if (dictionary !== null) view.setUint32(Column.DICTIONARY, at + Column.SIZE, true);
    });
  }

  /** The texts of a column of results. */
  function textsOf(column: number, rows: number): string[] {
    const { view } = raw;
    const areCodes = (view.getUint32(column + Column.FLAGS, true) & ColumnFlag.DICTIONARY) !== 0;
    const codes = view.getUint32(column + Column.VALUES, true);
    const texts = areCodes ? view.getUint32(column + Column.DICTIONARY, true) : column;
    const [offsets, bytes] = [Column.OFFSETS, Column.VALUES].map((field) =>
      view.getUint32(texts + field, true),
    );
    return Array.from({ length: rows }, (_, row) => {
      const at = areCodes ? view.getUint32(codes + 4 * row, true) : row;
      const [start, end] = [0, 4].map((next) => view.getUint32(offsets! + 4 * at + next, true));
      return new TextDecoder().decode(raw.bytes.slice(bytes! + start!, bytes! + end!));
    });
  }

  /** The left side's texts of a join of equal ones, beside which the right side's leave, and whether they left as codes. */
  function joined(dictionary: number | null): { texts: string[]; areCodes: boolean } {
    const { out, view } = raw;
    const config = encodeJoinConfig({
      type: JoinType.INNER,
      keys: 1,
      left: loads([Type.BYTES]),
      right: loads([Type.BYTES]),
      outputs: [0, 1].map((port) => ({ port, output: 0 })),
      buildFirst: true,
      keepResults: true,
      keepCodes: true,
    });
    const handle =
      raw.call("op_create", raw.context, OperatorKind.JOIN, writeConfig(raw, config), config.length) >>> 0;
    expect(raw.status("op_push", handle, 1, texts(TEXTS.length, null))).toBe(Status.NEED_INPUT);
    expect(raw.status("op_watermark", handle, 1, END)).toBe(Status.HAS_MORE);
    expect(raw.status("op_pull", handle, out, ROWS, 0)).toBe(Status.NEED_INPUT);
    expect(raw.status("op_push", handle, 0, texts(ROWS, dictionary))).toBe(Status.HAS_MORE);
    expect(raw.status("op_pull", handle, out, ROWS, 0)).toBe(Status.NEED_INPUT);
    const rows = view.getUint32(out + Batch.ROWS, true);
    const left = view.getUint32(out + Batch.DESCRIPTORS, true);
    const areCodes = (view.getUint32(left + Column.FLAGS, true) & ColumnFlag.DICTIONARY) !== 0;
    const [found, kept] = [0, 1].map((side) => textsOf(left + side * Column.SIZE, rows));
    expect(kept).toEqual(found);
    expect(raw.status("op_destroy", handle)).toBe(0);
    return { texts: found!, areCodes };
  }

  const wanted = Array.from({ length: ROWS }, (_, row) => TEXTS[row % TEXTS.length]!);

  test("short texts at the end of the memory", () => {
    expect(joined(null)).toEqual({ texts: wanted, areCodes: false });
  });

  test("codes of a dictionary leave as such where it has a number", () => {
    expect(joined(7)).toEqual({ texts: wanted, areCodes: true });
    expect(joined(0)).toEqual({ texts: wanted, areCodes: false });
  });
});
