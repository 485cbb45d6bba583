// Keys of groups in a row on their way out (emit-run.ts), of more texts than are copied without being read before.

import { describe, expect, test } from "vitest";
import { asDraining } from "../../bindings/ts/kernel/config.js";
import { Kernel } from "../../bindings/ts/kernel/kernel.js";
import { dictionary, int32, int64, utf8 } from "../../bindings/ts/type/data-type.js";
import type { Value } from "../../twin/values.js";
import { AggregateFault } from "../abi/operator.js";
import { BUILDS, expected, multiset, openAs, pushAll, type Query, rowsOf } from "../operator/testing.js";

const TEXTS = 17_000;
const ROWS = 40_000;

/** Of every length from none to seventy bytes, some of them in characters of several. */
const text = (number: number) =>
  number === 0 ? "" : `${"é".repeat(number % 30)}${number}${"-".repeat(number % 7)}`;

describe.each(BUILDS)("many texts, %s build", (build) => {
  test.each([
    ["texts", utf8, 0],
    ["texts, set aside before they are looked up", utf8, AggregateFault.SET_ASIDE],
    ["dictionaries", dictionary(utf8, int32), 0],
  ])("%s leave as the twin has them", async (_, type, faults) => {
    const kernel = await Kernel.open({ build });
    const numbers = Array.from({ length: ROWS }, (_, row) => (row * 7919) % TEXTS);
    const table: Value[][] = [
      numbers.map((number, row) => (row % 9001 === 9000 ? null : text(number))),
      numbers.map((_, row) => BigInt(row % 3) << 40n),
    ];
    const query: Query = {
      types: [type, int64],
      keys: [0, 1],
      aggregates: [{ name: "count" }],
      faults: AggregateFault.NO_DIRECT | faults,
    };
    const wanted = multiset(expected(query, table));
    for (const maxRows of [1000, 65_536]) {
      const operator = openAs(kernel, query, asDraining);
      pushAll(operator, query, table, [ROWS]);
      expect(multiset(rowsOf(operator.finish(maxRows)))).toEqual(wanted);
      operator.destroy();
    }
    kernel.close();
  });
});
