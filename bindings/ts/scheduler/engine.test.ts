import {
  Schema as ArrowSchema,
  Bool,
  Field,
  Float64,
  Int32,
  List,
  makeData,
  RecordBatch,
  Struct,
  Table,
  tableFromArrays,
  tableFromIPC,
  tableToIPC,
  Utf8,
  vectorFromArray,
} from "apache-arrow";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import {
  col,
  count,
  countDistinct,
  Engine,
  type Expression,
  from,
  int32,
  int64,
  type KernelTable,
  source,
  sum,
  utf8,
  when,
} from "../index.js";
import type { BatchData } from "../type/column.js";
import {
  ArgumentError,
  ClosedError,
  MalformedArrowError,
  MemoryLimitError,
  type MillraceError,
  OverflowError,
  PlanError,
  SchemaMismatchError,
  TypeMismatchError,
  UnknownColumnError,
} from "../type/error.js";

let engine: Engine;
beforeAll(async () => {
  engine = await Engine.open({ memory: "512 MiB" });
});
afterAll(() => engine.close());

const orders = tableFromArrays({
  seller: ["ada", "bo", "ada", "cy"],
  amount: Float64Array.of(0.1, 25, 0.2, 4),
  quantity: Int32Array.of(1, 2, 3, 4),
});
const bySeller = from("orders")
  .groupBy("seller")
  .aggregate({ amount: sum("amount"), orders: count() })
  .orderBy("seller");
const EXPECTED = [
  { seller: "ada", amount: 0.30000000000000004, orders: 2n },
  { seller: "bo", amount: 25, orders: 1n },
  { seller: "cy", amount: 4, orders: 1n },
];

function rowsOf(table: Table): unknown[] {
  return table.toArray().map((row) => row.toJSON());
}

async function streamed(run: AsyncIterable<RecordBatch>): Promise<unknown[]> {
  const batches: RecordBatch[] = [];
  for await (const batch of run) batches.push(batch);
  return batches.flatMap((batch) => rowsOf(new Table([batch])));
}

/** Runs `work` and checks that every byte it took is given back. */
async function returnsItsMemory(work: () => Promise<unknown>): Promise<void> {
  const before = engine.stats();
  await work();
  const after = engine.stats();
  expect(after.usedBytes).toBe(before.usedBytes);
  expect(after.activeRuns).toBe(before.activeRuns);
}

describe("inputs", () => {
  const halves = [orders.slice(0, 2), orders.slice(2)];
  const inputs: Record<string, () => object> = {
    "a table": () => orders,
    "a sliced, chunked table": () => new Table(halves.flatMap((half) => half.batches)),
    "a record batch": () => orders.batches[0]!,
    "IPC stream bytes": () => tableToIPC(orders, "stream"),
    "IPC file bytes": () => tableToIPC(orders, "file"),
    "an array of record batches": () => halves.flatMap((half) => half.batches),
    "a generator of tables": () =>
      (function* () {
        yield* halves;
      })(),
    "an async generator": () =>
      (async function* () {
        for (const half of halves) yield* half.batches;
      })(),
    "a ReadableStream": () =>
      new ReadableStream({
        start(controller) {
          for (const half of halves) for (const batch of half.batches) controller.enqueue(batch);
          controller.close();
        },
      }),
    "a ReadableStream that is not iterable": () => {
      const stream = new ReadableStream({
        start(controller) {
          for (const half of halves) for (const batch of half.batches) controller.enqueue(batch);
          controller.close();
        },
      });
      return { getReader: () => stream.getReader() };
    },
  };

  it.each(Object.keys(inputs))("%s", async (name) => {
    await returnsItsMemory(async () => {
      expect(rowsOf(await engine.collect(bySeller, { orders: inputs[name]!() }))).toEqual(EXPECTED);
      expect(await streamed(engine.stream(bySeller, { orders: inputs[name]!() }))).toEqual(EXPECTED);
    });
  });

  it("a table that the plan was built from", async () => {
    const plan = from(orders).groupBy("seller").aggregate({ orders: count() }).orderBy("seller");
    expect(rowsOf(await engine.collect(plan))).toEqual(
      EXPECTED.map(({ seller, orders }) => ({ seller, orders })),
    );
  });

  it("a table in the kernel's memory, and a result that stays there", async () => {
    await returnsItsMemory(async () => {
      const loaded = await engine.load(orders);
      expect(loaded.rows).toBe(4);
      expect(rowsOf(await engine.collect(bySeller, { orders: loaded }))).toEqual(EXPECTED);
      const plan = from("orders")
        .groupBy("seller")
        .aggregate({ amount: sum("amount"), orders: count() });
      const result = await engine.collect(plan, { orders: loaded }, { result: "kernel" });
      expect(result.rows).toBe(3);
      const again = from("sellers").aggregate({ total: sum("amount"), sellers: count() });
      expect(rowsOf(await engine.collect(again, { sellers: result }))).toEqual([
        { total: 29.3, sellers: 3n },
      ]);
      expect(rowsOf(result.toArrow()).length).toBe(3);
      result.free();
      result.free();
      loaded.free();
      await expect(engine.collect(bySeller, { orders: loaded })).rejects.toThrow(ClosedError);
    });
  });

  it("batches whose columns stand in another order, beside others", async () => {
    const other = tableFromArrays({
      extra: Int32Array.of(1),
      quantity: Int32Array.of(9),
      amount: Float64Array.of(1),
      seller: ["bo"],
    });
    const rows = rowsOf(await engine.collect(bySeller, { orders: [orders, other] }));
    expect(rows).toEqual([EXPECTED[0], { seller: "bo", amount: 26, orders: 2n }, EXPECTED[2]]);
  });

  it("dictionary and plain batches of one source", async () => {
    const plain = new Table({
      seller: vectorFromArray(["ada", "zoe"], new Utf8()),
      amount: vectorFromArray([1, 2], new Float64()),
    });
    const rows = rowsOf(await engine.collect(bySeller, { orders: [orders, plain] }));
    expect(rows.map((row) => (row as { seller: string; orders: bigint }).seller)).toEqual([
      "ada",
      "bo",
      "cy",
      "zoe",
    ]);
    expect(rows[0]).toEqual({ seller: "ada", amount: 1.3, orders: 3n });
  });

  it("a stream without batches, whose columns the plan declares", async () => {
    const plan = from(source("orders", { seller: utf8, quantity: int32 })).aggregate({
      orders: count(),
      total: sum("quantity"),
    });
    expect(rowsOf(await engine.collect(plan, { orders: [] }))).toEqual([{ orders: 0n, total: null }]);
  });

  it("a table without rows", async () => {
    const table = await engine.collect(bySeller, { orders: orders.slice(0, 0) });
    expect(table.numRows).toBe(0);
    expect(table.schema.names).toEqual(["seller", "amount", "orders"]);
  });

  it("rows without columns", async () => {
    const batch = new RecordBatch(
      new ArrowSchema([]),
      makeData({ type: new Struct([]), length: 7, nullCount: 0, children: [] }),
    );
    expect(rowsOf(await engine.collect(from("t").aggregate({ n: count() }), { t: batch }))).toEqual([
      { n: 7n },
    ]);
  });
});

describe("results", () => {
  it("outlive the engine", async () => {
    const short = await Engine.open();
    const table = await short.collect(bySeller, { orders });
    await short.close();
    expect(rowsOf(table)).toEqual(EXPECTED);
  });

  it("survive an IPC round trip", async () => {
    const table = await engine.collect(bySeller, { orders });
    expect(rowsOf(tableFromIPC(tableToIPC(table)))).toEqual(EXPECTED);
  });

  it("carry lists through filters, order and limits", async () => {
    const type = new List(new Field("item", new Int32(), true));
    const tags = vectorFromArray([[1], [2, 3], null, [4]], type);
    const table = new Table({ k: vectorFromArray([1, 2, 3, 4], new Int32()), tags });
    const plan = from("t").where(col("k").ne(2)).orderBy("k").limit(2, 1);
    const result = await engine.collect(plan, { t: [table.slice(0, 1), table.slice(1)] });
    expect(result.toArray().map((row) => [row.k, row.tags === null ? null : [...row.tags]])).toEqual([
      [3, null],
      [4, [4]],
    ]);
    expect(() => from(table).groupBy("tags").aggregate({ n: count() })).toThrow(TypeMismatchError);
    await expect(
      engine.collect(from("t").groupBy("tags").aggregate({ n: count() }), { t: table }),
    ).rejects.toThrow(/"tags".*List/i);
  });

  it("marks plain float sums in the schema", async () => {
    const table = await engine.collect(
      from("orders").aggregate({ fast: sum("amount", { fast: true }), exact: sum("amount") }),
      {
        orders,
      },
    );
    expect(table.schema.fields.map((field) => field.metadata.get("millrace.exact") ?? null)).toEqual([
      "false",
      null,
    ]);
  });
});

describe("changelog", () => {
  const plan = from("orders")
    .groupBy("seller")
    .aggregate({ quantity: sum("quantity") });
  const batches = [orders.slice(0, 2), orders.slice(2)];

  it("emits +I, then -U and +U for what a push changed", async () => {
    const run = engine.stream(plan, { orders: batches }, { emit: "onUpdate" });
    const changes = (await streamed(run)) as { seller: string; quantity: bigint; row_kind: number }[];
    const said = changes.map(
      ({ seller, quantity, row_kind }) => `${["+I", "-U", "+U", "-D"][row_kind]} ${seller} ${quantity}`,
    );
    expect(said.slice(0, 2).sort()).toEqual(["+I ada 1", "+I bo 2"]);
    expect(said.slice(2).sort()).toEqual(["+I cy 4", "+U ada 4", "-U ada 1"]);
    expect(said.indexOf("-U ada 1")).toBeLessThan(said.indexOf("+U ada 4"));
  });

  it("goes through filters and projections", async () => {
    const kept = plan.where(col("quantity").gt(1)).select("seller", { twice: col("quantity").mul(2) });
    const run = engine.stream(kept, { orders: batches }, { emit: "onUpdate" });
    const changes = (await streamed(run)) as { seller: string; twice: bigint; row_kind: number }[];
    expect(changes.map(({ seller, twice, row_kind }) => `${row_kind} ${seller} ${twice}`).sort()).toEqual([
      "0 bo 4",
      "0 cy 8",
      "2 ada 8",
    ]);
  });

  it("cannot be sorted or limited", async () => {
    for (const wrong of [plan.orderBy("seller"), plan.limit(1)]) {
      const run = engine.stream(wrong, { orders: batches }, { emit: "onUpdate" });
      await expect(run.next()).rejects.toThrow(PlanError);
      await expect(engine.stream(wrong, { orders: batches }, { emit: "onUpdate" }).next()).rejects.toThrow(
        /onUpdate/,
      );
    }
  });
});

describe("backpressure and ends", () => {
  function counting(batches = 100) {
    const state = { pulled: 0, returned: false };
    const iterable = (async function* () {
      try {
        for (; state.pulled < batches; ) {
          state.pulled += 1;
          yield orders.batches[0]!;
        }
      } finally {
        state.returned = true;
      }
    })();
    return { state, iterable };
  }
  const passing = from("orders").select("seller", "quantity");

  it("reads a batch only when it is asked for", async () => {
    await returnsItsMemory(async () => {
      const { state, iterable } = counting();
      const run = engine.stream(passing, { orders: iterable });
      expect(state.pulled).toBe(0);
      await run.next();
      expect(state.pulled).toBe(1);
      await run.next();
      expect(state.pulled).toBe(2);
      expect(run.stats).toMatchObject({ rowsIn: 8, batchesIn: 2, rowsOut: 8, batchesOut: 2, lateRows: 0 });
      await run.return();
      expect(state.returned).toBe(true);
    });
  });

  it("breaking out of the loop ends the source", async () => {
    await returnsItsMemory(async () => {
      const { state, iterable } = counting();
      for await (const _ of engine.stream(passing, { orders: iterable })) break;
      expect(state).toEqual({ pulled: 1, returned: true });
    });
  });

  it("a signal stops a stream, a batch, and a run that has not begun", async () => {
    await returnsItsMemory(async () => {
      const controller = new AbortController();
      const { state, iterable } = counting(1e9);
      const reason = new Error("enough");
      setTimeout(() => controller.abort(reason), 20);
      await expect(
        engine.collect(bySeller, { orders: iterable }, { signal: controller.signal }),
      ).rejects.toBe(reason);
      expect(state.returned).toBe(true);
      await expect(engine.collect(bySeller, { orders }, { signal: AbortSignal.abort(reason) })).rejects.toBe(
        reason,
      );
      const run = engine.stream(bySeller, { orders }, { signal: AbortSignal.abort(reason) });
      await expect(run.next()).rejects.toBe(reason);
    });
  });

  it("cancel ends a run at its next step", async () => {
    await returnsItsMemory(async () => {
      const { state, iterable } = counting();
      const run = engine.stream(passing, { orders: iterable });
      await run.next();
      run.cancel();
      await expect(run.next()).rejects.toThrow(ClosedError);
      expect(state.returned).toBe(true);
      expect(await run.next()).toEqual({ done: true, value: undefined });
    });
  });

  it("cancelling a run that nobody waits for gives its memory back", async () => {
    await returnsItsMemory(async () => {
      const { state, iterable } = counting();
      const run = engine.stream(passing, { orders: iterable });
      await run.next();
      run.cancel();
      await new Promise((resolve) => setTimeout(resolve, 5));
      expect(state.returned).toBe(true);
      expect(engine.stats().activeRuns).toBe(0);
    });
  });

  it.each([0, 1])("a source that never answers after %i batches is left behind", async (batches) => {
    const hanging = () =>
      (async function* () {
        for (let batch = 0; batch < batches; batch++) yield orders.batches[0]!;
        await new Promise(() => {});
      })();
    await returnsItsMemory(async () => {
      const reason = new Error("enough");
      const controller = new AbortController();
      const collecting = engine.collect(bySeller, { orders: hanging() }, { signal: controller.signal });
      const run = engine.stream(bySeller, { orders: hanging() });
      const streaming = run.next();
      setTimeout(() => {
        controller.abort(reason);
        run.cancel(reason);
      }, 5);
      await Promise.all([expect(collecting).rejects.toBe(reason), expect(streaming).rejects.toBe(reason)]);
      await new Promise((resolve) => setTimeout(resolve, 5));
    });
  });

  it("leaving a run, or closing the engine, does not wait for a source that hangs", async () => {
    const hanging = () =>
      (async function* () {
        yield orders.batches[0]!;
        await new Promise(() => {});
      })();
    const short = await Engine.open();
    const left = short.stream(bySeller, { orders: hanging() });
    const waiting = left.next();
    await new Promise((resolve) => setTimeout(resolve, 5));
    await left.return();
    expect(await waiting).toEqual({ done: true, value: undefined });
    expect(short.stats().activeRuns).toBe(0);
    const streaming = short.stream(bySeller, { orders: hanging() }).next();
    const collecting = short.collect(bySeller, { orders: hanging() });
    setTimeout(() => void short.close(), 5);
    await Promise.all([
      expect(streaming).rejects.toThrow(ClosedError),
      expect(collecting).rejects.toThrow(/the engine is closed/),
    ]);
    expect(short.stats().activeRuns).toBe(0);
  });

  it("a loaded table that is freed during a run stays until the run has read it", async () => {
    await returnsItsMemory(async () => {
      const rows = 300_000;
      const ones = await engine.load(tableFromArrays({ v: new Int32Array(rows).fill(1) }));
      const run = engine.stream(from("t").select("v"), { t: ones });
      const first = await run.next();
      ones.free();
      const sevens = await engine.load(tableFromArrays({ v: new Int32Array(rows).fill(7) }));
      let total = 0;
      const add = (batch: RecordBatch) => {
        for (const value of batch.getChild("v")!.toArray() as Int32Array) total += value;
      };
      add(first.value!);
      for await (const batch of run) add(batch);
      expect(total).toBe(rows);
      sevens.free();
      await expect(engine.collect(from("t").select("v"), { t: ones })).rejects.toThrow(ClosedError);
    });
  });

  it("what a source throws while it is let go does not hide the error", async () => {
    const failing = () => ({
      [Symbol.asyncIterator]: () => ({
        next: async () => ({ done: false, value: orders.batches[0]! }),
        return: async () => {
          throw new Error("from return()");
        },
      }),
    });
    const unknown = from("orders").aggregate({ n: sum("nothing") });
    await expect(engine.collect(unknown, { orders: failing() })).rejects.toThrow(UnknownColumnError);
    const run = engine.stream(passing, { orders: failing() });
    await run.next();
    expect(await run.return()).toEqual({ done: true, value: undefined });
  });

  it("an error of the source passes through untouched", async () => {
    await returnsItsMemory(async () => {
      const failure = new Error("socket closed");
      const failing = (async function* () {
        yield orders.batches[0]!;
        throw failure;
      })();
      await expect(engine.collect(bySeller, { orders: failing })).rejects.toBe(failure);
    });
  });

  it("closing the engine ends its runs", async () => {
    const short = await Engine.open();
    const { state, iterable } = counting();
    const run = short.stream(passing, { orders: iterable });
    await run.next();
    await short.close();
    await expect(run.next()).rejects.toThrow(ClosedError);
    expect(state.returned).toBe(true);
    await expect(short.collect(bySeller, { orders })).rejects.toThrow(ClosedError);
    expect(() => short.stream(bySeller, { orders })).toThrow(ClosedError);
    await short.close();
  });

  it("several runs share the engine", async () => {
    await returnsItsMemory(async () => {
      const runs = Array.from({ length: 5 }, () =>
        engine.stream(bySeller, { orders: counting(20).iterable }),
      );
      const results = await Promise.all([
        ...runs.map(streamed),
        engine.collect(bySeller, { orders }).then(rowsOf),
      ]);
      expect(results.pop()).toEqual(EXPECTED);
      for (const rows of results)
        expect(rows).toMatchObject([{ seller: "ada", orders: 40n }, { orders: 20n }, { orders: 20n }]);
    });
  });
});

describe("bad input is a typed error, and the engine stays usable", () => {
  async function refuses(
    plan: Parameters<Engine["collect"]>[0],
    inputs: Record<string, object>,
    type: new (...args: never[]) => MillraceError,
    message: RegExp,
    details: Partial<MillraceError> = {},
  ): Promise<void> {
    await returnsItsMemory(async () => {
      for (const run of [() => engine.collect(plan, inputs), () => streamed(engine.stream(plan, inputs))]) {
        const error = await run().then(
          () => null,
          (thrown: unknown) => thrown,
        );
        expect(error).toBeInstanceOf(type);
        expect(error).toMatchObject({ message: expect.stringMatching(message), ...details });
      }
    });
    expect(rowsOf(await engine.collect(bySeller, { orders }))).toEqual(EXPECTED);
  }

  it("an expression nested too deep, and ones that just are not", async () => {
    const quantity = col("quantity");
    const grow: Record<string, (inner: Expression, level: number) => Expression> = {
      sums: (inner) => inner.add(1),
      cases: (inner, level) => when(quantity.eq(level)).then(level).otherwise(inner),
      conditions: (inner, level) => inner.ne(quantity).and(quantity.gt(-level)),
    };
    for (const [name, step] of Object.entries(grow)) {
      const nested = (levels: number) => {
        let expression: Expression = name === "conditions" ? quantity : quantity.mul(1);
        for (let level = 0; level < levels; level++) expression = step(expression, level);
        return from("orders").select({ [name]: expression });
      };
      expect(() => nested(1100), name).toThrow(PlanError);
      if (name === "conditions") continue;
      // A CASE takes several of the 4,096 registers a level.
      const levels = name === "cases" ? 500 : 990;
      expect((await engine.collect(nested(levels), { orders })).numRows, name).toBe(4);
    }
  });

  it("an unknown column, with the nearest names", () =>
    refuses(
      from("orders").groupBy("seler").aggregate({ n: count() }),
      { orders },
      UnknownColumnError,
      /"seler".*"seller"/,
      {
        column: "seler",
      },
    ));

  it("a wrong type", () =>
    refuses(from("orders").aggregate({ n: sum("seller") }), { orders }, TypeMismatchError, /seller/, {
      column: "seller",
    }));

  it("a source that was not given", () =>
    refuses(bySeller, { order: orders }, PlanError, /"orders".*given: order/));

  it("an input that holds no Arrow data", () =>
    refuses(bySeller, { orders: { rows: 3 } }, ArgumentError, /source "orders"/));

  it("batches that differ in a type", () =>
    refuses(
      bySeller,
      {
        orders: [
          orders,
          tableFromArrays({ seller: ["x"], amount: Int32Array.of(1), quantity: Int32Array.of(1) }),
        ],
      },
      SchemaMismatchError,
      /"amount" as int32 .* float64/,
      { column: "amount", expected: "float64" },
    ));

  it("batches that lack a column", () =>
    refuses(
      bySeller,
      { orders: [orders, tableFromArrays({ seller: ["x"] })] },
      SchemaMismatchError,
      /no column "amount"/,
      {
        column: "amount",
      },
    ));

  it("an integer sum past its type, with the value", () =>
    refuses(
      from("t").aggregate({ total: sum("v") }),
      { t: tableFromArrays({ v: BigInt64Array.of(2n ** 63n - 1n, 1n) }) },
      OverflowError,
      /total.*9223372036854775808/,
      { column: "total", value: 2n ** 63n },
    ));

  it("arithmetic past its type, with the row of the run", () =>
    refuses(
      from("t").select({ next: col("v").add(1) }),
      {
        t: [
          tableFromArrays({ v: Int32Array.of(1, 2) }),
          tableFromArrays({ v: Int32Array.of(3, 2 ** 31 - 1) }),
        ],
      },
      OverflowError,
      /row 3/,
      { row: 3 },
    ));

  function textBatch(offsets: number[], bytes: string, validity: Uint8Array | null = null): BatchData {
    const values = new TextEncoder().encode(bytes);
    const length = offsets.length - 1;
    return {
      schema: { fields: [{ name: "s", type: utf8, nullable: true }] },
      length,
      columns: [
        {
          type: utf8,
          length,
          offset: 0,
          nullCount: validity === null ? 0 : -1,
          validity,
          offsets: new Uint8Array(Int32Array.from(offsets).buffer),
          values,
          dictionary: null,
        },
      ],
    };
  }
  const texts = from("t").groupBy("s").aggregate({ n: count() });

  it("offsets that decrease", () =>
    refuses(
      texts,
      { t: textBatch([0, 3, 1, 4], "abcd") },
      MalformedArrowError,
      /"s", row 1.*decrease|less than/,
      {
        column: "s",
        row: 1,
      },
    ));

  it("offsets past the values", () =>
    refuses(texts, { t: textBatch([0, 2, 9], "abcd") }, MalformedArrowError, /"s", row 1.*past the end/, {
      column: "s",
      row: 1,
    }));

  it("a validity bitmap that is too short", () =>
    refuses(
      texts,
      { t: textBatch(new Array(20).fill(0), "", Uint8Array.of(255)) },
      MalformedArrowError,
      /"s".*validity bitmap/,
      {
        column: "s",
      },
    ));

  it("a dictionary index out of range", () => {
    const dictionary = textBatch([0, 1, 2], "ab").columns[0]!;
    const type = { kind: "dictionary", index: int32, value: utf8, ordered: false } as const;
    const batch: BatchData = {
      schema: { fields: [{ name: "d", type, nullable: true }] },
      length: 3,
      columns: [
        {
          type,
          length: 3,
          offset: 0,
          nullCount: 0,
          validity: null,
          offsets: null,
          values: new Uint8Array(Int32Array.of(0, 1, 2).buffer),
          dictionary: { id: 999_999_999, values: dictionary },
        },
      ],
    };
    return refuses(
      from("t").groupBy("d").aggregate({ n: count() }),
      { t: batch },
      MalformedArrowError,
      /"d", row 2.*index 2 .*2 values/,
      { column: "d", row: 2 },
    );
  });

  it("memory over budget: nothing is kept, the next query runs", async () => {
    const small = await Engine.open({ memory: "8 MiB" });
    const before = small.stats().usedBytes;
    const keys = new BigInt64Array(1_000_000).map((_, row) => BigInt(row));
    const plan = from("t")
      .groupBy("k")
      .aggregate({ n: count(), d: countDistinct("k") });
    for (let round = 0; round < 3; round++) {
      await expect(small.collect(plan, { t: tableFromArrays({ k: keys }) })).rejects.toThrow(
        MemoryLimitError,
      );
      expect(small.stats().usedBytes).toBe(before);
    }
    await expect(small.load(tableFromArrays({ k: new BigInt64Array(2_000_000) }))).rejects.toThrow(
      MemoryLimitError,
    );
    expect(small.stats().usedBytes).toBe(before);
    expect(rowsOf(await small.collect(bySeller, { orders }))).toEqual(EXPECTED);
    await small.close();
  });

  it("options out of range", async () => {
    await expect(Engine.open({ workers: 0 })).rejects.toThrow(ArgumentError);
    await expect(Engine.open({ memory: "much" })).rejects.toThrow(ArgumentError);
    await expect(Engine.open({ memory: "5 GiB" })).rejects.toThrow(ArgumentError);
    await expect(Engine.open({ build: "fastest" as "simd" })).rejects.toThrow(ArgumentError);
    await expect(Engine.open({ wasm: new URL("file:///nowhere.wasm") })).rejects.toThrow(/nowhere/);
    await expect(Engine.open({ wasm: Uint8Array.of(1, 2, 3) })).rejects.toThrow(ArgumentError);
    await expect(engine.collect(null as never, { orders })).rejects.toThrow(/not a plan/);
    await expect(engine.collect(from("orders").groupBy("seller") as never, { orders })).rejects.toThrow(
      /groupBy needs/,
    );
    await expect(engine.collect(bySeller, { orders }, { result: "nope" as "arrow" })).rejects.toThrow(
      /"arrow" or "kernel"/,
    );
    expect(() => engine.stream(bySeller, { orders }, { emit: "nope" as "onClose" })).toThrow(
      /"onClose" or "onUpdate"/,
    );
    expect(() => col("seller").isIn("abc" as never)).toThrow(ArgumentError);
    expect(() => engine.stream(bySeller, { orders }, { batchRows: 0 })).toThrow(ArgumentError);
  });

  it("collect's result type follows its option", () => {
    const kernel: () => Promise<KernelTable> = () =>
      engine.collect(bySeller, { orders }, { result: "kernel" });
    const arrow: () => Promise<Table> = () => engine.collect(bySeller, { orders });
    expect([kernel, arrow].length).toBe(2);
    expect(new Bool().toString()).toBe("Bool");
    expect(int64.kind).toBe("int");
  });
});
