// The disk that engines spill to, with faults: a write that fails, or a file that is shorter than what was written to it, or
// holds something else.

import { dirname } from "node:path";
import { type Host, nodeHost } from "../bindings/ts/spill/index.js";

export interface DiskFault {
  /**
   * `full`: the write fails. `cut`: the file ends in its middle, though it was written. `changed`: a byte of what is
   * read is another. `gone`: the folder is removed before a file is made in it.
   */
  readonly kind: "full" | "cut" | "changed" | "gone";
  /** At which call, from 0 on. */
  readonly at: number;
}

export class SpillDisk {
  /** What goes wrong from now on; null: nothing. */
  #fault: DiskFault | null = null;
  #calls = 0;

  /** The fault begins to count its calls. */
  set fault(fault: DiskFault | null) {
    this.#fault = fault;
    this.#calls = 0;
  }

  #strikes(...kinds: readonly DiskFault["kind"][]): boolean {
    return this.#fault !== null && kinds.includes(this.#fault.kind) && this.#calls++ === this.#fault.at;
  }

  async host(): Promise<Host> {
    const host = await nodeHost();
    const { files } = host;
    return {
      ...host,
      files: {
        ...files,
        mkdirSync: (path, options) => files.mkdirSync(path, options),
        readdirSync: (path) => files.readdirSync(path),
        rmSync: (path, options) => files.rmSync(path, options),
        unlinkSync: (path) => files.unlinkSync(path),
        closeSync: (file) => files.closeSync(file),
        openSync: (path, flags) => {
          if (this.#strikes("gone")) files.rmSync(dirname(path), { recursive: true, force: true });
          return files.openSync(path, flags);
        },
        writeSync: (file, bytes, offset, length, at) => {
          if (this.#strikes("full")) {
            // As much as there was room for.
            files.writeSync(file, bytes, offset, length >> 1, at);
            throw Object.assign(new Error("ENOSPC: made to fail"), { code: "ENOSPC" });
          }
          if (this.#strikes("cut")) {
            files.writeSync(file, bytes, offset, length >> 1, at);
            return length;
          }
          return files.writeSync(file, bytes, offset, length, at);
        },
        readSync: (file, bytes, offset, length, at) => {
          const read = files.readSync(file, bytes, offset, length, at);
          if (this.#strikes("changed") && read > 0) bytes[offset + (read >> 1)]! ^= 0x10;
          return read;
        },
      },
    };
  }
}
