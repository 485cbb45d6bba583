import * as arrow from "apache-arrow";
import { describe, expect, test } from "vitest";
import { MalformedArrowError, MillraceError } from "../type/error.js";
import { fromArrow } from "./from-arrow.js";
import { checkIpc } from "./ipc-check.js";

const point = new arrow.Struct([
  new arrow.Field("x", new arrow.Int32(), true),
  new arrow.Field("y", new arrow.List(new arrow.Field("item", new arrow.Utf8(), true)), true),
]);
const table = new arrow.Table({
  n: arrow.vectorFromArray([1, 2, null, 4], new arrow.Int32()),
  s: arrow.vectorFromArray(["a", "b", "a", null], new arrow.Dictionary(new arrow.Utf8(), new arrow.Int8())),
  p: arrow.vectorFromArray([{ x: 1, y: ["u", "v"] }, null, { x: 3, y: [] }, { x: null, y: null }], point),
  t: arrow.vectorFromArray([1, 2, 3, 4], new arrow.TimestampMicrosecond("Europe/Berlin")),
});

describe.each(["file", "stream"] as const)("metadata of a %s", (format) => {
  const bytes = arrow.tableToIPC(table, format);

  test("pass as they are", () => {
    expect(() => checkIpc(bytes)).not.toThrow();
    expect(fromArrow(bytes).batches[0]!.length).toBe(4);
  });

  test("that ask for too much are refused before memory is taken", () => {
    let refused = 0;
    const copy = bytes.slice();
    const view = new DataView(copy.buffer);
    for (let at = 0; at + 4 <= copy.length; at += 4) {
      for (const word of [0x7ffffff0, 0x00ffffff, 0xff63ffff]) {
        view.setUint32(at, word, true);
        try {
          fromArrow(copy);
        } catch (error) {
          expect(error).toBeInstanceOf(MillraceError);
          if (error instanceof MalformedArrowError && /contradict themselves/.test(error.message)) refused++;
        }
        copy.set(bytes.subarray(at, at + 4), at);
      }
    }
    expect(refused).toBeGreaterThan(50);
  });

  test("are checked behind a message that says it has a body it has not", () => {
    const copy = bytes.slice();
    const view = new DataView(copy.buffer);
    const put = (at: number, word: number) => view.setUint32(at, word, true);
    const reset = (at: number) => copy.set(bytes.subarray(at, at + 4), at);
    const contradicts = () => {
      try {
        checkIpc(copy);
        return false;
      } catch (error) {
        expect(error).toBeInstanceOf(MalformedArrowError);
        return true;
      }
    };
    const words = Array.from({ length: copy.length >> 2 }, (_, word) => 4 * word);
    const asking = words.filter((at) => {
      put(at, 0x7ffffff0);
      const refused = contradicts();
      reset(at);
      return refused;
    });
    // The first message tells of the columns, and never has a body.
    const start = format === "file" ? 8 : 0;
    const first = start + 8 + view.getInt32(start + 4, true);
    const far = asking.filter((at) => at > first && at < copy.length - 300);
    expect(far.length).toBeGreaterThan(5);
    for (const body of words.filter((at) => at >= start + 8 && at < first)) {
      for (const word of [0x00080000, 0x7ffffff0, 0x80000000]) {
        put(body, word);
        const one = far[(body >> 2) % far.length]!;
        put(one, 0x7ffffff0);
        expect(() => fromArrow(copy)).toThrow(MillraceError);
        reset(one);
        reset(body);
      }
    }
  });

  test("cut off anywhere are an error, or fewer batches", () => {
    for (let length = 0; length < bytes.length; length += 3) {
      try {
        expect(fromArrow(bytes.slice(0, length)).batches.length).toBeLessThanOrEqual(1);
      } catch (error) {
        expect(error).toBeInstanceOf(MillraceError);
      }
    }
  });
});

test("a file without its end, or whose footer lies elsewhere, is refused before apache-arrow reads that for ever", () => {
  const bytes = arrow.tableToIPC(table, "file");
  for (let length = 6; length < bytes.length; length++) {
    expect(() => fromArrow(bytes.slice(0, length))).toThrow(/contradict themselves: .* is cut off/);
  }
  const copy = bytes.slice();
  const view = new DataView(copy.buffer);
  for (const footer of [0, 7, -1, copy.length, copy.length - 17, 2 ** 31 - 1, -(2 ** 31)]) {
    view.setInt32(copy.length - 10, footer, true);
    expect(() => fromArrow(copy)).toThrow(/the footer lies outside the file/);
  }
});

test("a schema whose list of fields ends within one of them is read as apache-arrow reads it", () => {
  const bytes = arrow.tableToIPC(
    new arrow.Table({ s: arrow.vectorFromArray(["a", "", "bc"], new arrow.Utf8()) }),
    "file",
  );
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  const target = (at: number) => at + view.getUint32(at, true);
  const places = (at: number) => at - view.getInt32(at, true);
  const end = bytes.length - 10;
  const footer = target(end - view.getInt32(end, true));
  const schema = target(footer + view.getUint16(places(footer) + 6, true));
  const size = view.getUint16(places(schema), true);
  view.setUint16(places(schema), size + 1, true);
  // What stands there asks for 26 seconds' worth of custom metadata, or more.
  expect(() => checkIpc(bytes)).toThrow(MalformedArrowError);
});
