// The file system of the machine, with faults: for tests.

import type { FileSystem, Host } from "./file-system.js";
import { nodeHost } from "./file-system.js";

/** A host whose file system is that of the machine but for what `files` replaces. */
export async function hostWith(
  files: (real: FileSystem) => Partial<FileSystem>,
  rest: Partial<Host> = {},
): Promise<Host> {
  const host = await nodeHost();
  const real = host.files;
  const own = files(real);
  const pick = <K extends keyof FileSystem>(name: K): FileSystem[K] =>
    own[name] ??
    (((...values: never[]) => (real[name] as (...values: never[]) => unknown)(...values)) as never);
  return {
    ...host,
    ...rest,
    files: {
      mkdirSync: pick("mkdirSync"),
      readdirSync: pick("readdirSync"),
      rmSync: pick("rmSync"),
      openSync: pick("openSync"),
      writeSync: pick("writeSync"),
      readSync: pick("readSync"),
      closeSync: pick("closeSync"),
      unlinkSync: pick("unlinkSync"),
    },
  };
}

/** What has been written and read so far, and what happens at the nth. */
export interface Counts {
  writes: number;
  reads: number;
  onWrite: (nth: number) => void;
  /** "torn": nothing is read; "changed": a bit of it is another. */
  onRead: (nth: number) => unknown;
}

/** A host that counts writes and reads, and does something at the nth of them. */
export async function countingHost(): Promise<{ counts: Counts; spillHost: Host }> {
  const counts: Counts = { writes: 0, reads: 0, onWrite: () => {}, onRead: () => "fine" };
  const spillHost = await hostWith((real) => ({
    writeSync: (file, bytes, offset, length, at) => {
      counts.onWrite(++counts.writes);
      return real.writeSync(file, bytes, offset, length, at);
    },
    readSync: (file, bytes, offset, length, at) => {
      const fault = counts.onRead(++counts.reads);
      if (fault === "torn") return 0;
      const read = real.readSync(file, bytes, offset, length, at);
      if (fault === "changed") bytes[offset + length - 1]! ^= 1;
      return read;
    },
  }));
  return { counts, spillHost };
}

export function failure(code: string): Error {
  return Object.assign(new Error(`${code}: made to fail`), { code });
}
