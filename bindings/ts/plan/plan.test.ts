import { Table, tableFromArrays, vectorFromArray } from "apache-arrow";
import { describe, expect, expectTypeOf, it } from "vitest";
import {
  bool,
  date32,
  decimal,
  dictionary,
  float64,
  int32,
  int64,
  list,
  type Schema,
  timestamp,
  typeName,
  utf8,
} from "../type/data-type.js";
import {
  ArgumentError,
  MillraceError,
  PlanError,
  SchemaMismatchError,
  TypeMismatchError,
  UnknownColumnError,
} from "../type/error.js";
import { approxMedian, avg, corr, count, countDistinct, max, min, sum } from "./aggregate.js";
import { bind } from "./bind.js";
import { coalesce, col, lit, when } from "./expression.js";
import { arrayAgg, stringAgg, topK } from "./list-aggregate.js";
import { asc, desc, from, type Plan, source } from "./plan.js";

const orders = source("orders", {
  seller: utf8,
  status: dictionary(utf8),
  amount: decimal(12, 2),
  price: float64,
  quantity: int32,
  id: { kind: "int", bits: 64, signed: true },
  paid: bool,
  day: date32,
  ts: timestamp("us"),
});

function failure(run: () => unknown): MillraceError {
  try {
    run();
  } catch (error) {
    if (error instanceof MillraceError) return error;
    throw error;
  }
  throw new Error("nothing was thrown");
}

function columns(schema: Schema | null): string[] {
  return (schema?.fields ?? []).map(
    ({ name, type, nullable }) => `${name}: ${typeName(type)}${nullable ? "" : " not null"}`,
  );
}

describe("schemas of results", () => {
  it("follow every node", () => {
    const plan = from(orders)
      .where(col("paid"))
      .withColumns({ total: col("price").mul(col("quantity")), seller: col("seller").upper() })
      .drop("paid", "day", "ts", "status")
      .rename({ id: "order" });
    expect(columns(plan.schema)).toEqual([
      "seller: utf8",
      "amount: decimal(12, 2)",
      "price: float64",
      "quantity: int32",
      "order: int64",
      "total: float64",
    ]);
  });

  it("give aggregates their types, and dictionary keys their values", () => {
    const plan = from(orders)
      .groupBy("status", { year: col("day").year() })
      .aggregate({
        n: count(),
        some: count("price"),
        sellers: countDistinct("seller"),
        gmv: sum("amount"),
        pieces: sum("quantity"),
        mean: avg("quantity"),
        first: min("ts"),
        last: max("day"),
        big: sum("price").filter(col("price").gt(100)),
      });
    expect(columns(plan.schema)).toEqual([
      "status: utf8",
      "year: int64",
      "n: int64 not null",
      "some: int64 not null",
      "sellers: int64 not null",
      "gmv: decimal(38, 2)",
      "pieces: int64",
      "mean: float64",
      "first: timestamp[us]",
      "last: date32",
      "big: float64",
    ]);
  });

  it("are unknown until a named source is bound", () => {
    const plan = from("orders").where(col("amount").gt(1.5)).groupBy("seller").aggregate({ n: count() });
    expect(plan.schema).toBeNull();
    const schema = { fields: orders.schema.fields };
    expect(columns(bind(plan, { orders: schema }).schema)).toEqual(["seller: utf8", "n: int64 not null"]);
  });

  it("come from an Arrow table", () => {
    const table = tableFromArrays({ a: Int32Array.of(1, 2), b: ["x", "y"] });
    const plan = from(table).select("b", { twice: col("a").mul(2) });
    expect(columns(plan.schema)).toEqual(["b: utf8", "twice: int32 not null"]);
    expectTypeOf(plan).toEqualTypeOf<Plan<{ b: string; twice: number | bigint | null }>>();
  });
});

describe("a plan that cannot work", () => {
  it("names an unknown column and its nearest names", () => {
    // @ts-expect-error: "sellr" is no column of orders
    const error = failure(() => from(orders).where(col("sellr").eq("a")));
    expect(error).toBeInstanceOf(UnknownColumnError);
    expect(error.message).toBe(
      'unknown column "sellr": did you mean "seller"? Columns: seller, status, amount, price, quantity, id, paid, day, ts',
    );
    expect(error.column).toBe("sellr");
  });

  it("is found when bound, where the source is known by name only", () => {
    const plan = from("orders").groupBy("seler").aggregate({ n: count() });
    const error = failure(() => bind(plan, { orders: orders.schema }));
    expect(error).toBeInstanceOf(UnknownColumnError);
    expect(error.expected).toBe("seller");
  });

  it.each([
    [
      () => col("seller").add(1),
      'seller + 1: column "seller" (utf8) is not a number, nor a time that fits the other side',
    ],
    [() => col("seller").mul(2), 'seller * 2: column "seller" (utf8) is not a number'],
    [
      () => col("seller").eq(1),
      'seller = 1: column "seller" (utf8) and 1 have no common type; cast one side',
    ],
    [
      () => col("price").eq("x"),
      `price = 'x': column "price" (float64) and 'x' have no common type; cast one side`,
    ],
    [() => col("price").lower(), 'lower(price): column "price" (float64) is not a utf8'],
    [() => col("price").and(true), 'price and true: column "price" (float64) is not a bool'],
    [() => col("quantity").isNaN(), 'isnan(quantity): column "quantity" (int32) is not a float'],
    [() => col("seller").year(), 'year(seller): column "seller" (utf8) is not a date or timestamp'],
    [
      () => col("paid").cast(date32),
      'cast(paid as date32): column "paid" (bool) is not convertible to date32',
    ],
    [
      () => col("ts").cast(utf8).add(col("price")),
      "cast(ts as utf8) + price: cast(ts as utf8) (utf8) is not a number, nor a time that fits the other side",
    ],
    [
      () => coalesce(col("seller"), col("price")),
      'coalesce(seller, price): column "seller" (utf8) and column "price" (float64) have no common type; cast one side',
    ],
    [
      () => when(col("paid")).then("a").otherwise(col("id")),
      `case when paid then 'a' else id end: column "id" (int64) and 'a' have no common type; cast one side`,
    ],
    [
      () => col("price").idiv(2),
      'price // 2: column "price" (float64) is not an integer or decimal; write div(...).floor()',
    ],
  ])("names the expression and its type: %#", (make, message) => {
    const error = failure(() => from(orders).select({ x: make() }));
    expect(error).toBeInstanceOf(TypeMismatchError);
    expect(error.message).toBe(message);
  });

  it.each([
    [
      () => col("day").gt("2024-02-30"),
      `'2024-02-30' is not a date32: write ISO 8601, for example "2024-02-29"`,
    ],
    [
      () => col("ts").gt("yesterday"),
      `'yesterday' is not a timestamp[us]: write ISO 8601, for example "2024-02-29T12:00:00.5"`,
    ],
    [() => col("amount").gt("1,5"), "'1,5' is not a decimal number"],
    [
      () => col("seller").like("a!", "!"),
      "seller like 'a!' escape '!': the pattern ends in its escape character",
    ],
    [() => lit(null), "null: null has no type of its own here; write lit(null, type)"],
    [() => lit("abc", int32), "'abc' is not a value of int32"],
    [() => lit(300, { kind: "int", bits: 8, signed: true }), "300 is not a value of int8"],
    [
      () => col("ts").cast(timestamp("us", "Mars/Olympus")),
      'unknown time zone "Mars/Olympus": use an IANA name such as Europe/Berlin or an offset such as +02:00',
    ],
  ])("explains a literal that does not fit: %#", (make, message) => {
    const error = failure(() => from(orders).select({ x: make() }));
    expect(error).toBeInstanceOf(PlanError);
    expect(error.message).toBe(message);
  });

  it("refuses a product whose scale passes 38 digits", () => {
    const wide = source("t", { a: decimal(38, 20), b: decimal(38, 19) });
    const error = failure(() => from(wide).select({ x: col("a").mul(col("b")) }));
    expect(error.message).toBe(
      "a * b: the product of decimal(38, 20) and decimal(38, 19) would have 39 digits after the point; a decimal has at most 38: cast one side to a smaller scale",
    );
  });

  it("asks for a cast between uint64 and signed integers, unless a literal fits", () => {
    const mixed = from(source("t", { u: { kind: "int", bits: 64, signed: false }, i: int64 }));
    expect(failure(() => mixed.where(col("u").eq(col("i")))).message).toBe(
      'u = i: column "u" (uint64) and column "i" (int64) have no common type; no integer type holds both: cast one side',
    );
    expect(failure(() => mixed.where(col("u").gt(-1)))).toBeInstanceOf(TypeMismatchError);
    expect(columns(mixed.select({ x: col("u").add(1) }).schema)).toEqual(["x: uint64"]);
  });

  it("refuses two columns of one name, aggregates of wrong types, and fast on integers", () => {
    const plan = from(orders);
    expect(failure(() => plan.groupBy("id").aggregate({ id: count() })).message).toBe(
      'the result would have two columns "id"',
    );
    expect(failure(() => plan.aggregate({ x: sum("seller") })).message).toBe(
      'sum(seller): takes an integer, float, decimal or duration column, not column "seller" (utf8)',
    );
    expect(failure(() => plan.aggregate({ x: sum("id", { fast: true }) })).message).toBe(
      'sum(id) fast: fast applies to floats, not to column "id" (int64)',
    );
    expect(failure(() => min("id", { fast: true }))).toBeInstanceOf(ArgumentError);
    // @ts-expect-error: an expression is no aggregate
    expect(failure(() => plan.aggregate({ x: col("id") }))).toBeInstanceOf(ArgumentError);
  });

  it("takes distinct where it means something, and says where not", () => {
    const plan = from(orders);
    const texts = plan.aggregate({
      a: sum("id", { distinct: true }),
      b: count("id", { distinct: true }),
      c: min("id", { distinct: true }),
      d: arrayAgg("seller", { distinct: true, descending: true }),
    });
    expect(texts.explain()).toContain(
      "a = sum(distinct id), b = count(distinct id), c = min(id), d = arrayAgg(distinct seller descending)",
    );
    for (const refused of [
      () => sum("price", { distinct: true, fast: true }),
      () => corr("price", "id", { distinct: true }),
      () => topK("id", 2, { by: "price", distinct: true }),
      () => approxMedian("price", { distinct: true }),
      () => count({ distinct: true }),
      () => arrayAgg("id", { distinct: true, orderBy: "price" }),
    ]) {
      const error = failure(refused);
      expect(error).toBeInstanceOf(ArgumentError);
      expect(error.message).toMatch(/distinct/);
    }
  });

  it("counts distinct rows of several columns, and orders lists by another one", () => {
    const plan = from(orders).aggregate({
      a: countDistinct("seller", "day", col("id").mod(3)),
      b: arrayAgg("id", { orderBy: "price", descending: true }),
      c: stringAgg("seller", ", ", { orderBy: col("id").neg() }),
    });
    expect(plan.explain()).toContain(
      "a = count(distinct seller, day, id % 3), b = arrayAgg(id by price descending), c = stringAgg(seller by -id, ', ')",
    );
    const nested = source("t", { a: int32, l: list(int32) });
    expect(failure(() => from(nested).aggregate({ n: countDistinct("a", "l") })).message).toMatch(/"l"/);
    expect(failure(() => from(nested).aggregate({ n: arrayAgg("a", { orderBy: "l" }) })).message).toMatch(
      /"l"/,
    );
    // @ts-expect-error: no such column
    expect(failure(() => from(orders).aggregate({ n: countDistinct("id", "prize") }))).toBeInstanceOf(
      UnknownColumnError,
    );
  });

  it("refuses names that are missing, limits that are no numbers of rows, sources that were not given", () => {
    const plan = from(orders);
    // @ts-expect-error: an expression needs a name
    expect(failure(() => plan.select(col("id").add(1))).message).toBe(
      "id + 1 needs a name: write { name: expression }",
    );
    expect(failure(() => plan.limit(-1)).message).toBe("limit takes a whole number of rows, not -1");
    expect(failure(() => bind(from("a"), { b: orders.schema })).message).toBe(
      'the plan reads "a", but no such source was given (given: b)',
    );
    expect(failure(() => from([] as object))).toBeInstanceOf(ArgumentError);
  });
});

describe("a declared source", () => {
  it("takes data with more columns, in any order, dictionaries for their values", () => {
    const declared = source("t", { a: int32, b: utf8 });
    const field = (name: string, type: Schema["fields"][number]["type"]) => ({ name, type, nullable: true });
    const actual = { fields: [field("c", int64), field("b", dictionary(utf8)), field("a", int32)] };
    const bound = bind(from(declared), { t: actual });
    expect(columns(bound.schema)).toEqual(["a: int32", "b: utf8"]);
    expect(bound.kind === "source" && bound.columns).toEqual([2, 1]);
  });

  it("refuses data that lacks a column or has another type", () => {
    const declared = from(source("t", { a: int32 }));
    const fields = [{ name: "a", type: int64, nullable: true }];
    const error = failure(() => bind(declared, { t: { fields } }));
    expect(error).toBeInstanceOf(SchemaMismatchError);
    expect(error.message).toBe('source "t": column "a" is int64, but the plan declares int32');
    expect(failure(() => bind(declared, { t: { fields: [] } })).message).toContain('has no column "a"');
  });
});

describe("opaque columns", () => {
  const list = { kind: "opaque", name: "list<int32>" } as const;
  const schema: Schema = {
    fields: [
      { name: "tags", type: list, nullable: true },
      { name: "a", type: int32, nullable: true },
    ],
  };
  const over = (plan: Plan) => bind(plan, { t: schema });

  it("pass through where, select, rename and limit", () => {
    const plan = from("t")
      .where(col("a").gt(1))
      .select("a", { t: col("tags") })
      .limit(3);
    expect(columns(over(plan).schema)).toEqual(["a: int32", "t: list<int32>"]);
  });

  it("cannot be computed on, grouped or sorted by", () => {
    const message =
      'column "tags" is list<int32>: such columns can be carried along by where, select and limit, but not computed on';
    expect(failure(() => over(from("t").where(col("tags").isNull()))).message).toBe(message);
    expect(failure(() => over(from("t").groupBy("tags").aggregate({ n: count() }))).message).toBe(message);
    expect(failure(() => over(from("t").aggregate({ n: count("tags") }))).message).toBe(message);
    expect(failure(() => over(from("t").orderBy("tags"))).message).toBe(
      'orderBy: column "tags" is list<int32>, which has no order',
    );
  });
});

describe("row types", () => {
  it("follow the plan in TypeScript", () => {
    const plan = from(orders)
      .where(col("paid").and(col("price").gt(1)))
      .groupBy("seller", { year: col("day").year() })
      .aggregate({ gmv: sum("amount"), ids: sum("id"), n: count(), top: max("price"), mean: avg("price") });
    expectTypeOf(plan).toEqualTypeOf<
      Plan<{
        seller: string;
        year: bigint | null;
        gmv: Uint32Array | null;
        ids: bigint | null;
        n: bigint;
        top: number | null;
        mean: number | null;
      }>
    >();
    const ordered = plan.orderBy(desc("gmv"), asc("seller", { nulls: "first" })).limit(10);
    expectTypeOf(ordered).toEqualTypeOf(plan);
    // @ts-expect-error: "price" is gone after the aggregate
    expect(() => plan.where(col("price").gt(1))).toThrow(UnknownColumnError);
    // @ts-expect-error: so is "amount" in an order
    expect(() => plan.orderBy("amount")).toThrow(UnknownColumnError);
    // @ts-expect-error: and in a filter of an aggregate
    expect(() => plan.aggregate({ x: count().filter(col("paid")) })).toThrow(UnknownColumnError);
  });

  it("count takes its options alone", () => {
    const filter = col("price").gt(1);
    const filtered = count({ filter });
    expect(filtered.node).toEqual(count().filter(filter).node);
    expect(from(orders).aggregate({ n: filtered }).schema).toEqual(
      from(orders).aggregate({ n: count().filter(filter) }).schema,
    );
    // @ts-expect-error: the filter's columns are checked
    expect(() => from(orders).aggregate({ n: count({ filter: col("no").gt(1) }) })).toThrow(
      UnknownColumnError,
    );
    // @ts-expect-error: not options
    expect(() => count({ where: filter })).toThrow(ArgumentError);
    // @ts-expect-error: options twice
    expect(() => count({ filter }, { filter })).toThrow(ArgumentError);
    expect(() => count({ fast: true })).toThrow(ArgumentError);
  });

  it("select, rename and withColumns", () => {
    const plan = from(orders)
      .select("seller", "quantity", { flag: col("price").gt(1), day: col("day"), one: 1 })
      .rename({ quantity: "pieces" })
      .withColumns({ flag: col("pieces").cast(float64) });
    expectTypeOf(plan).toEqualTypeOf<
      Plan<{ seller: string; pieces: number; day: number; one: 1; flag: number | null }>
    >();
    expect(plan.schema?.fields.map(({ name }) => name)).toEqual(["seller", "pieces", "flag", "day", "one"]);
  });

  it("stay open for a source known by name", () => {
    const plan = from("t")
      .where(col("anything").gt(1))
      .groupBy("k")
      .aggregate({ s: sum("v") });
    expectTypeOf(plan).not.toBeAny();
    expect(plan.schema).toBeNull();
  });

  it("accept tables made by hand", () => {
    const table = new Table({ k: vectorFromArray(["a", "b"]), n: vectorFromArray([1n, 2n]) });
    const plan = from(table).groupBy("k").aggregate({ n: count() });
    expect(columns(plan.schema)).toEqual(["k: utf8", "n: int64 not null"]);
    // @ts-expect-error: no such column in the table's type
    expect(() => from(table).select("nope")).toThrow(UnknownColumnError);
  });
});
