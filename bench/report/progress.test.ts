import { expect, test } from "vitest";
import { progressOn, rowsText, timeLeftText } from "./progress.js";

test("rows: how many, then how fast and how long", () => {
  expect(rowsText(65_536, 1_000_000, 100)).toBe("65,536 of 1,000,000 rows");
  expect(rowsText(0, 1_000_000, 9000)).toBe("0 of 1,000,000 rows");
  expect(rowsText(2_000_000, 10_000_000, 1000)).toBe(
    "2,000,000 of 10,000,000 rows, 2.00 M rows/s, about 4 s left",
  );
});

test("long times are minutes", () => {
  expect([0, 99_000, 100_000, 3_600_000].map(timeLeftText)).toEqual([
    "about 0 s left",
    "about 99 s left",
    "about 2 min left",
    "about 60 min left",
  ]);
});

test("a line on a terminal is rewritten, and elsewhere nothing is said", () => {
  const said: string[] = [];
  const stream = (isTTY: boolean) =>
    ({ isTTY, columns: 30, write: (text: string) => said.push(text) }) as unknown as NodeJS.WriteStream;
  progressOn(stream(false)).show("x");
  progressOn(stream(true), true).show("x");
  expect(said).toEqual([]);
  progressOn(stream(true)).show("y".repeat(99));
  expect(said.join("")).toBe(`\r\u001b[K${"y".repeat(29)}`);
});
