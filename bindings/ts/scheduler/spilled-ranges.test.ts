// Rows that leave by range, whatever they are and however memory ends: the twin's order.

import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { inOrder } from "../../../test/testing-result.js";
import { sortRows } from "../../../twin/plan.js";
import { readColumn, type Value, writeBatch } from "../../../twin/values.js";
import { Kernel, Operator } from "../kernel/index.js";
import { BUILDS } from "../kernel/testing.js";
import { SpillFolder } from "../spill/index.js";
import { MemoryLimitError } from "../type/error.js";
import { Relief } from "./relief.js";
import { type SortedColumns, sortOperatorFor } from "./sort.js";
import { SpilledSort } from "./spilled-sort.js";
import { CELLS, drawnOrder } from "./testing-order.js";

let directory: string;
let folder: SpillFolder;
beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), "millrace-test-"));
  folder = await SpillFolder.open({ directory });
  Object.assign(folder.faults, { batchRows: BATCH_ROWS, ranges: 3 });
});
afterAll(() => {
  folder.close();
  expect(readdirSync(directory)).toEqual([]);
  rmSync(directory, { recursive: true });
});

type Rows = readonly (readonly Value[])[];

/** Writes each of `fills` from a sort of its own, and reads all of them. */
function spilled(
  kernel: Kernel,
  sorted: SortedColumns,
  fills: readonly Rows[],
  batchRows: number,
  isWritten: () => void,
): Value[][] {
  const relief = new Relief(kernel, folder);
  const sort = new SpilledSort(relief, sorted);
  try {
    for (const rows of fills) {
      const operator = sortOperatorFor(kernel, sorted);
      if (rows.length > 0) operator.push(writeBatch(sorted.schema.fields, rows));
      for (const _ of sort.write(operator));
    }
    relief.release();
    isWritten();
    return [...sort.results(batchRows)].flatMap(({ length, columns }) => {
      const values = columns.map(readColumn);
      return Array.from({ length }, (_, row) => values.map((column) => column[row]!));
    });
  } finally {
    sort.free();
    relief.close();
  }
}

/** Rows of a batch: four of them, and more, make ranges. */
const BATCH_ROWS = 3;

const drawn = fc.array(fc.constantFrom(...CELLS), { minLength: 1, maxLength: 4 }).chain((columns) => {
  const row = fc.tuple(...columns.map(([, cell]) => fc.option(cell)));
  return fc.record({
    types: fc.constant(columns.map(([type]) => type)),
    first: fc.array(row, { minLength: 4 * BATCH_ROWS, maxLength: 80 }),
    others: fc.array(fc.array(row, { maxLength: 60 }), { minLength: 1, maxLength: 4 }),
    by: drawnOrder(columns.length, 1),
    batchRows: fc.constantFrom(1, 7, 65_536),
    failAt: fc.option(fc.nat(30)),
  });
});

describe.each(BUILDS)("%s", async (build) => {
  const kernel = await Kernel.open({ build, budget: "16 MiB" });
  const { blocks } = kernel;
  afterAll(() => expect(kernel.blocks).toBe(blocks));

  it("any rows, and memory that ends now and then", () => {
    let [divided, left, refused, survived] = [0, Number.POSITIVE_INFINITY, 0, 0];
    const { divideBy, tryPull } = Operator.prototype;
    const divides = vi.spyOn(Operator.prototype, "divideBy").mockImplementation(function (
      this: Operator,
      leader,
    ) {
      divided++;
      return divideBy.call(this, leader);
    });
    const pulls = vi.spyOn(Operator.prototype, "tryPull").mockImplementation(function (
      this: Operator,
      ...sizes
    ) {
      if (left-- === 0) {
        refused++;
        throw new MemoryLimitError("made to find no memory");
      }
      return tryPull.apply(this, sizes);
    });
    try {
      fc.assert(
        fc.property(drawn, ({ types, first, others, by, batchRows, failAt }) => {
          const fields = types.map((type, at) => ({ name: `c${at}`, type, nullable: true }));
          const sorted = { schema: { fields }, by, carried: 0 };
          left = Number.POSITIVE_INFINITY;
          const before = refused;
          const got = spilled(kernel, sorted, [first, ...others], batchRows, () => {
            left = failAt ?? left;
          });
          expect(inOrder(got)).toEqual(inOrder(sortRows([...first, ...others.flat()], by)));
          survived += refused - before;
        }),
        { numRuns: 150 },
      );
    } finally {
      divides.mockRestore();
      pulls.mockRestore();
    }
    expect(divided).toBeGreaterThan(100);
    expect(survived).toBeGreaterThan(20);
  });
});
