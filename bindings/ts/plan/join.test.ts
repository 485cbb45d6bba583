import { describe, expect, expectTypeOf, it } from "vitest";
import {
  decimal,
  float64,
  int8,
  int16,
  int32,
  int64,
  type Schema,
  timestamp,
  typeName,
  uint64,
  utf8,
} from "../type/data-type.js";
import { ArgumentError, PlanError, TypeMismatchError, UnknownColumnError } from "../type/error.js";
import { bind } from "./bind.js";
import { explain } from "./explain.js";
import { col } from "./expression.js";
import { chainsIn, lower } from "./lower.js";
import { from, type Plan, source } from "./plan.js";

const orders = from(
  source("orders", { id: int64, customer: int32, amount: decimal(12, 2), note: utf8, ts: timestamp("ms") }),
);
const customers = from(
  source("customers", { customer: int64, name: utf8, note: utf8, since: timestamp("us") }),
);

const columns = (plan: Plan<never>) =>
  plan.schema!.fields.map(
    ({ name, type, nullable }) => `${name}: ${typeName(type)}${nullable ? "" : " not null"}`,
  );

const strict: Schema = {
  fields: [
    { name: "k", type: int32, nullable: false },
    { name: "v", type: int32, nullable: false },
  ],
};

describe("names and types of the result", () => {
  it("merges keys of one name, and gives the suffix to names that are taken", () => {
    const plan = orders.join(customers, { on: "customer" });
    expect(columns(plan as never)).toEqual([
      "id: int64",
      "customer: int32",
      "amount: decimal(12, 2)",
      "note: utf8",
      "ts: timestamp[ms]",
      "name: utf8",
      "note_right: utf8",
      "since: timestamp[us]",
    ]);
    expectTypeOf(plan).toEqualTypeOf<
      Plan<{
        id: bigint;
        customer: number;
        amount: Uint32Array;
        note: string;
        ts: number;
        name: string;
        note_right: string;
        since: number;
      }>
    >();
  });

  it("keeps both keys where their names differ", () => {
    const left = from(source("a", { x: int32 }));
    const right = from(source("b", { y: int32, x: utf8 }));
    const plan = left.join(right, { on: { x: "y" }, suffix: "_b" });
    expect(columns(plan as never)).toEqual(["x: int32", "y: int32", "x_b: utf8"]);
    expectTypeOf(plan).toEqualTypeOf<Plan<{ x: number; y: number; x_b: string }>>();
  });

  it.each([
    ["inner", ["k: int32 not null", "v: int32 not null", "v_right: int32 not null"]],
    ["left", ["k: int32 not null", "v: int32 not null", "v_right: int32"]],
    ["right", ["k: int32 not null", "v: int32", "v_right: int32 not null"]],
    ["full", ["k: int32 not null", "v: int32", "v_right: int32"]],
    ["semi", ["k: int32 not null", "v: int32 not null"]],
    ["anti", ["k: int32 not null", "v: int32 not null"]],
  ] as const)("nulls that a %s join makes", (how, expected) => {
    const plan = from("a").join(from("b"), { on: "k", how });
    const { schema } = bind(plan, { a: strict, b: strict });
    expect(schema.fields.map(({ name, nullable }) => `${name}: int32${nullable ? "" : " not null"}`)).toEqual(
      expected,
    );
  });

  it("row types of outer, semi and cross joins", () => {
    const left = from(source("a", { k: int32, x: utf8 }));
    const right = from(source("b", { k: int32, y: utf8 }));
    expectTypeOf(left.join(right, { on: ["k"], how: "left" })).toEqualTypeOf<
      Plan<{ k: number; x: string; y: string | null }>
    >();
    expectTypeOf(left.join(right, { on: ["k"], how: "full" })).toEqualTypeOf<
      Plan<{ k: number; x: string | null; y: string | null }>
    >();
    expectTypeOf(left.join(right, { on: "k", how: "semi" })).toEqualTypeOf<Plan<{ k: number; x: string }>>();
    expectTypeOf(left.join(right, { how: "cross" })).toEqualTypeOf<
      Plan<{ k: number; x: string; k_right: number; y: string }>
    >();
    // @ts-expect-error there is no such column on the left side
    expect(() => left.join(right, { on: { z: "k" } })).toThrow(UnknownColumnError);
  });

  it("keys of different types meet in one that holds both", () => {
    const plan = orders.join(customers, { on: { ts: "since" }, how: "full" });
    const join = lower(bind(plan)).stages[0]!;
    expect(join.kind === "join" && [join.left.instructions.length > join.left.columns.length]).toEqual([
      true,
    ]);
    const full = from(source("a", { k: int8 })).join(from(source("b", { k: int16 })), {
      on: "k",
      how: "full",
    });
    expect(columns(full as never)).toEqual(["k: int16"]);
  });
});

describe("what it refuses", () => {
  const a = from(source("a", { k: int32, s: utf8, u: uint64, i: int64, v_right: int32 }));
  const b = from(source("b", { k: int32, s: utf8, f: float64, v: int32 }));

  it("keys that do not compare, by name and type", () => {
    expect(() => a.join(b, { on: { s: "k" } as never })).toThrow(
      'join: the left column "s" (utf8) and the right column "k" (int32) do not compare; cast one side',
    );
    expect(() => a.join(from(source("c", { i: int64 })), { on: { u: "i" } })).toThrow(TypeMismatchError);
  });

  it("columns that do not exist", () => {
    expect(() => a.join(b, { on: { k: "kk" } as never })).toThrow(/unknown column "kk".*"k"/);
    expect(() => a.join(b, { on: "k", residual: col("nope").gt(1) as never })).toThrow(UnknownColumnError);
  });

  it("names that clash even with the suffix", () => {
    const clash = from(source("c", { k: int32, v: int32 }));
    const left = from(source("d", { k: int32, v: int32, v_right: int32 }));
    expect(() => left.join(clash, { on: "k" })).toThrow(
      /the result would have two columns "v_right" \(right column "v" with the suffix "_right"\)/,
    );
    expect(left.join(clash, { on: "k", suffix: "_2" }).schema!.fields.map(({ name }) => name)).toEqual([
      "k",
      "v",
      "v_right",
      "v_2",
    ]);
  });

  it("options that contradict each other", () => {
    expect(() => a.join(b, { how: "cross", on: "k" })).toThrow(/takes no keys/);
    expect(() => a.join(b, {})).toThrow(/at least one key/);
    expect(() => a.join(b, { on: [], how: "left" })).toThrow(PlanError);
    expect(() => a.join(b, { on: "k", how: "outer" as never })).toThrow(/how is one of "inner", "left"/);
    const anti = { on: "k", how: "anti", nullAware: true } as const;
    expect(() => a.join(b, { ...anti, how: "semi" })).toThrow(
      /nullAware goes with how: "anti".*not with "semi"/,
    );
    expect(() => a.join(b, { ...anti, on: ["k", "v"] as never })).toThrow(/takes one key, not 2/);
    expect(() => a.join(b, { ...anti, nullsEqual: true })).toThrow(/nullAware and nullsEqual exclude/);
    expect(() => a.join(b, { ...anti, residual: col("k").gt(1) as never })).toThrow(/nullAware and residual/);
    expect(() => a.join(b, { on: "k", suffix: "" })).toThrow(ArgumentError);
    expect(() => a.join(b, { on: 7 as never })).toThrow(/on takes a column's name/);
    expect(() => a.join({} as Plan<{ k: number }>, { on: "k" })).toThrow(/takes another plan/);
    expect(() => a.join(b, { on: "k", residual: col("s").length() })).toThrow(/is not a bool/);
  });
});

describe("set operations", () => {
  const a = from(source("a", { k: int16, s: utf8 }));
  const b = from(source("b", { s: utf8, k: int32 }));

  it("match columns by name and bring their types together", () => {
    const plan = a.unionAll(b);
    expect(columns(plan as never)).toEqual(["k: int32", "s: utf8"]);
    expectTypeOf(plan).toEqualTypeOf<Plan<{ k: number; s: string }>>();
    expect(columns(a.intersect(b) as never)).toEqual(["k: int16", "s: utf8"]);
    expect(explain(plan.where(col("k").gt(1)))).toContain(`1 project k, s
    filter k > 1
    program of 8 instructions
  2 union all
    right side
      0 read b: s, k
      1 project k, s
        filter k > 1`);
    expect(explain(from("x").except(from("y")))).toBe("Plan (not bound)\n  except\n    from x\n    from y");
  });

  it("are refused over other columns or types", () => {
    const narrow = from(source("c", { k: int32 }));
    const other = from(source("d", { k: utf8, s: utf8 }));
    expect(() => a.unionAll(narrow as never)).toThrow(
      /union all: both sides must have the same columns.*left one has "s"/,
    );
    expect(() => narrow.except(a)).toThrow(/only the right one has "s"/);
    expect(() => a.unionAll(other)).toThrow(/column "k" is int16 on the left and utf8 on the right/);
    expect(() => a.intersect(other)).toThrow(TypeMismatchError);
    expect(() => a.unionAll({} as typeof b)).toThrow(/takes another plan/);
  });
});

describe("lowering", () => {
  const left = from(source("l", { k: int32, a: int32, b: utf8, c: utf8 }));
  const right = from(source("r", { k: int32, x: int32, y: utf8 }));
  const reads = (plan: Plan<never>) =>
    chainsIn(lower(bind(plan))).map(({ source: { name, schema, columns } }) =>
      [name, ...columns.map((at) => schema.fields[at]!.name)].join(" "),
    );

  it("reads only the columns that somebody asks for, and adds no stage to name them", () => {
    const plan = left.join(right, { on: "k" }).select("a", { z: col("y") });
    expect(reads(plan as never)).toEqual(["l k a", "r k y"]);
    const { stages } = lower(bind(plan));
    expect(stages.map(({ kind }) => kind)).toEqual(["join"]);
    expect(stages[0]!.schema.fields.map(({ name }) => name)).toEqual(["a", "z"]);
    const semi = left.join(right, { on: "k", how: "semi" });
    expect(reads(semi as never)).toEqual(["l k a b c", "r k"]);
  });

  it("joins of several tables, either way round", () => {
    const third = from(source("t", { k: int32, w: int32 }));
    const deep = left.join(right.join(third, { on: "k" }), { on: "k" }).select("a", "w");
    expect(reads(deep as never)).toEqual(["l k a", "r k", "t k w"]);
    const chain = left.join(right, { on: "k" }).join(third, { on: "k" }).select("b", "x", "w");
    expect(reads(chain as never)).toEqual(["l k b", "r k x", "t k w"]);
    expect(lower(bind(chain)).stages.map(({ kind }) => kind)).toEqual(["join", "join"]);
  });

  const filtersOf = (plan: Plan<never>) => {
    const { stages } = lower(bind(plan));
    return stages.map((stage) =>
      stage.kind === "join"
        ? { left: stage.left.filters, right: stage.right.filters }
        : "filters" in stage
          ? { above: stage.filters }
          : {},
    );
  };

  it("moves conditions below, to the side whose rows they keep", () => {
    const conditions = (how: "inner" | "left" | "right" | "full") =>
      filtersOf(left.join(right, { on: "k", how }).where(col("a").gt(1), col("x").gt(2)) as never);
    expect(conditions("inner")).toEqual([{ left: ["a > 1"], right: ["x > 2"] }]);
    expect(conditions("left")).toEqual([{ left: ["a > 1"], right: [] }, { above: ["x > 2"] }]);
    expect(conditions("right")).toEqual([{ left: [], right: ["x > 2"] }, { above: ["a > 1"] }]);
    expect(conditions("full")).toEqual([{ left: [], right: [] }, { above: ["a > 1 and x > 2"] }]);
  });

  it("leaves conditions above that could fail below", () => {
    const plan = left.join(right, { on: "k" }).where(col("a").add(col("a")).gt(1));
    expect(filtersOf(plan as never)).toEqual([{ left: [], right: [] }, { above: ["(a + a) > 1"] }]);
  });

  it("through renamed and computed columns", () => {
    const plan = left
      .join(right, { on: "k" })
      .select({ n: col("b").length() }, "x")
      .where(col("n").gt(3), col("x").eq(1));
    expect(filtersOf(plan as never)[0]).toEqual({ left: ["n > 3"], right: ["x = 1"] });
  });

  it("explain shows the tree, what is read, and what a stream waits for", () => {
    const plan = left
      .where(col("a").gt(1))
      .join(right, { on: "k", how: "left", residual: col("a").lt(col("x")) })
      .select("b", "y");
    expect(explain(plan)).toBe(`Plan
  select b, y -> (b: utf8, y: utf8)
    select k, a, b, c, x, y -> (k: int32, a: int32, b: utf8, c: utf8, x: int32, y: utf8)
      left join on k where a < x -> (k: int32, a: int32, b: utf8, c: utf8, k: int32, x: int32, y: utf8)
        where a > 1
          from l -> (k: int32, a: int32, b: utf8, c: utf8)
        from r -> (k: int32, x: int32, y: utf8)
Stages
  0 read l: k, a, b
  1 left join on k where a < x -> b, y
    filter left a > 1
    program of 7 instructions over left rows
    program of 3 instructions over right rows
    in a stream, keeps the rows of both sides until one ends: its state grows without a bound; rows without a match leave at the end of input
    right side
      0 read r: k, x, y`);
    const unbound = from("l").join(from("r"), { on: { a: "b" }, how: "anti", nullsEqual: true });
    expect(explain(unbound)).toBe(`Plan (not bound)
  anti join on a = b (nulls equal)
    from l
    from r`);
    expect(explain(from("l").join(from("r"), { on: "a", how: "anti", nullAware: true }))).toContain(
      "anti join on a (null-aware)",
    );
  });
});
