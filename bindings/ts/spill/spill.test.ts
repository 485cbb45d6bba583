// Folders and files: what is written is what is read, damage is found, and nothing is left behind.

import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { RecordBatchReader } from "apache-arrow";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { readColumn, type Value, writeColumn } from "../../../twin/values.js";
import type { BatchData } from "../type/column.js";
import { binary, bool, decimal, int64, type Schema, utf8 } from "../type/data-type.js";
import { ArgumentError, SpillError } from "../type/error.js";
import { type Extent, SpillBytes, SpillFile } from "./file.js";
import { nodeHost } from "./file-system.js";
import { SpillFolder } from "./folder.js";
import { failure, hostWith } from "./testing-host.js";

const SCHEMA: Schema = {
  fields: [
    { name: "n", type: int64, nullable: true },
    { name: "s", type: utf8, nullable: true },
    { name: "b", type: binary, nullable: true },
    { name: "t", type: bool, nullable: true },
    { name: "d", type: decimal(38, 0), nullable: true },
  ],
};

function batch(rows: number, from = 0): BatchData {
  const values = (cell: (row: number) => Value) =>
    Array.from({ length: rows }, (_, row) => (row % 5 === 3 ? null : cell(from + row)));
  const cells: ((row: number) => Value)[] = [
    (row) => BigInt(row) * 10n ** 12n,
    (row) => `é${row}`,
    (row) => new Uint8Array([row & 255, 0]),
    (row) => row % 2 === 0,
    (row) => BigInt(row) * -(10n ** 30n),
  ];
  const columns = SCHEMA.fields.map(({ type }, at) => writeColumn(type, values(cells[at]!)));
  return { schema: SCHEMA, length: rows, columns };
}

let directory: string;
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), "millrace-test-"));
});
afterAll(() => rmSync(directory, { recursive: true }));

test("batches come back in any order, and the file is an Arrow stream", async () => {
  const folder = await SpillFolder.open({ directory });
  const file = new SpillFile(folder, SCHEMA);
  const batches = [batch(100), batch(1, 100), batch(7, 101)];
  const extents = batches.map((one) => file.append(one));
  for (const at of [2, 0, 1, 0]) {
    const read = file.read(extents[at]!);
    expect(read.length).toBe(batches[at]!.length);
    expect(read.columns.map(({ nullCount }) => nullCount)).toEqual(
      batches[at]!.columns.map(({ nullCount }) => nullCount),
    );
    for (const index of SCHEMA.fields.keys()) {
      expect(readColumn(read.columns[index]!)).toEqual(readColumn(batches[at]!.columns[index]!));
    }
  }
  const rows = [...RecordBatchReader.from(readFileSync(file.path))].map(({ numRows }) => numRows);
  expect(rows).toEqual([100, 1, 7]);
  const { bytesWritten, bytesRead, files, bytes } = folder.stats;
  expect([files, bytes, bytesWritten]).toEqual([1, file.bytes, file.bytes]);
  expect(bytesRead).toBeGreaterThan(0);
  file.close();
  file.close();
  expect(folder.stats).toEqual({ bytesWritten, bytesRead, files: 0, bytes: 0 });
  expect(readdirSync(folder.path)).toEqual([]);
  folder.close();
  expect(readdirSync(directory)).toEqual([]);
});

describe("a file that is damaged is a SpillError", () => {
  test.each<[string, (path: string, bytes: number) => void, RegExp]>([
    ["torn", (path, bytes) => truncateSync(path, bytes - 11), /ends 11 bytes early/],
    [
      "overwritten",
      (path, bytes) => writeFileSync(path, new Uint8Array(bytes)),
      /not those that were written/,
    ],
  ])("%s", async (_name, damage, message) => {
    const folder = await SpillFolder.open({ directory });
    const file = new SpillFile(folder, SCHEMA);
    const extent = file.append(batch(50));
    damage(file.path, file.bytes);
    const read = () => file.read(extent);
    expect(read).toThrow(SpillError);
    expect(read).toThrow(message);
    expect(read).toThrow(file.path);
    folder.close();
  });

  test("unreadable", async () => {
    const host = await hostWith(() => ({
      readSync: () => {
        throw failure("EIO");
      },
    }));
    const folder = await SpillFolder.open({ directory }, host);
    const file = new SpillFile(folder, SCHEMA);
    const extent = file.append(batch(50));
    expect(() => file.read(extent)).toThrow(/cannot be read: EIO/);
    folder.close();
  });
});

test("short writes and reads go on where they stopped", async () => {
  const host = await hostWith((real) => ({
    writeSync: (file, bytes, offset, length, at) =>
      real.writeSync(file, bytes, offset, Math.min(length, 13), at),
    readSync: (file, bytes, offset, length, at) =>
      real.readSync(file, bytes, offset, Math.min(length, 17), at),
  }));
  const folder = await SpillFolder.open({ directory }, host);
  const file = new SpillFile(folder, SCHEMA);
  const extents = [batch(9), batch(20, 9)].map((one) => file.append(one));
  expect(extents.map((extent) => file.read(extent).length)).toEqual([9, 20]);
  folder.close();
});

test("bytes come back in any order, pieces that go on where the last one ended as one", async () => {
  const folder = await SpillFolder.open({ directory });
  const file = new SpillBytes(folder);
  const piece = (length: number, from: number) => Uint8Array.from({ length }, (_, at) => from + at);
  const first = file.append(piece(100, 1));
  const second = file.append(piece(7, 50));
  const longer = file.append(piece(30, 57), second);
  expect([first.bytes, second.bytes, longer.bytes, file.bytes]).toEqual([100, 7, 37, 137]);
  const read = (extent: Extent) => {
    const target = new Uint8Array(extent.bytes);
    file.read(extent, target);
    return target;
  };
  expect(read(longer)).toEqual(piece(37, 50));
  expect(read(first)).toEqual(piece(100, 1));
  expect(read(second)).toEqual(piece(7, 50));
  truncateSync(file.path, 120);
  expect(() => read(longer)).toThrow(/ends 17 bytes early/);
  writeFileSync(file.path, new Uint8Array(137));
  expect(() => read(longer)).toThrow(/not those that were written/);
  file.close();
  file.close();
  expect(folder.stats.files).toBe(0);
  folder.close();
});

test("a full disk says so", async () => {
  let left = 1000;
  const host = await hostWith((real) => ({
    writeSync: (file, bytes, offset, length, at) => {
      if (length > left) throw failure("ENOSPC");
      left -= length;
      return real.writeSync(file, bytes, offset, length, at);
    },
  }));
  const folder = await SpillFolder.open({ directory }, host);
  const write = () => new SpillFile(folder, SCHEMA).append(batch(1000));
  expect(write).toThrow(SpillError);
  expect(write).toThrow(/disk is full/);
  folder.close();
  expect(readdirSync(directory)).toEqual([]);
});

describe("directories", () => {
  test("are made, and refused where nothing can be written", async () => {
    const deep = await SpillFolder.open({ directory: join(directory, "a", "b") });
    deep.close();
    expect(readdirSync(join(directory, "a", "b"))).toEqual([]);
    rmSync(join(directory, "a"), { recursive: true });
    const plain = join(directory, "plain");
    writeFileSync(plain, "");
    await expect(SpillFolder.open({ directory: plain })).rejects.toThrow(SpillError);
    await expect(SpillFolder.open({ directory: plain })).rejects.toThrow(/cannot be written to/);
    rmSync(plain);
    const readOnly = await hostWith(() => ({
      openSync: () => {
        throw failure("EROFS");
      },
    }));
    await expect(SpillFolder.open({ directory }, readOnly)).rejects.toThrow(/cannot be written to: EROFS/);
    expect(readdirSync(directory)).toEqual([]);
    for (const wrong of [undefined, null, {}, { directory: "" }, { directory: 7 }]) {
      await expect(SpillFolder.open(wrong as never)).rejects.toThrow(ArgumentError);
    }
  });

  test("what nobody owns any more is cleared by the next who comes", async () => {
    const host = await nodeHost();
    const now = Date.now();
    const other = host.process + 1;
    const name = (of: string, owner: number, made: number, random = "0badcafe") =>
      `millrace-${of}-${owner}-${made}-${random}`;
    const gone = [
      name(host.name, 999_999_999, now),
      // The same number, but before this process began: of an earlier one.
      name(host.name, host.process, Math.floor(host.began) - 60_000),
    ];
    const kept = [
      name(host.name, host.process, now),
      name(host.name, other, now),
      name("another-host", 999_999_999, now),
      "millrace-something-else",
    ];
    for (const folder of [...gone, ...kept]) {
      mkdirSync(join(directory, folder));
      writeFileSync(join(directory, folder, "0.arrows"), "x");
    }
    const alive = await hostWith(() => ({}), { isAlive: (id) => id === other });
    const folder = await SpillFolder.open({ directory }, alive);
    expect(readdirSync(directory).sort()).toEqual([...kept, folder.path.slice(directory.length + 1)].sort());
    folder.close();
    for (const one of kept) rmSync(join(directory, one), { recursive: true });
  });

  test("processes are known to be alive", async () => {
    const host = await nodeHost();
    expect(host.isAlive(process.pid)).toBe(true);
    expect(host.isAlive(999_999_999)).toBe(false);
  });
});
