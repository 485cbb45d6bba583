// What a build of the kernel may ask of its host: one memory, nothing else. And its size.

import { readFileSync } from "node:fs";
import { gzipSync } from "node:zlib";
import { describe, expect, it } from "vitest";

const MAX_GZIP_BYTES = 200 * 1024;
const DATA_SECTION = 11;
const DATA_COUNT_SECTION = 12;
const TABLE_SECTION = 4;
const ELEMENT_SECTION = 9;

/** Ids of the module's sections, by the binary format: a byte of id, a LEB128 length, the contents. */
function sectionIds(bytes: Uint8Array): number[] {
  const ids: number[] = [];
  let at = 8;
  while (at < bytes.length) {
    ids.push(bytes[at++]!);
    let length = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = bytes[at++]!;
      length += (byte & 127) * 2 ** shift;
      if (byte < 128) break;
    }
    at += length;
  }
  return ids;
}

describe.each(["millrace", "millrace.threads", "millrace.scalar"])("%s.wasm", (name) => {
  const bytes = readFileSync(new URL(`../build/${name}.wasm`, import.meta.url));
  const module = new WebAssembly.Module(bytes);

  it("imports one memory and nothing else", () => {
    expect(WebAssembly.Module.imports(module)).toMatchObject([
      { module: "env", name: "memory", kind: "memory" },
    ]);
  });

  it("has neither data segments nor a function table", () => {
    const ids = sectionIds(bytes);
    for (const id of [DATA_SECTION, DATA_COUNT_SECTION, TABLE_SECTION, ELEMENT_SECTION]) {
      expect(ids).not.toContain(id);
    }
  });

  it("exports functions only", () => {
    const kinds = new Set(WebAssembly.Module.exports(module).map(({ kind }) => kind));
    expect([...kinds]).toEqual(["function"]);
  });

  it("is at most 200 KB gzipped", () => {
    expect(gzipSync(bytes).length).toBeLessThanOrEqual(MAX_GZIP_BYTES);
  });
});

it("the builds export the same functions", () => {
  const names = ["millrace", "millrace.threads", "millrace.scalar"].map((name) =>
    WebAssembly.Module.exports(
      new WebAssembly.Module(readFileSync(new URL(`../build/${name}.wasm`, import.meta.url))),
    ).map((entry) => entry.name),
  );
  expect(names[1]).toEqual(names[0]);
  expect(names[2]).toEqual(names[0]);
});
