// ABI.md, taken at its word: the worked example with nothing but WebAssembly and the page's numbers, and
// every number of the page against kernel/abi/*.ts.

import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";

const page = readFileSync(new URL("./ABI.md", import.meta.url), "utf8");

/** The 32-bit words of a listing of the page; `P+160` is relative to `p`. */
function listing(firstLine: string, p = 0): Uint32Array {
  const lines = page.slice(page.indexOf(firstLine)).split("\n```")[0]!.split("\n");
  const words: number[] = [];
  for (const line of lines) {
    const [offset, ...cells] = line.trim().split(/\s+/);
    expect(Number(offset)).toBe(words.length * 4);
    for (const cell of cells) {
      const relative = /^P\+(\d+)$/.exec(cell);
      const whole = /^([0-9a-f]{4}):?([0-9a-f]{4})$/.exec(cell);
      if (relative) words.push(p + Number(relative[1]));
      else if (whole) words.push(Number.parseInt(whole[1]! + whole[2]!, 16));
      else break;
    }
  }
  return Uint32Array.from(words);
}

/** Rows of an I32 and an I64 column whose descriptors begin at `at`. */
function readRows(view: DataView, rows: number, at: number): [number | null, bigint][] {
  const u32 = (address: number) => view.getUint32(address, true);
  expect([u32(at), u32(at + 64)]).toEqual([4, 5]);
  const [validity, keys, sums] = [u32(at + 20), u32(at + 28), u32(at + 64 + 28)];
  return Array.from({ length: rows }, (_, row) => [
    validity === 0 || (view.getUint8(validity + (row >> 3)) >> (row & 7)) & 1
      ? view.getInt32(keys + row * 4, true)
      : null,
    view.getBigInt64(sums + row * 8, true),
  ]);
}

describe.each([
  ["millrace.wasm", false, 1024],
  ["millrace.scalar.wasm", false, 0x8000_0000],
  ["millrace.threads.wasm", true, 1024],
] as const)("%s", (file, shared, base) => {
  test("the worked example", async () => {
    const module = await WebAssembly.compile(readFileSync(new URL(`../build/${file}`, import.meta.url)));
    const memory = new WebAssembly.Memory({ initial: base / 65536 + 32, maximum: 65536, shared });
    const { exports } = await WebAssembly.instantiate(module, { env: { memory } });
    const call = (name: string, ...values: (number | bigint)[]) =>
      (exports[name] as (...values: (number | bigint)[]) => number)(...values) >>> 0;
    const u32 = (address: number) => new DataView(memory.buffer).getUint32(address, true);
    const write = (address: number, words: Uint32Array) =>
      new Uint8Array(memory.buffer).set(new Uint8Array(words.buffer), address);

    const context = call("ctx_init", base, memory.buffer.byteLength - base, 2);
    const idle = u32(base + 24);
    const config = listing("   0  00000001 00000000 00000001");
    expect(config.byteLength).toBe(200);
    const C = call("mem_alloc", context, 200);
    write(C, config);
    const handle = call("op_create", context, 1, C, 200);
    expect(handle).not.toBe(0);
    call("mem_free", context, C);

    const P = call("mem_alloc", context, 224);
    const batch = listing("   0  00000004 00000000 00000002", P);
    expect(batch.byteLength).toBe(216);
    write(P, batch);
    expect(call("op_push", context, handle, 0, P)).toBe(0);
    call("mem_free", context, P);
    expect(call("op_watermark", context, handle, 0, 2n ** 63n - 1n)).toBe(1);

    const O = call("mem_alloc", context, 32);
    const rows: [number | null, bigint][] = [];
    let status = 1;
    while (status === 1) {
      status = call("op_pull", context, handle, O, 65536, 0);
      if (u32(O) > 0) rows.push(...readRows(new DataView(memory.buffer), u32(O), u32(O + 12)));
    }
    expect(status).toBe(2);
    expect(rows.sort((a, b) => Number(b[1] - a[1]))).toEqual([
      [1, 40n],
      [2, 20n],
      [null, 5n],
    ]);
    expect(call("op_destroy", context, handle)).toBe(0);
    call("mem_free", context, O);
    expect(u32(base + 24)).toBe(idle);
  });
});

/** Members of each enum of kernel/abi, as `value NAME`, without sizes. */
const enums = new Map<string, string[]>();
for (const file of ["status", "layout", "operator", "instruction", "window", "over"]) {
  const source = readFileSync(new URL(`./abi/${file}.ts`, import.meta.url), "utf8");
  for (const [, name, body] of source.matchAll(/^export const enum (\w+) \{\n([\s\S]*?)^\}/gm)) {
    const members = [...body!.matchAll(/^ {2}(\w+) = (-?\w+),$/gm)].filter(([, member]) => member !== "SIZE");
    enums.set(
      name!,
      members.map(([, member, value]) => `${Number(value)} ${member}`),
    );
  }
}

describe("the page's numbers are those of kernel/abi", () => {
  const tables = page
    .split("\n\n")
    .map((block) => [...block.matchAll(/^\| (-?\d+) \| `(\w+)` \|/gm)].map((row) => `${row[1]} ${row[2]}`));
  const limits = ["Abi", "ProgramLimit"];

  test.each([...enums.keys()].filter((name) => !limits.includes(name)))("%s", (name) => {
    expect(tables).toContainEqual(enums.get(name));
  });

  test("limits", () => {
    for (const member of enums.get("ProgramLimit")!) {
      const [value, name] = member.split(" ");
      expect(page).toContain(`| \`${name}\` | ${Number(value)} |`);
    }
    expect(enums.get("Abi")).toEqual(["1 VERSION", "2048 VECTOR_ROWS", "65536 MORSEL_ROWS"]);
    expect(page).toContain("ABI version: **1**");
  });

  test("every export is on the page", () => {
    const source = readFileSync(new URL("./index.ts", import.meta.url), "utf8");
    const names = [...source.matchAll(/^export function (\w+)\(/gm)].map(([, name]) => name!);
    expect(names).toHaveLength(42);
    for (const name of names) expect(page).toContain(`| \`${name}(`);
  });
});
