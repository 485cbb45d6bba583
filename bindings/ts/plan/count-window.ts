// Windows of so many rows a key: `countWindow({ by: "sensor", orderBy: "ts", size: 10, slide: 5 }, { mean: avg("x") })`.
//
// A window is the frame of its last row: the window functions of `over` compute it, and the rows that end one are kept.
// So state is the last rows of each key, and a window leaves as soon as its last row does.
//
// The number of a row divided by the size, as a key of an aggregation, would compute one result a window rather than
// one a row, but every window ever begun would stay until the end of input.

import { ArgumentError, PlanError } from "../type/error.js";
import type { Aggregate } from "./aggregate.js";
import { col, type Expression, lit, type Operand } from "./expression.js";
import { firstValue, rowNumber, type WindowFunction } from "./over.js";

export interface CountWindowOptions<Names extends string = string, Key = unknown> {
  /** Rows with equal values of these columns are counted together; left out, all rows are. Nulls are equal. */
  readonly by?: Names | readonly Names[];
  /**
   * The column that says which rows come first: a name (ascending), `asc(name)` or `desc(name)`; ties go by all other
   * columns.
   */
  readonly orderBy: Key;
  /** Rows of a window. */
  readonly size: number;
  /** A window begins at every `slide`-th row of a key: `size`, one after the other, when left out. */
  readonly slide?: number;
}

/** What `over`, `where` and `select` make of it. */
export interface CountWindowSteps {
  readonly rows: readonly [number, 0];
  readonly functions: Readonly<Record<string, Aggregate | WindowFunction>>;
  readonly ends: Expression;
  readonly columns: Readonly<Record<string, Operand>>;
}

/** Most rows of a window, as of a frame. */
const MOST = 2 ** 31;

/** @throws ArgumentError or PlanError. */
export function countWindowSteps(
  by: readonly string[],
  orderBy: string,
  size: number,
  slide: number,
  aggregates: Readonly<Record<string, Aggregate>>,
): CountWindowSteps {
  checkCount("size", size);
  checkCount("slide", slide);
  const names = Object.keys(aggregates);
  if (names.length === 0) throw new PlanError("countWindow takes at least one aggregate");
  const columns: Record<string, Operand> = {};
  for (const name of by) columns[name] = col(name);
  const add = (name: string, value: Operand) => {
    if (name in columns) {
      throw new PlanError(`countWindow: two columns "${name}"`, { column: name });
    }
    columns[name] = value;
  };
  add("window_start", col(inner("window_start")));
  add("window_end", col(orderBy));
  for (const name of names) add(name, col(inner(name)));
  const number = inner("number");
  return {
    rows: [1 - size, 0],
    functions: {
      ...Object.fromEntries(names.map((name) => [inner(name), aggregates[name]!])),
      [inner("window_start")]: firstValue(orderBy),
      [number]: rowNumber(),
    },
    ends: col(number)
      .ge(size)
      .and(
        col(number)
          .sub(lit(BigInt(size)))
          .mod(lit(BigInt(slide)))
          .eq(0),
      ),
    columns,
  };
}

/** Beside any column of the rows. */
function inner(name: string): string {
  return `${name} of count window`;
}

function checkCount(what: string, value: number): void {
  if (Number.isSafeInteger(value) && value >= 1 && value <= MOST) return;
  throw new ArgumentError(`countWindow: ${what} is a number of rows, not ${String(value)}`, {
    value,
    expected: "a whole number from 1 on",
  });
}
