// What spilling asks of a file system: the part of node:fs that it uses, so that tests can let any call fail.
//
// Calls are synchronous: what is written is the state of an operator that nothing else may touch meanwhile, a morsel's
// worth at a time, and the run looks up between two of them as it does between morsels.

import { ArgumentError } from "../type/error.js";

export interface FileSystem {
  mkdirSync(path: string, options: { recursive: boolean }): unknown;
  readdirSync(path: string): string[];
  rmSync(path: string, options: { recursive: boolean; force: boolean }): void;
  openSync(path: string, flags: string): number;
  writeSync(file: number, bytes: Uint8Array, offset: number, length: number, position: number): number;
  readSync(file: number, bytes: Uint8Array, offset: number, length: number, position: number): number;
  closeSync(file: number): void;
  unlinkSync(path: string): void;
}

/** What a folder is told of the process that it belongs to. */
export interface Host {
  readonly files: FileSystem;
  readonly name: string;
  readonly process: number;
  /** When the process began, in ms since 1970. */
  readonly began: number;
  /** Whether a process of this host is alive. */
  isAlive(process: number): boolean;
  join(directory: string, name: string): string;
  /** @param before that of the bytes in front of them */
  checksum(bytes: Uint8Array, before?: number): number;
}

/** @throws ArgumentError where there are no files: in a browser. */
export async function nodeHost(): Promise<Host> {
  if (typeof process === "undefined" || typeof process.versions?.node !== "string") {
    throw new ArgumentError("spill: there are no files to write to here: spilling needs Node", {
      value: "spill",
      expected: "no spill outside of Node",
    });
  }
  const [files, { hostname }, { join }, { crc32 }] = await Promise.all([
    import("node:fs"),
    import("node:os"),
    import("node:path"),
    import("node:zlib"),
  ]);
  return {
    files,
    name: hostname(),
    process: process.pid,
    began: Date.now() - process.uptime() * 1000,
    isAlive,
    join,
    checksum: (bytes, before = 0) => crc32(bytes, before),
  };
}

function isAlive(id: number): boolean {
  try {
    process.kill(id, 0);
    return true;
  } catch (error) {
    // One of another user.
    return (error as { code?: string }).code === "EPERM";
  }
}
