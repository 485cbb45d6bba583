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

export function failure(code: string): Error {
  return Object.assign(new Error(`${code}: made to fail`), { code });
}
