// The fuzzer over a kernel whose every load and store is checked: a copy of the source in which they go through
// functions that look, first, whether the bytes lie in blocks of the heap that are in use (or in scratch that was
// taken). What reads or writes outside of what it was given, or after it was given back, traps, and the fuzzer tells.
//
//   node scripts/guard-kernel.mjs                        plans, faults and damaged bytes, 20 s each
//   node scripts/guard-kernel.mjs --seconds 600 --seed 7 --cases 1000 --only plan
//   node scripts/guard-kernel.mjs --tests kernel/sort    these tests instead
//
// A bit says of each 64 bytes (all that the heap hands out is aligned so, and buffers are padded so) whether they may
// be touched. A block's header lies between it and the one before it and may not: the canary. Fresh blocks are filled
// with one pattern, freed ones with another, so that what is read before it was written is not 0. Fields of classes
// (`@unmanaged`) and the heap's own words are not looked at.
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { importing, KernelCopy, kernelSources, root } from "./kernel-copy.mjs";

const { values: options, positionals: tests } = parseArgs({
  allowPositionals: true,
  options: {
    seconds: { type: "string", default: "60" },
    seed: { type: "string", default: "20201111" },
    cases: { type: "string" },
    only: { type: "string" },
    tests: { type: "boolean", default: false },
  },
});

const TEST_MS = 3_600_000;
const HEAP = "kernel/memory/heap.ts";
const FREE_BLOCKS = "kernel/memory/free-blocks.ts";
const CONTEXT = "kernel/memory/context.ts";

/** What is put for what, in all files but those three. */
const CALLS = [
  [/(?<![.\w])load</g, "guardedLoad<"],
  [/(?<![.\w])store</g, "guardedStore<"],
  [/\bv128\.load\(/g, "guardedVector("],
  [/\bv128\.store\(/g, "guardedStoreVector("],
  [/\bmemory\.copy\(/g, "guardedCopy("],
  [/\bmemory\.fill\(/g, "guardedFill("],
];

const GUARD = `
  /** Bits of the first GiB, from here on. */
  let shadow: usize = 0;
  const SHADOW_BYTES: usize = 1 << 21;
  const REACH: usize = 1 << 30;

  /** Takes room for the bits in front of the heap that begins at \`start\`; answers where it begins now. */
  export function guardInit(root: usize, bytes: usize, start: usize): usize {
    const end = start + SHADOW_BYTES;
    const pages = <i32>memory.size();
    const missing = <i32>((end + 0xffff) >>> 16) - pages;
    if (missing > 0 && memory.grow(missing) < 0) unreachable();
    shadow = start;
    memory.fill(shadow, 0, SHADOW_BYTES);
    guardAllow(root, bytes);
    return end;
  }

  export function guardAllow(at: usize, bytes: usize): void {
    for (let grain = at >>> 6; grain < (at + bytes + 63) >>> 6 && grain < REACH >>> 6; grain++) {
      const byte = shadow + (grain >>> 3);
      store<u8>(byte, load<u8>(byte) | (<u8>1 << <u8>(grain & 7)));
    }
  }

  export function guardForbid(at: usize, bytes: usize): void {
    for (let grain = at >>> 6; grain < (at + bytes + 63) >>> 6 && grain < REACH >>> 6; grain++) {
      const byte = shadow + (grain >>> 3);
      store<u8>(byte, load<u8>(byte) & ~(<u8>1 << <u8>(grain & 7)));
    }
  }

  function guard(at: usize, bytes: usize): void {
    if (bytes == 0) return;
    const last = <u64>at + <u64>bytes - 1;
    if (last >= <u64>REACH) return;
    for (let grain = at >>> 6; grain <= <usize>last >>> 6; grain++) {
      if (((load<u8>(shadow + (grain >>> 3)) >> <u8>(grain & 7)) & 1) == 0) outside(at, bytes);
    }
  }

  /** Its name stands in the trap's stack. */
  function outside(at: usize, bytes: usize): void { unreachable(); }

  @inline export function guardedLoad<T>(at: usize, offset: usize = 0): T {
    guard(at + offset, sizeof<T>());
    return load<T>(at + offset);
  }
  @inline export function guardedStore<T>(at: usize, value: T, offset: usize = 0): void {
    guard(at + offset, sizeof<T>());
    store<T>(at + offset, value);
  }
  @inline export function guardedVector(at: usize, offset: usize = 0): v128 {
    guard(at + offset, 16);
    return v128.load(at + offset);
  }
  @inline export function guardedStoreVector(at: usize, value: v128, offset: usize = 0): void {
    guard(at + offset, 16);
    v128.store(at + offset, value);
  }
  export function guardedCopy(to: usize, from: usize, bytes: usize): void {
    guard(from, bytes);
    guard(to, bytes);
    memory.copy(to, from, bytes);
  }
  export function guardedFill(at: usize, value: u8, bytes: usize): void {
    guard(at, bytes);
    memory.fill(at, value, bytes);
  }
`;
const NAMES = [...GUARD.matchAll(/export function (\w+)/g)].map(([, name]) => name);

/** Where blocks and scratch come into use and go out of it. */
const HOOKS = {
  [HEAP]: [
    [
      "const start: usize = (root + <usize>Root.SIZE + 63) & ~(<usize>63);",
      "const start: usize = guardInit(root, <usize>Root.SIZE, (root + <usize>Root.SIZE + 63) & ~(<usize>63));",
    ],
    [
      "min<u64>(<u64>root + <u64>length, LAST_PAGE)",
      "min<u64>(max<u64>(<u64>root + <u64>length, <u64>memory.size() * PAGE), LAST_PAGE)",
    ],
    [
      "  store<u32>(block, USED, STATE);\n",
      "  store<u32>(block, USED, STATE);\n  guardAllow(block + HEADER, <usize>load<u32>(block) - HEADER);\n  memory.fill(block + HEADER, 0xa5, <usize>load<u32>(block) - HEADER);\n",
    ],
    [
      "  store<u32>(block, FREE, STATE);\n",
      "  store<u32>(block, FREE, STATE);\n  memory.fill(block + HEADER, 0x5a, bytes - HEADER);\n  guardForbid(block + HEADER, bytes - HEADER);\n",
    ],
  ],
  [FREE_BLOCKS]: [],
  [CONTEXT]: [
    [
      "  store<u32>(context, load<u32>(context, 4), 12);\n",
      "  store<u32>(context, load<u32>(context, 4), 12);\n  guardForbid(load<u32>(context, 4), SCRATCH);\n",
    ],
    [
      "  store<u32>(context, <u32>(start + bytes), 12);\n",
      "  store<u32>(context, <u32>(start + bytes), 12);\n  guardAllow(start, bytes);\n",
    ],
  ],
};

/**
 * Texts are read a word or a vector at a time, past their end: within the memory, and what lies there is not used. Of
 * one that ends a block it would be told.
 */
const PAST_TEXTS = {
  "kernel/join/store.ts": ["const tail = load<u32>(address, 8);", "store<u64>(cell, load<u64>(address), 4);"],
  "kernel/join/gather.ts": ["const tail = load<u64>(from, 8);", "store<u64>(to, load<u64>(from));"],
  "kernel/expression/text-predicate.ts": [
    "v128.and(i8x16.eq(v128.load(at), firsts), i8x16.eq(v128.load(at + <usize>size - 1), lasts)),",
  ],
};

function guardedSource(file, source) {
  const hooks = HOOKS[file];
  let changed = source;
  for (const [find, put] of hooks ?? []) {
    if (source.split(find).length !== 2) throw new Error(`${file} has no longer once: ${find}`);
    changed = changed.replace(find, put);
  }
  if (hooks === undefined) for (const [find, put] of CALLS) changed = changed.replace(find, put);
  for (const line of PAST_TEXTS[file] ?? []) {
    const guarded = CALLS.reduce((text, [find, put]) => text.replace(find, put), line);
    if (changed.split(guarded).length !== 2) throw new Error(`${file} has no longer once: ${line}`);
    changed = changed.replace(
      guarded,
      guarded.replaceAll("guardedLoad<", "load<").replaceAll("guardedVector(", "v128.load("),
    );
  }
  if (changed === source) return source;
  return importing(file, NAMES, "guard", changed);
}

const copy = new KernelCopy();
for (const file of kernelSources()) {
  writeFileSync(copy.pathOf(file), guardedSource(file, readFileSync(join(root, file), "utf8")));
}
writeFileSync(copy.pathOf("kernel/guard.ts"), GUARD);
// Functions keep their names, so that a trap's stack says where.
const config = JSON.parse(readFileSync(join(root, "asconfig.json"), "utf8"));
config.options.debug = true;
writeFileSync(copy.pathOf("asconfig.json"), JSON.stringify(config));
const built = copy.build();
if (!built.passed) {
  console.error(built.output.slice(0, 5000));
  console.error("guard-kernel: the copy does not compile");
  process.exit(1);
}
const { passed, output } = options.tests
  ? copy.vitest([...tests, "--reporter", "dot"], TEST_MS)
  : copy.fuzz(
      options.seconds,
      options.seed,
      ["only", "cases"].flatMap((name) => (options[name] === undefined ? [] : [`--${name}`, options[name]])),
    );
console.log(output.trimEnd());
process.exitCode = passed ? 0 : 1;
