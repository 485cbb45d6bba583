// Dependencies point one way. Each folder below names the folders that it may import from (and itself).

import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, normalize, relative, sep } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, it } from "vitest";

const root = fileURLToPath(new URL("..", import.meta.url));

/** In the kernel: index -> operator -> {window, join, aggregate} -> {group, sort, expression} -> {hash, column} -> memory -> abi. */
const KERNEL_LEAVES = ["kernel/abi", "kernel/memory"];
const KERNEL_DATA = [...KERNEL_LEAVES, "kernel/column", "kernel/hash"];
const KERNEL_ROWS = [...KERNEL_DATA, "kernel/expression", "kernel/group", "kernel/sort"];
const KERNEL_STATE = [...KERNEL_ROWS, "kernel/aggregate", "kernel/join", "kernel/window"];
const BINDINGS_BASE = ["kernel/abi", "bindings/ts/type"];
const BINDINGS = [
  ...BINDINGS_BASE,
  "bindings/ts/kernel",
  "bindings/ts/arrow",
  "bindings/ts/plan",
  "bindings/ts/pool",
  "bindings/ts/spill",
  "bindings/ts/scheduler",
  "bindings/ts/io",
  "bindings/ts",
];

const ALLOWED: Record<string, readonly string[]> = {
  "kernel/abi": [],
  "kernel/memory": ["kernel/abi"],
  "kernel/column": KERNEL_LEAVES,
  "kernel/hash": KERNEL_LEAVES,
  "kernel/expression": KERNEL_DATA,
  "kernel/sort": [...KERNEL_DATA, "kernel/expression"],
  "kernel/group": [...KERNEL_DATA, "kernel/expression"],
  "kernel/aggregate": KERNEL_ROWS,
  "kernel/join": [...KERNEL_ROWS, "kernel/aggregate"],
  "kernel/window": [...KERNEL_ROWS, "kernel/aggregate"],
  "kernel/operator": KERNEL_STATE,
  kernel: [...KERNEL_STATE, "kernel/operator"],
  "bindings/ts/type": ["kernel/abi"],
  "bindings/ts/kernel": BINDINGS_BASE,
  "bindings/ts/arrow": BINDINGS_BASE,
  "bindings/ts/plan": [...BINDINGS_BASE, "bindings/ts/kernel", "bindings/ts/arrow"],
  "bindings/ts/io": [...BINDINGS_BASE, "bindings/ts/arrow"],
  "bindings/ts/pool": [...BINDINGS_BASE, "bindings/ts/kernel"],
  "bindings/ts/spill": [...BINDINGS_BASE, "bindings/ts/arrow"],
  "bindings/ts/scheduler": [
    ...BINDINGS_BASE,
    "bindings/ts/kernel",
    "bindings/ts/arrow",
    "bindings/ts/plan",
    "bindings/ts/pool",
    "bindings/ts/spill",
  ],
  "bindings/ts": BINDINGS,
  twin: [...BINDINGS_BASE, "bindings/ts/plan"],
  fixtures: [...BINDINGS_BASE, "bindings/ts/arrow", "bindings/ts/io", "twin"],
  bench: [...BINDINGS, "twin", "fixtures"],
  examples: ["bindings/ts"],
  fuzz: [...BINDINGS, "kernel/operator", "twin", "fixtures"],
};

function sources(folder: string): string[] {
  return readdirSync(join(root, folder), { recursive: true, encoding: "utf8" })
    .filter((file) => file.endsWith(".ts") && !/\.test\.ts$|\.d\.ts$|testing[^/]*\.ts$/.test(file))
    .map((file) => join(folder, file));
}

/** The layer of a file: the longest key of ALLOWED that its path starts with. */
function layerOf(file: string): string | undefined {
  const path = file.split(sep).join("/");
  return Object.keys(ALLOWED)
    .filter((layer) => path.startsWith(`${layer}/`))
    .sort((a, b) => b.length - a.length)[0];
}

function importsOf(file: string): string[] {
  const text = readFileSync(join(root, file), "utf8");
  return [...text.matchAll(/(?:\bfrom|\bimport)\s*\(?\s*["'](\.[^"']*)["']/g)].map((match) =>
    relative(root, normalize(join(root, dirname(file), match[1]!))),
  );
}

const files = ["kernel", "bindings", "twin", "fixtures", "bench", "examples", "fuzz"].flatMap(sources);

it("every source file belongs to a layer", () => {
  expect(files.filter((file) => layerOf(file) === undefined)).toEqual([]);
  expect(files.length).toBeGreaterThan(50);
});

it("imports follow the layers", () => {
  const wrong: string[] = [];
  for (const file of files) {
    const layer = layerOf(file)!;
    for (const target of importsOf(file)) {
      const targetLayer = layerOf(target);
      if (targetLayer === layer || targetLayer === undefined) continue;
      if (!ALLOWED[layer]!.includes(targetLayer)) wrong.push(`${file} imports ${target}`);
    }
  }
  expect(wrong).toEqual([]);
});

/** Every file that is loaded with `entry`: follows imports at the top of files, not those made when a function runs. */
function loadedWith(entry: string): string[] {
  const seen = new Set<string>();
  const queue = [entry];
  for (let file = queue.pop(); file !== undefined; file = queue.pop()) {
    if (seen.has(file)) continue;
    seen.add(file);
    const text = readFileSync(join(root, file), "utf8");
    for (const match of text.matchAll(/^(?:import|export)\s(?!type\b)[^;]*?from\s+"(\.[^"]*)"/gm)) {
      queue.push(relative(root, normalize(join(root, dirname(file), match[1]!))).replace(/\.js$/, ".ts"));
    }
  }
  return [...seen];
}

function filesThatMatch(files: readonly string[], pattern: RegExp): string[] {
  return files.filter((file) => pattern.test(readFileSync(join(root, file), "utf8")));
}

it("millrace/kernel does not reach apache-arrow", () => {
  const loaded = loadedWith("bindings/ts/kernel/index.ts");
  expect(loaded.length).toBeGreaterThan(10);
  expect(filesThatMatch(loaded, /from\s+"apache-arrow"/)).toEqual([]);
});

it("nothing that loads with the package names a Node module at its top", () => {
  const loaded = loadedWith("bindings/ts/index.ts");
  expect(loaded.length).toBeGreaterThan(40);
  expect(filesThatMatch(loaded, /^import[^;]*"node:/m)).toEqual([]);
});
