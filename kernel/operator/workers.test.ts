// Two workers on one shared memory, each with its own context and operators, at the same time: their results
// must be the bits of the same operators run alone, also where both build states that one of them merges,
// and while memory grows under both.

import { Worker } from "node:worker_threads";
import { expect, test } from "vitest";
import { encodeAggregateConfig, encodeProjectConfig } from "../../bindings/ts/kernel/config.js";
import { Kernel } from "../../bindings/ts/kernel/kernel.js";
import { ProgramBuilder } from "../../bindings/ts/kernel/program.js";
import { Opcode } from "../abi/instruction.js";
import { Type } from "../abi/layout.js";
import { AggregateFunction } from "../abi/operator.js";

/**
 * Creates, feeds, saves, merges and reads operators `rounds` times over with nothing but the exports; posts a
 * digest of every result, sorted by key, as all rounds must give the same.
 */
const WORKER = `
  const { workerData, parentPort } = require("node:worker_threads");
  const { module, memory, base, configs, rounds, start } = workerData;
  const { exports } = new WebAssembly.Instance(module, { env: { memory } });
  const context = exports.ctx_init(base, 0, 1) >>> 0;
  const view = () => new DataView(memory.buffer);
  const u32 = (at) => view().getUint32(at, true);
  const alloc = (bytes) => {
    const address = exports.mem_alloc(context, bytes) >>> 0;
    if (address === 0) throw new Error("out of memory");
    return address;
  };
  const check = (status) => {
    if (status < 0) throw new Error("status " + status + ", reason " + u32((exports.last_error(context) >>> 0) + 4));
    return status;
  };
  const create = (kind, config) => {
    const at = alloc(config.length);
    new Uint8Array(memory.buffer).set(config, at);
    const handle = exports.op_create(context, kind, at, config.length) >>> 0;
    if (handle === 0) throw new Error("refused");
    exports.mem_free(context, at);
    return handle;
  };
  const ROWS = 5000;
  /** Columns I64 key, F64 value, BYTES text. */
  const batch = (seed) => {
    const at = alloc(32 + 3 * 64 + ROWS * (8 + 8 + 4 + 8) + 64);
    const [keys, values] = [at + 224, at + 224 + ROWS * 8];
    const offsets = values + ROWS * 8;
    const texts = offsets + (ROWS + 2) * 4;
    const v = view();
    new Uint8Array(memory.buffer).fill(0, at, at + 224);
    [ROWS, 0, 3, at + 32].forEach((word, i) => v.setUint32(at + i * 4, word, true));
    [[5, keys, 8], [11, values, 8], [13, texts, 8]].forEach(([type, address, width], i) => {
      const column = at + 32 + i * 64;
      v.setUint32(column, type, true);
      v.setUint32(column + 8, ROWS, true);
      v.setUint32(column + 28, address, true);
      v.setUint32(column + 32, ROWS * width, true);
      if (type !== 13) return;
      v.setUint32(column + 36, offsets, true);
      v.setUint32(column + 40, (ROWS + 1) * 4, true);
    });
    let used = 0;
    for (let row = 0; row < ROWS; row++) {
      const x = Math.imul(row + seed * ROWS, 0x9e3779b1) >>> 8;
      v.setBigInt64(keys + row * 8, BigInt(x % 3001) * 1000003n, true);
      v.setFloat64(values + row * 8, (x - 2 ** 23) * 1e-7 * (row % 17 === 0 ? 1e18 : 1), true);
      v.setInt32(offsets + row * 4, used, true);
      for (let i = 0; i < 1 + (x % 7); i++) v.setUint8(texts + used++, 97 + ((x >> i) % 26));
    }
    v.setInt32(offsets + ROWS * 4, used, true);
    return at;
  };
  const out = alloc(64);
  const rowsOf = (handle) => {
    const rows = [];
    for (let status = 1; status === 1; ) {
      status = check(exports.op_pull(context, handle, out, 701, 0));
      const [count, columns] = [u32(out), u32(out + 12)];
      const at = (column) => columns + column * 64;
      for (let row = 0; row < count; row++) {
        const cells = [];
        for (let column = 0; column < u32(out + 8); column++) {
          const values = u32(at(column) + 28);
          if (u32(at(column)) === 13) {
            const offsets = u32(at(column) + 36);
            const [from, to] = [u32(offsets + row * 4), u32(offsets + row * 4 + 4)];
            cells.push(Buffer.from(new Uint8Array(memory.buffer).slice(values + from, values + to)).toString("latin1"));
          } else cells.push(view().getBigUint64(values + row * 8, true).toString(16));
        }
        rows.push(cells.join(" "));
      }
    }
    return rows;
  };
  let digest = null;
  let error = null;
  try {
    for (let round = 0; round < rounds; round++) {
      const whole = create(1, configs[0]);
      const part = create(1, configs[0]);
      const project = create(2, configs[1]);
      const projected = [];
      for (let seed = 0; seed < 6; seed++) {
        const at = batch(seed);
        check(exports.op_push(context, seed % 2 === 0 ? whole : part, 0, at));
        check(exports.op_push(context, project, 0, at));
        projected.push(...rowsOf(project));
        exports.mem_free(context, at);
      }
      for (let status = 1; status === 1; ) {
        status = check(exports.op_snapshot(context, part, out, 911));
        check(exports.op_merge(context, whole, out));
      }
      check(exports.op_watermark(context, whole, 0, 2n ** 63n - 1n));
      const rows = rowsOf(whole).sort();
      const now = require("node:crypto").createHash("sha256").update(rows.join("\\n") + projected.join("\\n")).digest("hex");
      if (digest !== null && digest !== now) throw new Error("round " + round + " differs");
      digest = now;
      for (const handle of [whole, part, project]) check(exports.op_destroy(context, handle));
    }
  } catch (caught) {
    error = String(caught);
  }
  exports.mem_free(context, out);
  exports.mem_free(context, context);
  parentPort.postMessage({ digest, error });
`;

function configs(): Uint8Array[] {
  const build = (computed: boolean) => {
    const program = new ProgramBuilder();
    const columns = [Type.I64, Type.F64, Type.BYTES].map((type) => program.load(program.column(type)));
    if (computed) {
      const two = program.literal(Type.F64, 2);
      const positive = program.emit(Opcode.GREATER, Type.F64, { a: columns[1]!, b: two, target: Type.BOOL });
      program.filter(positive);
      const [key, value, text] = [Type.I64, Type.F64, Type.BYTES].map((_type, i) => program.load(i));
      program.output(key!);
      program.output(program.emit(Opcode.MULTIPLY, Type.F64, { a: value!, b: two }));
      program.output(program.emit(Opcode.CONCAT, Type.BYTES, { a: text!, b: text! }));
    } else for (const column of columns) program.output(column);
    return program.encode();
  };
  const aggregate = (fn: AggregateFunction, argument: number, type: Type) => ({
    function: fn,
    argument,
    type,
  });
  return [
    encodeAggregateConfig({
      program: build(false),
      keys: [{ output: 0, type: Type.I64 }],
      aggregates: [
        aggregate(AggregateFunction.SUM, 1, Type.F64),
        aggregate(AggregateFunction.AVG, 1, Type.F64),
        aggregate(AggregateFunction.MIN, 2, Type.BYTES),
        aggregate(AggregateFunction.COUNT_DISTINCT, 2, Type.BYTES),
      ],
    }),
    encodeProjectConfig(build(true), 3),
  ];
}

async function run(kernel: Kernel, workers: number, rounds: number) {
  return Promise.all(
    Array.from({ length: workers }, () => {
      return new Promise<{ digest: string | null; error: string | null }>((resolve, reject) => {
        const worker = new Worker(WORKER, {
          eval: true,
          workerData: { ...kernel.share(), configs: configs(), rounds },
        });
        worker.on("message", resolve);
        worker.on("error", reject);
      });
    }),
  );
}

test.each([1024, 0x7ff0_0000])(
  "operators of several workers do not disturb each other, base %i",
  async (base) => {
    const kernel = await Kernel.open({ build: "threads", base, budget: "1 GiB" });
    const before = [kernel.usedBytes, kernel.blocks];
    const [alone] = await run(kernel, 1, 1);
    expect(alone!.error).toBe(null);
    for (const { digest, error } of await run(kernel, 3, 5)) {
      expect(error).toBe(null);
      expect(digest).toBe(alone!.digest);
    }
    expect([kernel.usedBytes, kernel.blocks]).toEqual(before);
  },
);
