// The heap through its exports, against a model that knows every block: in each build, at low addresses
// and above 2 GiB, where a signed comparison would go wrong.

import { Worker } from "node:worker_threads";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Kernel } from "../../bindings/ts/kernel/kernel.js";
import { BUILDS } from "../../bindings/ts/kernel/testing.js";
import { int32 } from "../../bindings/ts/type/data-type.js";
import { ArgumentError, MemoryLimitError } from "../../bindings/ts/type/error.js";
import { Root } from "../abi/layout.js";
import { compileBuild } from "../operator/testing-raw.js";
import { LASTING } from "../operator/testing-retries.js";

const BASES = [1024, 0x7fff0000, 0x9000_0040] as const;
const MEBIBYTE = 2 ** 20;

const cases = BUILDS.flatMap((build) => BASES.map((base) => [build, base] as const));

interface Block {
  readonly address: number;
  readonly bytes: number;
  readonly mark: number;
}

/** Fills the first and last bytes, so that a block which overlaps another is noticed. */
function stamp(kernel: Kernel, { address, bytes, mark }: Block): void {
  const end = address + bytes;
  kernel.memory.bytes.fill(mark, address, Math.min(address + 16, end));
  kernel.memory.bytes.fill(mark, Math.max(end - 16, address), end);
}

function isIntact(kernel: Kernel, { address, bytes, mark }: Block): boolean {
  const memory = kernel.memory.bytes;
  const head = memory.subarray(address, Math.min(address + 16, address + bytes));
  const tail = memory.subarray(Math.max(address + bytes - 16, address), address + bytes);
  return head.every((byte) => byte === mark) && tail.every((byte) => byte === mark);
}

/** Whether no block of the heap is free. */
const hasNoFreeBlock = ({ memory: { view, root } }: Kernel) =>
  [0, 4, 8, 12].every((word) => view.getUint32(root + Root.FREE_MAP + word, true) === 0);

/** What a block of `bytes` takes of the budget, at least: a header of 64 and whole grains of 64. */
const taken = (bytes: number) => Math.ceil((Math.max(bytes, 1) + 64) / 64) * 64;

describe.each(cases)("%s build, root block at %i", (build, base) => {
  let kernel: Kernel;
  let start = { used: 0, blocks: 0 };
  beforeAll(async () => {
    kernel = await Kernel.open({ build, base, budget: 64 * MEBIBYTE });
    start = { used: kernel.usedBytes, blocks: kernel.blocks };
  });
  afterAll(() => kernel.close());

  const root = (field: Root) => kernel.memory.view.getUint32(base + field, true);

  test("blocks are aligned, apart from each other, counted, and merge back when freed", () => {
    const action = fc.record({
      allocate: fc.boolean(),
      bytes: fc.oneof(fc.nat(300), fc.nat(100_000)),
      pick: fc.nat(1000),
    });
    const top = root(Root.HEAP_TOP);
    fc.assert(
      fc.property(fc.array(action, { maxLength: 120 }), (actions) => {
        const blocks: Block[] = [];
        actions.forEach(({ allocate, bytes, pick }, step) => {
          if (allocate || blocks.length === 0) {
            const block = { address: kernel.allocate(bytes), bytes, mark: (step % 255) + 1 };
            expect(block.address % 64).toBe(0);
            expect(block.address).toBeGreaterThan(base);
            stamp(kernel, block);
            blocks.push(block);
          } else {
            const [block] = blocks.splice(pick % blocks.length, 1);
            expect(isIntact(kernel, block!)).toBe(true);
            kernel.free(block!.address);
          }
          expect(kernel.blocks).toBe(start.blocks + blocks.length);
        });
        const least = blocks.reduce((sum, { bytes }) => sum + taken(bytes), start.used);
        expect(kernel.usedBytes).toBeGreaterThanOrEqual(least);
        expect(kernel.usedBytes).toBeLessThan(least + blocks.length * 256 + 1);
        for (const block of blocks) {
          expect(isIntact(kernel, block)).toBe(true);
          kernel.free(block.address);
        }
        expect([kernel.usedBytes, kernel.blocks]).toEqual([start.used, start.blocks]);
        expect([hasNoFreeBlock(kernel), root(Root.HEAP_TOP)]).toEqual([true, top]);
      }),
      { numRuns: 20 },
    );
  });

  test("the budget is kept, and what is freed can be used again", () => {
    const half = kernel.allocate(32 * MEBIBYTE);
    expect(() => kernel.allocate(32 * MEBIBYTE)).toThrow(MemoryLimitError);
    expect(() => kernel.allocate(2 ** 33)).toThrow(MemoryLimitError);
    kernel.free(half);
    const most = kernel.allocate(64 * MEBIBYTE - start.used - 64);
    expect(kernel.usedBytes).toBe(64 * MEBIBYTE);
    expect(kernel.peakBytes).toBe(64 * MEBIBYTE);
    expect(() => kernel.allocate(1)).toThrow(/64 MiB of the budget of 64 MiB/);
    kernel.free(most);
    expect(kernel.usedBytes).toBe(start.used);
  });

  test("what an account is charged is counted and bound, and it goes with its last block", () => {
    const own = kernel.account("1 MiB");
    const opened = kernel.usedBytes;
    const blocks = [own.allocate(1000), own.allocate(200_000)];
    const other = kernel.allocate(5000);
    const used = taken(1000) + taken(200_000);
    expect(own.ownUse).toEqual({ usedBytes: used, limitBytes: MEBIBYTE });
    expect([own.freeBytes, own.budgetBytes]).toEqual([MEBIBYTE - used, MEBIBYTE]);
    expect(() => own.allocate(MEBIBYTE)).toThrow(
      /of the query: 1 MiB more do not fit, 196.44 KiB of the 1 MiB/,
    );
    expect(() => own.allocate(65 * MEBIBYTE)).toThrow(MemoryLimitError);
    kernel.free(kernel.allocate(2 * MEBIBYTE));
    own.free(blocks.shift()!);
    own.free(other);
    expect(own.ownUse!.usedBytes).toBe(taken(200_000));
    const operator = own.hashAggregate({
      columns: [{ name: "k", type: int32 }],
      keys: ["k"],
      aggregates: [{ name: "n", function: "count" }],
    });
    expect(own.ownUse!.usedBytes).toBeGreaterThan(taken(200_000) + operator.stats().stateBytes);
    own.closeAccount();
    own.closeAccount();
    expect([own.ownUse, own.budgetBytes]).toEqual([null, 64 * MEBIBYTE]);
    operator.destroy();
    expect(kernel.usedBytes).toBe(opened + taken(200_000));
    kernel.free(blocks[0]!);
    expect([kernel.usedBytes, kernel.blocks]).toEqual([start.used, start.blocks]);
  });

  test("what is no account is refused", () => {
    const block = kernel.allocate(1000);
    kernel.memory.bytes.fill(0, block, block + 1000);
    const account = kernel.call((exports, context) => exports.mem_account(context, 0)) >>> 0;
    for (const wrong of [block, account + 64, account + 8, base, 64, 1]) {
      expect(kernel.call((exports, context) => exports.mem_charge(context, wrong))).toBe(0);
      expect(kernel.call((exports, context) => exports.mem_account_close(context, wrong))).toBe(0);
    }
    expect(() => kernel.free(account)).toThrow(ArgumentError);
    expect(kernel.call((exports, context) => exports.mem_account_close(context, account))).toBe(1);
    expect(kernel.call((exports, context) => exports.mem_account_close(context, account))).toBe(0);
    expect(() => kernel.account("65 MiB")).toThrow(ArgumentError);
    kernel.free(block);
    expect([kernel.usedBytes, kernel.blocks]).toEqual([start.used, start.blocks]);
  });

  test("a block that suffices is found behind many of its class that do not", () => {
    const sizes = [4992, ...Array.from({ length: 20 }, () => 4096)];
    const blocks = sizes.map((bytes) => [kernel.allocate(bytes), kernel.allocate(1)] as const);
    for (const [block] of blocks) kernel.free(block);
    expect(kernel.allocate(4992)).toBe(blocks[0]![0]);
    // One of a larger class is cut where the class at hand has none left that suffices.
    const less = kernel.allocate(3000);
    expect(less).toBeLessThan(blocks[20]![1]);
    for (const block of [blocks[0]![0], less, ...blocks.map(([, between]) => between)]) kernel.free(block);
    expect([kernel.usedBytes, kernel.blocks, hasNoFreeBlock(kernel)]).toEqual([
      start.used,
      start.blocks,
      true,
    ]);
  });

  test("the nth allocation fails on demand, once", () => {
    kernel.failAllocation(2);
    const first = kernel.allocate(100);
    expect(() => kernel.allocate(100)).toThrow(MemoryLimitError);
    const third = kernel.allocate(100);
    kernel.failAllocation(1);
    kernel.failAllocation(0);
    kernel.free(kernel.allocate(100));
    kernel.failAllocation(1);
    expect(() => kernel.account("1 MiB")).toThrow(MemoryLimitError);
    kernel.free(first);
    kernel.free(third);
  });

  test("the nth allocation fails on demand, and all that follow", () => {
    kernel.failAllocation(2 | LASTING);
    const first = kernel.allocate(100);
    for (let time = 0; time < 3; time++) expect(() => kernel.allocate(100)).toThrow(MemoryLimitError);
    kernel.failAllocation(0);
    kernel.free(kernel.allocate(100));
    kernel.free(first);
  });

  test("an address that is no block's is refused", () => {
    const block = kernel.allocate(1000);
    kernel.memory.bytes.fill(0, block, block + 1000);
    for (const wrong of [block + 64, block + 8, base, 64, block + 10 * MEBIBYTE]) {
      expect(() => kernel.free(wrong)).toThrow(ArgumentError);
    }
    kernel.free(block);
    expect(() => kernel.free(block)).toThrow(ArgumentError);
  });
});

test("a heap larger than 2 GiB", async () => {
  const kernel = await Kernel.open({ budget: "4290000000" });
  const large = kernel.allocate(2.5 * 2 ** 30);
  const beyond = kernel.allocate(MEBIBYTE);
  expect(beyond).toBeGreaterThan(2.5 * 2 ** 30);
  const block = { address: beyond, bytes: MEBIBYTE, mark: 77 };
  stamp(kernel, block);
  expect(isIntact(kernel, block)).toBe(true);
  expect(() => kernel.allocate(1.5 * 2 ** 30)).toThrow(MemoryLimitError);
  // Without a budget it is the address space that ends, and a block that could not even be described.
  kernel.call((exports, context) => exports.mem_budget(context, 0));
  expect(() => kernel.allocate(1.5 * 2 ** 30)).toThrow(MemoryLimitError);
  expect(() => kernel.allocate(2 ** 32 - 4096)).toThrow(MemoryLimitError);
  kernel.setBudget("4290000000");
  kernel.free(large);
  const again = kernel.allocate(2.25 * 2 ** 30);
  expect(again).toBe(large);
  expect(isIntact(kernel, block)).toBe(true);
  kernel.free(beyond);
  kernel.free(again);
  expect(hasNoFreeBlock(kernel)).toBe(true);
});

test("memory grows by as much as its maximum leaves, and what its host has grown is used", async () => {
  const module = await compileBuild("millrace.wasm");
  const memory = new WebAssembly.Memory({ initial: 40, maximum: 56 });
  const { exports } = new WebAssembly.Instance(module, { env: { memory } });
  const call = (name: string, ...values: number[]) =>
    (exports[name] as (...values: number[]) => number)(...values) >>> 0;
  const context = call("ctx_init", 1024, 40 * 65536 - 1024, 2);
  expect(context).not.toBe(0);
  const blocks: number[] = [];
  const fill = () => {
    for (let at = call("mem_alloc", context, 100_000); at !== 0; at = call("mem_alloc", context, 100_000)) {
      blocks.push(at);
      expect(at + 100_000).toBeLessThanOrEqual(memory.buffer.byteLength);
    }
  };
  // Beyond the heap's end, though the kernel has not been told.
  memory.grow(8);
  fill();
  // Growth in large steps is refused near the end: then no more is asked for than is missing.
  expect(memory.buffer.byteLength).toBe(56 * 65536);
  expect(56 * 65536 - Math.max(...blocks) - 100_000).toBeLessThan(100_100);
  expect(blocks.length).toBeGreaterThan(25);
  for (const block of blocks) expect(call("mem_free", context, block)).toBe(1);
});

/** Allocates, stamps, checks and frees in a loop; reports the number of blocks that another worker wrote to. */
const HAMMER = `
  const { workerData, parentPort } = require("node:worker_threads");
  const { module, memory, base, mark, rounds } = workerData;
  const { exports } = new WebAssembly.Instance(module, { env: { memory } });
  const context = exports.ctx_init(base, 0, 1) >>> 0;
  let broken = 0;
  let held = [];
  for (let round = 0; round < rounds; round++) {
    const bytes = 64 + ((round * 7919 + mark * 104729) % 5000);
    const address = exports.mem_alloc(context, bytes) >>> 0;
    if (address === 0) { broken++; continue; }
    new Uint8Array(memory.buffer, address, bytes).fill(mark);
    held.push([address, bytes]);
    if (held.length < 20) continue;
    const [old, size] = held.splice((round * 31) % held.length, 1)[0];
    if (new Uint8Array(memory.buffer, old, size).some((byte) => byte !== mark)) broken++;
    if (!exports.mem_free(context, old)) broken++;
  }
  for (const [address] of held) if (!exports.mem_free(context, address)) broken++;
  if (!exports.mem_free(context, context)) broken++;
  parentPort.postMessage(broken);
`;

test("workers that share a memory share its heap without treading on each other", async () => {
  const kernel = await Kernel.open({ build: "threads", budget: 256 * MEBIBYTE });
  const before = [kernel.usedBytes, kernel.blocks];
  const run = (mark: number) =>
    new Promise<number>((resolve, reject) => {
      const worker = new Worker(HAMMER, {
        eval: true,
        workerData: { ...kernel.share(), mark, rounds: 3000 },
      });
      worker.on("message", resolve);
      worker.on("error", reject);
    });
  expect(await Promise.all([run(1), run(2)])).toEqual([0, 0]);
  expect([kernel.usedBytes, kernel.blocks]).toEqual(before);
  expect(hasNoFreeBlock(kernel)).toBe(true);
});

test("a second context in the same process attaches to a shared memory only", async () => {
  const kernel = await Kernel.open({ build: "threads" });
  const other = await Kernel.attach(kernel.share());
  const [a, b] = [kernel.allocate(1000), other.allocate(1000)];
  expect(Math.abs(a - b)).toBeGreaterThanOrEqual(1000);
  kernel.free(b);
  other.free(a);
  other.close();
  expect(kernel.blocks).toBe(1);
  const unshared = await Kernel.open({ build: "scalar" });
  expect(() => unshared.share()).toThrow(ArgumentError);
});
