// `millrace/kernel` without apache-arrow: two kernels aggregate a half each, and one finishes what both began.
// The state between them is ordinary record batches, so the second could be another process or machine.
// `npx tsx examples/partial-and-final.ts`

import { type BatchData, float64, int32, Kernel, type NamedAggregateSpec } from "millrace/kernel";

function batch(keys: number[], values: number[]): BatchData {
  const fields = [
    { name: "key", type: int32, nullable: false },
    { name: "value", type: float64, nullable: false },
  ];
  const column = (type: typeof int32 | typeof float64, bytes: Uint8Array) => ({
    type,
    length: keys.length,
    offset: 0,
    nullCount: 0,
    validity: null,
    offsets: null,
    values: bytes,
    dictionary: null,
  });
  return {
    schema: { fields },
    length: keys.length,
    columns: [
      column(int32, new Uint8Array(Int32Array.from(keys).buffer)),
      column(float64, new Uint8Array(Float64Array.from(values).buffer)),
    ],
  };
}

const sums: NamedAggregateSpec = {
  columns: [
    { name: "key", type: int32 },
    { name: "value", type: float64 },
  ],
  keys: ["key"],
  aggregates: [
    { name: "total", function: "sum", column: "value" },
    { name: "rows", function: "count" },
  ],
};

const [here, there] = await Promise.all([Kernel.open(), Kernel.open()]);
const partial = there.hashAggregate({ ...sums, partial: true });
const final = here.hashAggregate(sums);
final.push(batch([2, 1], [0.2, -1e16]));
// State leaves while rows come, when they hardly reduce, and the rest of it at the end.
for (const state of partial.process(batch([1, 2, 1], [1e16, 0.1, 1]))) final.merge(state);
for (const state of partial.finish()) final.merge(state);

for (const result of final.finish()) {
  const [key, total, rows] = result.columns.map(({ values }) => values);
  const keys = new Int32Array(key!.buffer, key!.byteOffset, result.length);
  const totals = new Float64Array(total!.buffer, total!.byteOffset, result.length);
  const counts = new BigInt64Array(rows!.buffer, rows!.byteOffset, result.length);
  // Key 1 is 1, exactly: plain float adds would have lost it beside 1e16.
  keys.forEach((one, row) => {
    console.log(`key ${one}: total ${totals[row]}, rows ${counts[row]}`);
  });
}
partial.destroy();
final.destroy();
here.close();
there.close();
