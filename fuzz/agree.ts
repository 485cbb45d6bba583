// Whether a plan gives the twin's rows in every way that it is run.

import { inspect } from "node:util";
import { MillraceError, OverflowError, PlanError } from "../bindings/ts/index.js";
import { bind } from "../bindings/ts/plan/index.js";
import { type BoundPlan, boundInputs } from "../bindings/ts/plan/logical.js";
import { isCarried } from "../bindings/ts/type/data-type.js";
import { ArgumentError, CastError, KernelTrapError, MemoryLimitError } from "../bindings/ts/type/error.js";
import { fingerprint, inOrder } from "../test/testing-result.js";
import { TwinOverflow } from "../twin/aggregate.js";
import { isOrdered, runPlan, type TwinResult } from "../twin/plan.js";
import { type Value, writeBatch } from "../twin/values.js";
import { Disagreement, type Engines } from "./engines.js";
import { NO_FAULTS } from "./faulty-kernel.js";
import type { PlanCase } from "./plan.js";
import { runWay, type Way } from "./way.js";

/** Results of joins past this are not held against the twin, which would take minutes. */
const MOST_ROWS = 20_000;
/** A million rows of such a result in batches of one would take minutes, too. */
const BATCH_ROWS = 64;

/** What became of a case: compared with so many ways, or not at all because the twin gives an error. */
export interface Verdict {
  readonly compared: number;
  readonly refused: number;
  /** Ways whose small memory did not do, spilling or not. */
  readonly short: number;
  readonly failing: boolean;
}

/**
 * Runs a case in all ways.
 * @throws Disagreement with what differs
 */
export async function agree(engines: Engines, one: PlanCase, ways: readonly Way[]): Promise<Verdict> {
  const { want, show, isLarge } = expected(one);
  let [compared, refused, short] = [0, 0, 0];
  for (const drawn of ways) {
    const way = isLarge ? { ...drawn, batchRows: Math.max(drawn.batchRows, BATCH_ROWS) } : drawn;
    const got = await attempt(engines, one, way);
    engines.checkIdle();
    if (got instanceof MemoryLimitError && way.spill !== null && way.spill.room !== null) {
      short++;
      continue;
    }
    if (got instanceof MemoryLimitError) throw failure(way, got);
    if (got === null || isRefusal(got)) {
      refused++;
      // What a batch over plain tables refuses, binding would have refused.
      if (got instanceof Error && way.mode === "collect" && way.retracted === null) throw failure(way, got);
      continue;
    }
    if (got instanceof Error) {
      const isIntermediate = way.mode === "update" || way.retracted !== null;
      // A row that is taken back later may have no value where those that are left have one.
      const isOfARow = got instanceof OverflowError || got instanceof CastError;
      if (want === null || isNearEnd(got) || (isIntermediate && isOfARow)) continue;
      throw failure(way, got);
    }
    if (want === null) continue;
    compared++;
    const rows = show(got);
    if (rows.length === want.length && rows.every((row, at) => row === want[at])) continue;
    throw new Disagreement(`${shown(way)}\n${difference(want, rows)}`);
  }
  return { compared, refused, short, failing: want === null };
}

/** What a case must give, by the twin. */
export interface Expected {
  /** Rows as texts; null where nobody can say. */
  readonly want: readonly string[] | null;
  readonly show: (rows: readonly (readonly Value[])[]) => string[];
  /** More rows than are compared. */
  readonly isLarge: boolean;
}

/** The plan of a case, bound to its tables. */
export function boundCase({ plan, tables }: PlanCase): BoundPlan {
  const schemas = Object.entries(tables).map(([name, { columns }]) => [name, { fields: columns }]);
  return bind({ node: plan }, Object.fromEntries(schemas));
}

export function expected(one: PlanCase): Expected {
  const bound = boundCase(one);
  const batches = Object.fromEntries(
    Object.entries(one.tables).map(([name, { columns, rows }]) => [name, [writeBatch(columns, rows)]]),
  );
  const twin = outcome(() => runPlan(bound, batches));
  const ordersLists = orders(bound, ({ input }) => input.schema.fields.some(({ type }) => isCarried(type)));
  const show = isOrdered(bound) && !ordersLists ? inOrder : fingerprint;
  // Which of rows that differ in lists only come first is nobody's to say, and which a limit keeps.
  const isOpen = ordersLists && orders(bound, ({ kind }) => kind === "limit");
  const isLarge = twin !== "error" && twin.rows.length > MOST_ROWS;
  const want = twin === "error" || isOpen || isLarge ? null : show(twin.rows);
  return { want, show, isLarge };
}

async function attempt(
  engines: Engines,
  one: PlanCase,
  way: Way,
): Promise<Awaited<ReturnType<typeof runWay>> | Error> {
  const faulty = await engines.at(way);
  faulty.faults = way.faults;
  try {
    return await runWay(faulty, one, way);
  } catch (error) {
    if (!(error instanceof MillraceError) || error instanceof KernelTrapError) throw failure(way, error);
    return error;
  } finally {
    faulty.faults = NO_FAULTS;
  }
}

type Ordering = Extract<BoundPlan, { kind: "sort" | "limit" }>;

/** Whether any sort or limit of the plan is like that. */
function orders(plan: BoundPlan, is: (node: Ordering) => boolean): boolean {
  if ((plan.kind === "sort" || plan.kind === "limit") && is(plan)) return true;
  return boundInputs(plan).some((input) => orders(input, is));
}

/** Windows may refuse times a little before their bounds would not fit 64 bits. */
function isNearEnd(got: Error): boolean {
  return got instanceof OverflowError && got.message.includes("so near the end of its type");
}

/** Whether an error is about the plan and how it is run, and not about a row. */
function isRefusal(got: unknown): boolean {
  return got instanceof PlanError || (got instanceof ArgumentError && got.row === undefined);
}

function outcome(run: () => TwinResult): TwinResult | "error" {
  try {
    return run();
  } catch (error) {
    if (error instanceof TwinOverflow || error instanceof OverflowError || error instanceof CastError)
      return "error";
    // A null time.
    if (error instanceof RangeError) return "error";
    throw error;
  }
}

function failure(way: Way, error: unknown): Disagreement {
  return new Disagreement(`${shown(way)}\n${inspect(error)}`, {
    cause: error,
  });
}

function shown(way: Way): string {
  return `run so: ${JSON.stringify(way)}`;
}

/** The first rows that only one side has. */
function difference(want: readonly string[], got: readonly string[]): string {
  const minus = (a: readonly string[], b: readonly string[]) => {
    const left = new Map<string, number>();
    for (const row of b) left.set(row, (left.get(row) ?? 0) + 1);
    return a.filter((row) => {
      const times = left.get(row) ?? 0;
      left.set(row, times - 1);
      return times <= 0;
    });
  };
  const lines = (rows: readonly string[]) =>
    rows
      .slice(0, 5)
      .map((row) => `  ${row.slice(0, 1000)}`)
      .join("\n");
  const [missing, extra] = [minus(want, got), minus(got, want)];
  if (missing.length + extra.length === 0) return `the order differs:\n${lines(want)}\ngot\n${lines(got)}`;
  return `${want.length} rows wanted, ${got.length} given\nmissing (${missing.length}):\n${lines(missing)}\nnot wanted (${extra.length}):\n${lines(extra)}`;
}
