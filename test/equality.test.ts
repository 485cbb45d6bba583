// The promise, tested whole: the same rows give the same result bit for bit, whatever the mode, the batch
// sizes, the order of arrival, the encoding of columns, the build, or where the data lies; and it is the
// result that the naive twin computes.

import fc from "fast-check";
import { afterAll, beforeAll, expect, it } from "vitest";
import {
  any,
  approxCountDistinct,
  approxMedian,
  approxQuantile,
  argMax,
  argMin,
  arrayAgg,
  asc,
  avg,
  bitAnd,
  bitOr,
  bitXor,
  bool,
  boolAnd,
  boolOr,
  bottomK,
  col,
  corr,
  count,
  countDistinct,
  covar,
  covarPop,
  cube,
  cumulate,
  type DataType,
  date32,
  date64,
  decimal,
  desc,
  dictionary,
  Engine,
  first,
  float32,
  float64,
  from,
  global,
  grouping,
  groupingSets,
  hop,
  int8,
  int16,
  int32,
  int64,
  kurtosis,
  kurtosisPop,
  last,
  max,
  median,
  min,
  mode,
  type Plan,
  quantile,
  quantileDisc,
  rollup,
  type StreamOptions,
  session,
  skewness,
  stddev,
  stddevPop,
  stringAgg,
  sum,
  timestamp,
  topK,
  tumble,
  uint8,
  uint16,
  uint32,
  uint64,
  utf8,
  variance,
  varPop,
  type Window,
  type WindowSize,
} from "../bindings/ts/index.js";
import { BUILDS } from "../bindings/ts/kernel/testing.js";
import { bind } from "../bindings/ts/plan/index.js";
import type { BatchData } from "../bindings/ts/type/column.js";
import { runPlan } from "../twin/plan.js";
import { type Value, writeBatch } from "../twin/values.js";
import { consolidate, fingerprint, inOrder, resultRows } from "./testing-result.js";

let engines: Engine[];
/** Several workers, whose timing is disturbed. */
let pooled: Engine;
beforeAll(async () => {
  engines = await Promise.all(BUILDS.map((build) => Engine.open({ build, memory: "1 GiB" })));
  pooled = await Engine.open({ workers: 3, memory: "1 GiB", faults: { jitterUs: 50 } });
});
afterAll(() => Promise.all([...engines, pooled].map((engine) => engine.close())));

const doubles = fc.oneof(
  fc.double(),
  fc.constantFrom(0, -0, Number.NaN, Infinity, -Infinity, 1e308, -1e308, 5e-324, 0.1, 1 / 3, 2 ** 53),
);
const texts = fc.constantFrom(
  "",
  "a",
  "b",
  "aa",
  "ab",
  "\u00e9t\u00e9",
  "\u{1f600}",
  "x".repeat(40),
  `${"x".repeat(39)}y`,
);
const CELLS: readonly (readonly [DataType, fc.Arbitrary<Value>])[] = [
  [int32, fc.integer({ min: -3, max: 3 }).map(BigInt)],
  [int32, fc.integer().map(BigInt)],
  [int16, fc.integer({ min: -32768, max: 32767 }).map(BigInt)],
  [int64, fc.bigInt(-(2n ** 56n), 2n ** 56n)],
  [uint8, fc.integer({ min: 0, max: 255 }).map(BigInt)],
  [uint64, fc.bigInt(0n, 2n ** 57n)],
  [float64, doubles],
  [float32, doubles.map(Math.fround)],
  [decimal(20, 3), fc.bigInt(-(10n ** 15n), 10n ** 15n)],
  [bool, fc.boolean()],
  [date32, fc.integer({ min: -3, max: 3 }).map(BigInt)],
  [timestamp("ms"), fc.bigInt(-(10n ** 12n), 10n ** 12n)],
  [utf8, texts],
];

const SUMMABLE = new Set(["int", "float", "decimal"]);

interface Case {
  readonly types: readonly DataType[];
  readonly rows: readonly (readonly Value[])[];
  readonly plan: Plan<unknown>;
  readonly cuts: readonly number[];
  readonly offset: number;
  readonly order: readonly number[];
}

const cases: fc.Arbitrary<Case> = fc
  .array(fc.constantFrom(...CELLS), { minLength: 2, maxLength: 5 })
  .chain((columns) => {
    const types = columns.map(([type]) => type);
    const row = fc.tuple(...columns.map(([, cell]) => fc.option(cell, { freq: 6 })));
    return fc.record({
      types: fc.constant(types),
      rows: fc.array(row, { maxLength: 60 }),
      plan: plans(types),
      cuts: fc.array(fc.nat(60), { maxLength: 5 }),
      offset: fc.nat(9),
      order: fc.array(fc.nat(), { minLength: 60, maxLength: 60 }),
    });
  });

function plans(types: readonly DataType[], window: Window | null = null): fc.Arbitrary<Plan<unknown>> {
  const column = fc.nat(types.length - 1);
  return fc
    .record({
      keys: fc.uniqueArray(column, { maxLength: 3 }),
      arguments_: fc.array(column, { minLength: 1, maxLength: 4 }),
      filter: fc.option(column),
      where: fc.option(column),
      sets: fc.constantFrom("none", "none", "rollup", "cube", "sets", "mixed"),
    })
    .map(({ keys, arguments_, filter, where, sets }) => {
      const aggregates: Record<string, ReturnType<typeof count>> = { rows: count() };
      arguments_.forEach((at, index) => {
        const options = filter === null ? {} : { filter: col(`c${filter}`).isNotNull() };
        const name = `c${at}`;
        Object.assign(aggregates, {
          [`n${index}`]: count(name, options),
          [`any${index}`]: any(name, options),
          [`least${index}`]: argMin(name, `c${arguments_[0]}`),
          [`most${index}`]: argMax(`c${arguments_[0]}`, name, options),
          ...(types[at]!.kind === "bool"
            ? { [`every${index}`]: boolAnd(name, options), [`some${index}`]: boolOr(name) }
            : {}),
          ...(types[at]!.kind === "int"
            ? {
                [`bitand${index}`]: bitAnd(name),
                [`bitor${index}`]: bitOr(name, options),
                [`bitxor${index}`]: bitXor(name),
              }
            : {}),
          [`d${index}`]: countDistinct(name, options),
          [`min${index}`]: min(name, options),
          [`max${index}`]: max(name),
          [`first${index}`]: first(name, `c${arguments_[0]}`, options),
          [`last${index}`]: last(`c${arguments_[0]}`, name),
          [`about${index}`]: approxCountDistinct(name, options),
          [`top${index}`]: topK(name, 3, options),
          [`bottom${index}`]: bottomK(name, 2),
          [`all${index}`]: arrayAgg(name, options),
          [`once${index}`]: arrayAgg(name, { ...options, distinct: true, descending: true }),
          [`pairs${index}`]: countDistinct(name, `c${arguments_[0]}`).filter(col(name).isNotNull()),
          [`ordered${index}`]: arrayAgg(name, {
            ...options,
            orderBy: `c${arguments_[0]}`,
            descending: index % 2 === 1,
          }),
          ...(types[at]!.kind === "utf8"
            ? {
                [`text${index}`]: stringAgg(name, "|"),
                [`textby${index}`]: stringAgg(name, "|", { orderBy: "c0", descending: true }),
              }
            : {}),
          ...(types[0]!.kind === "utf8" ? {} : { [`by${index}`]: topK(name, 2, { by: "c0" }) }),
        });
        if (!SUMMABLE.has(types[at]!.kind)) return;
        Object.assign(aggregates, {
          [`sum${index}`]: sum(name),
          [`avg${index}`]: avg(name, options),
          [`sumdistinct${index}`]: sum(name, { ...options, distinct: true }),
        });
        if (types[at]!.kind === "duration") return;
        Object.assign(aggregates, {
          [`stddev${index}`]: stddev(name, options),
          [`corr${index}`]: corr(name, name, options),
          [`kurtosis${index}`]: kurtosisPop(name),
          [`variance${index}`]: variance(name),
          [`varpop${index}`]: varPop(name, options),
          [`stddevpop${index}`]: stddevPop(name),
          [`covar${index}`]: covar(name, name, options),
          [`covarpop${index}`]: covarPop(name, name),
          [`skewness${index}`]: skewness(name),
          [`kurtosissample${index}`]: kurtosis(name, options),
          [`ninth${index}`]: quantile(name, 0.9, options),
          [`value${index}`]: quantileDisc(name, 0.4),
          [`aboutmid${index}`]: approxMedian(name),
          [`median${index}`]: median(name),
          [`mode${index}`]: mode(name, options),
          [`middistinct${index}`]: median(name, { distinct: true }),
          [`devdistinct${index}`]: stddev(name, { ...options, distinct: true }),
          [`tenth${index}`]: approxQuantile(name, 0.1, options),
        });
      });
      let plan = from("t") as Plan;
      if (where !== null) plan = plan.where(col(`c${where}`).isNotNull());
      const named = keys.map((key) => `c${key}`);
      if (window !== null) {
        const windowed = plan.window(window);
        return keys.length === 0
          ? windowed.aggregate(aggregates)
          : windowed.groupBy(...named).aggregate(aggregates);
      }
      if (keys.length === 0) return plan.aggregate(aggregates);
      if (sets === "none") return plan.groupBy(...named).aggregate(aggregates);
      const [leading, ...others] = named as [string, ...string[]];
      const made = {
        rollup: [rollup(...named)],
        cube: [cube(...named)],
        sets: [groupingSets(named, [], ...others.map((name) => [name]))],
        mixed: [leading, ...others.map((name) => rollup(name))],
      }[sets];
      // The indicator tells the rows of different sets apart.
      return plan.groupBy(...made!).aggregate({ ...aggregates, left: grouping(leading, ...others) });
    });
}

function batchOf(
  types: readonly DataType[],
  rows: readonly (readonly Value[])[],
  offset: number,
  encode: (type: DataType) => DataType = (type) => type,
): BatchData {
  const fields = types.map((type, at) => ({ name: `c${at}`, type: encode(type), nullable: true }));
  return writeBatch(fields, rows, { offset, bitmap: offset % 2 === 1 });
}

function cut({ types, rows, cuts, offset }: Case, encode?: (type: DataType) => DataType): BatchData[] {
  const at = [0, ...cuts.map((one) => Math.min(one, rows.length)).sort((a, b) => a - b), rows.length];
  return at
    .slice(1)
    .map((end, index) => batchOf(types, rows.slice(at[index], end), (offset + index) % 9, encode));
}

async function collected(engine: Engine, plan: Plan<unknown>, t: object): Promise<string[]> {
  return fingerprint(resultRows(await engine.collect(plan, { t })));
}

async function streamed(
  engine: Engine,
  plan: Plan<unknown>,
  t: object,
  batchRows: number,
): Promise<string[]> {
  return fingerprint(await streamedRows(engine, plan, t, { batchRows }));
}

async function streamedRows(
  engine: Engine,
  plan: Plan<unknown>,
  t: object,
  options: StreamOptions,
): Promise<Value[][]> {
  const rows: Value[][] = [];
  const run = engine.stream(plan, { t }, options);
  for await (const batch of run) rows.push(...resultRows(batch));
  expect(run.stats.lateRows).toBe(0);
  return rows;
}

async function consolidated(engine: Engine, plan: Plan<unknown>, t: object): Promise<string[]> {
  const changes: Value[][] = [];
  for await (const batch of engine.stream(plan, { t }, { emit: "onUpdate" }))
    changes.push(...resultRows(batch));
  const left = fingerprint(consolidate(changes));
  expect(new Set(left).size).toBe(left.length);
  return left;
}

it("the same rows give the same bits in every mode, split, order, encoding, build and place", {
  timeout: 240_000,
}, async () => {
  await fc.assert(
    fc.asyncProperty(cases, async (one) => {
      const { types, rows, plan, order } = one;
      const whole = batchOf(types, rows, 0);
      const expected = fingerprint(runPlan(bind(plan, { t: whole.schema }), [whole]).rows);
      const shuffled = rows
        .map((row, at) => ({ row, at: order[at]! }))
        .sort((a, b) => a.at - b.at)
        .map(({ row }) => row);
      const encoded = (type: DataType) => (type.kind === "bool" ? type : dictionary(type, int16));
      const simd = engines[0]!;
      for (const engine of engines) expect(await collected(engine, plan, whole)).toEqual(expected);
      expect(await collected(pooled, plan, cut(one))).toEqual(expected);
      expect(await streamed(simd, plan, cut(one), 1)).toEqual(expected);
      expect(
        await streamed(simd, plan, rows.length > 0 ? rows.map((row) => batchOf(types, [row], 0)) : whole, 7),
      ).toEqual(expected);
      expect(await collected(simd, plan, cut({ ...one, rows: shuffled }))).toEqual(expected);
      const mixed = cut(one).map((batch, at) => (at % 2 === 0 ? batch : cut(one, encoded)[at]!));
      expect(await streamed(simd, plan, mixed, 65536)).toEqual(expected);
      const resident = await simd.load(cut(one, encoded));
      expect(await collected(simd, plan, resident)).toEqual(expected);
      const kept = await simd.collect(plan, { t: resident }, { result: "kernel" });
      expect(fingerprint(resultRows(kept.toArrow()))).toEqual(expected);
      kept.free();
      resident.free();
      expect(await consolidated(simd, plan, cut(one))).toEqual(expected);
    }),
    { numRuns: 150 },
  );
  for (const engine of engines) expect(engine.stats().activeRuns).toBe(0);
});

const sortings = fc.array(fc.constantFrom(...CELLS), { minLength: 1, maxLength: 4 }).chain((columns) =>
  fc.record({
    types: fc.constant(columns.map(([type]) => type)),
    rows: fc.array(fc.tuple(...columns.map(([, cell]) => fc.option(cell, { freq: 6 }))), { maxLength: 60 }),
    by: fc.array(
      fc.record({ at: fc.nat(columns.length - 1), descending: fc.boolean(), nullsFirst: fc.boolean() }),
      { maxLength: 3 },
    ),
    limit: fc.option(fc.nat(30)),
    cuts: fc.array(fc.nat(60), { maxLength: 5 }),
    offset: fc.nat(9),
    order: fc.array(fc.nat(), { minLength: 60, maxLength: 60 }),
  }),
);

it("sorted rows stand in the same order in every mode, split, order of arrival, encoding, build and place", {
  timeout: 120_000,
}, async () => {
  await fc.assert(
    fc.asyncProperty(sortings, async ({ types, rows, by, limit, cuts, offset, order }) => {
      let plan = from("t") as Plan;
      if (by.length > 0) {
        const keys = by.map(({ at, descending, nullsFirst }) =>
          (descending ? desc : asc)(`c${at}`, { nulls: nullsFirst ? "first" : "last" }),
        );
        plan = plan.orderBy(...keys);
      }
      if (limit !== null || by.length === 0) plan = plan.limit(limit ?? 1000, 2);
      const whole = batchOf(types, rows, 0);
      const expected = inOrder(runPlan(bind(plan, { t: whole.schema }), [whole]).rows);
      const shuffled = [...rows.keys()].sort((a, b) => order[a]! - order[b]!).map((at) => rows[at]!);
      const one = { types, rows: shuffled, plan, cuts, offset, order };
      const encoded = (type: DataType) => (type.kind === "bool" ? type : dictionary(type, int16));
      for (const engine of engines) {
        const table = await engine.collect(plan, { t: cut(one) });
        expect(inOrder(resultRows(table))).toEqual(expected);
      }
      const simd = engines[0]!;
      const streamed: Value[][] = [];
      for await (const batch of simd.stream(plan, { t: cut(one, encoded) }, { batchRows: 7 }))
        streamed.push(...resultRows(batch));
      expect(inOrder(streamed)).toEqual(expected);
      const resident = await simd.load(cut(one, encoded));
      const kept = await simd.collect(plan, { t: resident }, { result: "kernel" });
      expect(inOrder(resultRows(kept.toArrow()))).toEqual(expected);
      kept.free();
      resident.free();
    }),
    { numRuns: 100 },
  );
  expect(engines[0]!.stats().usedBytes).toBeLessThan(2 ** 20);
});

/** A type of time column: how far apart its times are in ticks, and a size of that many such steps. */
interface TimeKind {
  readonly type: DataType;
  readonly first: bigint;
  readonly ticks: bigint;
  readonly size: (steps: number) => WindowSize;
  /** Units of windows, as sizes are given, and the least of them. */
  readonly units: readonly ((count: number) => WindowSize)[];
}

const steps = (unit: string) => (count: number) => `${count} ${unit}`;
const TIMES: readonly TimeKind[] = [
  { type: timestamp("s"), first: -50n, ticks: 1n, size: steps("s"), units: [steps("s")] },
  { type: timestamp("ms"), first: 10n ** 12n, ticks: 1n, size: steps("ms"), units: [steps("ms")] },
  {
    type: timestamp("ns"),
    first: 2n ** 55n,
    ticks: 250n,
    size: (n) => `${n * 250} ns`,
    units: [steps("us")],
  },
  // Hours around the nights when clocks change in Berlin, and around new year in New York.
  {
    type: timestamp("us", "Europe/Berlin"),
    first: 1_774_656_000_000_000n,
    ticks: 3_600_000_000n,
    size: steps("hours"),
    units: [steps("days"), steps("hours"), steps("months")],
  },
  {
    type: timestamp("s", "America/New_York"),
    first: -100n * 86_400n,
    ticks: 86_400n,
    size: steps("days"),
    units: [steps("weeks"), steps("months"), steps("quarters")],
  },
  { type: date32, first: 20_000n, ticks: 1n, size: steps("days"), units: [steps("days"), steps("months")] },
  {
    type: date64,
    first: -40n * 86_400_000n,
    ticks: 86_400_000n,
    size: steps("days"),
    units: [steps("days"), steps("weeks"), steps("years")],
  },
  {
    type: timestamp("us"),
    first: -90_000_000n,
    ticks: 1_000_000n,
    size: steps("s"),
    units: [steps("s"), steps("minutes"), steps("ms")],
  },
  {
    type: timestamp("ms", "UTC"),
    first: 0n,
    ticks: 3_600_000n,
    size: steps("hours"),
    units: [steps("hours"), steps("days"), steps("months")],
  },
  {
    type: timestamp("ns", "Australia/Lord_Howe"),
    first: 1_775_314_800_000_000_000n,
    ticks: 1_800_000_000_000n,
    size: (n) => `${n * 30} minutes`,
    units: [steps("days"), (n) => `${n * 30} minutes`],
  },
  { type: int8, first: -20n, ticks: 1n, size: (n) => n, units: [(n) => n] },
  { type: uint8, first: 90n, ticks: 1n, size: (n) => n, units: [(n) => n] },
  { type: int16, first: -32_000n, ticks: 7n, size: (n) => n * 7, units: [(n) => n, (n) => n * 7] },
  { type: uint32, first: 2n ** 31n - 40n, ticks: 1n, size: (n) => n, units: [(n) => n] },
  { type: uint64, first: 2n ** 62n, ticks: 3n, size: (n) => n * 3, units: [(n) => n] },
  { type: int32, first: -7n, ticks: 1n, size: (n) => n, units: [(n) => n] },
  { type: uint16, first: 1000n, ticks: 3n, size: (n) => n * 3, units: [(n) => n] },
  {
    type: int64,
    first: -(2n ** 55n),
    ticks: 2n ** 30n,
    size: (n) => BigInt(n) * 2n ** 30n,
    units: [(n) => BigInt(n) << 31n],
  },
];

function windowsOver({ units, size: gap }: TimeKind): fc.Arbitrary<Window> {
  return fc
    .record({
      kind: fc.constantFrom("tumble", "hop", "cumulate", "session", "global"),
      unit: fc.constantFrom(...units),
      size: fc.integer({ min: 1, max: 12 }),
      step: fc.integer({ min: 1, max: 12 }),
      offset: fc.option(fc.integer({ min: -5, max: 5 })),
    })
    .map(({ kind, unit, size, step, offset }) => {
      const options = { nullTime: "drop", ...(offset === null ? {} : { offset: unit(offset) }) } as const;
      const [length, slide] = [unit(Math.max(size, step)), unit(Math.min(size, step))];
      // Months have no gap; the size in steps has.
      if (kind === "session") return session("c0", gap(size), { nullTime: "drop" });
      if (kind === "tumble") return tumble("c0", length, options);
      if (kind === "hop") return hop("c0", length, slide, options);
      return kind === "cumulate"
        ? cumulate("c0", length, slide, options)
        : global("c0", { nullTime: "drop" });
    });
}

interface WindowCase extends Case {
  readonly time: TimeKind;
  /** Rows in an order in which none is more than this many steps behind. */
  readonly disorder: number;
  readonly jittered: readonly (readonly Value[])[];
}

const windowCases: fc.Arbitrary<WindowCase> = fc
  .tuple(fc.constantFrom(...TIMES), fc.array(fc.constantFrom(...CELLS), { minLength: 1, maxLength: 3 }))
  .chain(([time, columns]) => {
    const types = [time.type, ...columns.map(([type]) => type)];
    const times = fc.option(fc.nat(60), { freq: 12 });
    const row = fc.tuple(times, fc.nat(20), ...columns.map(([, cell]) => fc.option(cell, { freq: 6 })));
    return fc.record({
      time: fc.constant(time),
      types: fc.constant(types),
      rows: fc.array(row, { maxLength: 50 }),
      plan: windowsOver(time).chain((window) => plans(types, window)),
      cuts: fc.array(fc.nat(50), { maxLength: 5 }),
      offset: fc.nat(9),
      order: fc.array(fc.nat(), { minLength: 50, maxLength: 50 }),
      disorder: fc.constantFrom(0, 1, 5, 20),
    });
  })
  .map((one) => {
    const cells = (row: (typeof one.rows)[number]): Value[] => {
      const [step, , ...rest] = row;
      return [step === null ? null : one.time.first + BigInt(step) * one.time.ticks, ...(rest as Value[])];
    };
    const due = ([step, jitter]: (typeof one.rows)[number]) => (step ?? 30) + (jitter % (one.disorder + 1));
    const jittered = [...one.rows].sort((a, b) => due(a) - due(b)).map(cells);
    return { ...one, rows: one.rows.map(cells), jittered };
  });

it("windows give the same bits in every mode, split, order and build, and with watermarks as they close", {
  timeout: 240_000,
}, async () => {
  await fc.assert(
    fc.asyncProperty(windowCases, async (one) => {
      const { types, rows, plan, order, time, disorder, jittered } = one;
      const whole = batchOf(types, rows, 0);
      const expected = fingerprint(runPlan(bind(plan, { t: whole.schema }), [whole]).rows);
      for (const engine of engines) expect(await collected(engine, plan, whole)).toEqual(expected);
      const shuffled = rows
        .map((row, at) => ({ row, at: order[at]! }))
        .sort((a, b) => a.at - b.at)
        .map(({ row }) => row);
      const simd = engines[0]!;
      expect(await collected(simd, plan, cut({ ...one, rows: shuffled }))).toEqual(expected);
      expect(await streamed(simd, plan, cut(one), 3)).toEqual(expected);
      const watermarks = { t: { column: "c0", outOfOrderness: time.size(disorder) } };
      const singles = jittered.map((row, at) => batchOf(types, [row], at % 9));
      const encoded = (type: DataType) => (type.kind === "bool" ? type : dictionary(type, int16));
      const resident = await simd.load(cut({ ...one, rows: jittered }, encoded));
      for (const t of [jittered.length === 0 ? whole : singles, cut({ ...one, rows: jittered }), resident]) {
        const results = await streamedRows(simd, plan, t, { watermarks });
        expect(fingerprint(results)).toEqual(expected);
        const ends = results.map((row) => row[1] as bigint);
        expect(ends.every((end, at) => at === 0 || end === null || end >= ends[at - 1]!)).toBe(true);
      }
      resident.free();
    }),
    { numRuns: 120 },
  );
});
