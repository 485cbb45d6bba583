import { describe, expect, it } from "vitest";
import { ProgramHeader } from "../../../kernel/abi/instruction.js";
import { dictionary, float64, int32, int64, type Schema, typeName, utf8 } from "../type/data-type.js";
import { count, max, sum } from "./aggregate.js";
import { bind } from "./bind.js";
import { coalesce, col, lit, when } from "./expression.js";
import { type AggregateStage, lower, type ProjectStage } from "./lower.js";
import { desc, from, type Plan } from "./plan.js";

const field = (name: string, type: Schema["fields"][number]["type"]) => ({ name, type, nullable: true });
const schema: Schema = {
  fields: [
    field("a", int32),
    field("b", int64),
    field("x", float64),
    field("s", dictionary(utf8)),
    field("tags", { kind: "opaque", name: "list<int32>" }),
  ],
};

function lowered(plan: Plan) {
  return lower(bind(plan, { t: schema }));
}

function instructionCount(program: Uint8Array): number {
  return new DataView(program.buffer, program.byteOffset).getUint32(ProgramHeader.INSTRUCTIONS, true);
}

const t = from("t");

describe("stages", () => {
  it("fuse filters and projections, and read only what is used", () => {
    const plan = t
      .where(col("a").gt(1))
      .withColumns({ y: col("x").mul(2) })
      .where(col("y").lt(10))
      .select({ z: col("y").add(1) });
    const { source, stages, output } = lowered(plan);
    expect(stages.map(({ kind }) => kind)).toEqual(["project"]);
    expect(source.columns).toEqual([0, 2]);
    expect(output.fields.map(({ name }) => name)).toEqual(["z"]);
    // Both conditions cannot fail: one filter.
    expect((stages[0] as ProjectStage).filters).toEqual(["a > 1 and y < 10"]);
  });

  it("fuse into an aggregation, and project after it only where there is something to do", () => {
    const grouped = t
      .where(col("x").gt(0))
      .groupBy("s")
      .aggregate({ n: count(), b: sum("b") });
    expect(lowered(grouped).stages.map(({ kind }) => kind)).toEqual(["aggregate"]);
    expect(lowered(grouped).source.columns).toEqual([1, 2, 3]);
    const kinds = (plan: Plan) => lowered(plan).stages.map(({ kind }) => kind);
    expect(kinds(grouped.select("s", "n", "b"))).toEqual(["aggregate"]);
    expect(kinds(grouped.select("n", "s"))).toEqual(["aggregate", "project"]);
    expect(kinds(grouped.where(col("n").gt(1)).orderBy(desc("n")).limit(3))).toEqual([
      "aggregate",
      "project",
      "sort",
      "limit",
    ]);
  });

  it("always begin with a program: it is what reads the source", () => {
    const { stages, source } = lowered(t.limit(2));
    expect(stages.map(({ kind }) => kind)).toEqual(["project", "limit"]);
    expect((stages[0] as ProjectStage).identity).toBe(true);
    expect(source.columns).toEqual([0, 1, 2, 3, 4]);
    expect(lowered(t).stages.map(({ kind }) => kind)).toEqual(["project"]);
    expect(typeName(lowered(t).output.fields[3]!.type)).toBe("utf8");
  });

  it("filter below a sort, and limit below a projection that keeps the order", () => {
    const plan = t
      .orderBy("a")
      .where(col("x").gt(1))
      .select({ s: col("s").upper() })
      .limit(3, 1)
      .limit(1, 1);
    const { stages } = lowered(plan);
    expect(stages.map(({ kind }) => kind)).toEqual(["project", "sort", "limit", "project"]);
    expect((stages[0] as ProjectStage).filters).toEqual(["x > 1"]);
    expect(stages[2]).toMatchObject({ count: 1, offset: 2, ordered: true });
  });

  it("leave a limit above a projection that has no order, and a filter above a limit", () => {
    const unordered = lowered(t.select("x").limit(3)).stages;
    expect(unordered.map(({ kind }) => kind)).toEqual(["project", "limit"]);
    expect(unordered[1]).toMatchObject({ ordered: false });
    const filtered = lowered(t.orderBy("a").limit(9).where(col("x").gt(1)).limit(2)).stages;
    expect(filtered.map(({ kind }) => kind)).toEqual(["project", "sort", "limit", "project", "limit"]);
    expect(filtered[4]).toMatchObject({ ordered: true });
  });

  it("count rows without reading a column", () => {
    const { source, stages } = lowered(t.aggregate({ n: count() }));
    expect(source.columns).toEqual([]);
    expect(instructionCount((stages[0] as AggregateStage).program)).toBe(0);
  });

  it("carry opaque columns by row index", () => {
    const plan = t.where(col("a").gt(1)).select("tags", { c: col("a") });
    const stage = lowered(plan).stages[0] as ProjectStage;
    expect(stage.passthrough).toEqual([{ field: schema.fields[4], position: 0, inputColumn: 4 }]);
    expect(stage.outputs).toEqual(["a", "row index"]);
    expect(stage.output.map(({ name }) => name)).toEqual(["c"]);
    expect(lowered(plan).source.columns).toEqual([0, 4]);
  });
});

describe("programs", () => {
  const program = (plan: Plan) => lowered(plan).stages[0] as ProjectStage;

  it("compute common parts once", () => {
    const twice = program(t.select({ p: col("x").mul(2).add(1), q: col("x").mul(2).sub(1) }));
    // x, 2, x * 2, 1, sum, difference.
    expect(twice.instructions).toEqual(["x", "2", "x * 2", "1", "(x * 2) + 1", "(x * 2) - 1"]);
    expect(instructionCount(twice.program)).toBe(twice.instructions.length);
  });

  it("stay small where every step uses the last one twice", () => {
    let plan: Plan = t.select({ x: col("x") });
    for (let step = 0; step < 40; step++) plan = plan.select({ x: col("x").add(col("x")) });
    expect(program(plan).instructions.length).toBe(41);
  });

  it("load again after a filter, but not literals", () => {
    const stage = program(t.where(col("a").eq(7)).select("a", { seven: lit(7), b: col("a").add(7) }));
    expect(stage.instructions).toEqual(["a", "7", "a = 7", "a = 7", "a", "a + 7"]);
  });

  it("fold what depends on no column, but leave errors to the rows that reach them", () => {
    expect(program(t.select({ y: lit(2).mul(3).add(4) })).instructions).toEqual([
      "((2 * 3) + 4)".slice(1, -1),
    ]);
    const failing = program(t.select({ y: lit(2147483647).add(1) }));
    expect(failing.instructions).toEqual(["2147483647", "1", "2147483647 + 1"]);
  });

  it("filter in groups: sure and cheap, sure and dear, then what can fail", () => {
    const plan = t.where(
      col("a").add(1).gt(2),
      col("s").like("%x%"),
      col("a").gt(0).and(col("x").lt(1)),
      lit(true),
    );
    expect(program(plan).filters).toEqual(["a > 0 and x < 1", "s like '%x%'", "(a + 1) > 2"]);
  });

  it("mask only what can fail, by the rows that reach it", () => {
    const masked = (plan: Plan) => masks(program(plan).program);
    expect(masked(t.select({ y: when(col("x").gt(0)).then(col("x").div(2)).otherwise(0) }))).toBe(0);
    expect(masked(t.select({ y: when(col("a").gt(0)).then(col("a").add(1)).otherwise(0) }))).toBe(1);
    expect(masked(t.select({ y: coalesce(col("a"), col("b").add(1)) }))).toBe(1);
    // Unmasked already: shared.
    expect(
      masked(t.select({ p: col("a").add(1), q: when(col("a").gt(0)).then(col("a").add(1)).otherwise(0) })),
    ).toBe(0);
    const filtered = t.aggregate({ m: max(col("a").add(1), { filter: col("a").lt(5) }) });
    expect(masks((lowered(filtered).stages[0] as AggregateStage).program)).toBe(1);
  });
});

/** Instructions that carry a mask. */
function masks(program: Uint8Array): number {
  const view = new DataView(program.buffer, program.byteOffset);
  const counts = [ProgramHeader.COLUMNS, ProgramHeader.REGISTERS].map((at) => view.getUint32(at, true));
  const start = (ProgramHeader.SIZE + 4 * (counts[0]! + counts[1]!) + 7) & ~7;
  const all = Array.from({ length: instructionCount(program) }, (_, index) =>
    view.getUint16(start + index * 32 + 12, true),
  );
  return all.filter((mask) => mask !== 0xffff).length;
}
