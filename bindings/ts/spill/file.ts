// A spill file: record batches of one schema, written one after the other and read back in any order.
//
// The file is an Arrow IPC stream. Where each batch lies, and the checksum of its bytes, is known to the writer alone: a
// file has no use once its process has ended. What is read is compared with the checksum before anything believes it.

import { fromIpc, IpcStreamWriter } from "../arrow/index.js";
import type { BatchData } from "../type/column.js";
import type { Schema } from "../type/data-type.js";
import { SpillError } from "../type/error.js";
import type { SpillFolder } from "./folder.js";

const HEADROOM = 1.25;

/** Where a batch lies in its file. */
export interface Extent {
  readonly offset: number;
  readonly bytes: number;
  readonly checksum: number;
}

export class SpillFile {
  readonly path: string;
  readonly #folder: SpillFolder;
  readonly #schema: Schema;
  readonly #writer: IpcStreamWriter;
  readonly #head: Uint8Array;
  readonly #file: number;
  /** What was read last: fresh buffers for each batch keep the garbage collector busy. */
  #room = new Uint8Array(0);
  #bytes = 0;
  #open = true;

  /** @throws SpillError when the file cannot be made. */
  constructor(folder: SpillFolder, schema: Schema) {
    this.#folder = folder;
    this.#schema = schema;
    this.#writer = new IpcStreamWriter(schema);
    this.#head = this.#writer.head;
    this.path = folder.nextPath();
    this.#file = this.#guarded("cannot be made", () => folder.make(this.path));
    folder.count(0, 0, 1);
    try {
      this.#write(this.#head);
    } catch (error) {
      this.close();
      throw error;
    }
  }

  /** Bytes of the file. */
  get bytes(): number {
    return this.#bytes;
  }

  /** @throws SpillError when the batch cannot be written: the disk is full. */
  append(batch: BatchData): Extent {
    const bytes = this.#writer.encode({ ...batch, schema: this.#schema });
    const offset = this.#bytes;
    this.#write(bytes);
    return { offset, bytes: bytes.length, checksum: this.#folder.host.checksum(bytes) };
  }

  #write(bytes: Uint8Array): void {
    const { files } = this.#folder.host;
    for (let at = 0; at < bytes.length; ) {
      const written = this.#guarded("cannot be written", () =>
        files.writeSync(this.#file, bytes, at, bytes.length - at, this.#bytes),
      );
      at += written;
      this.#bytes += written;
      this.#folder.count(written, 0, 0);
    }
  }

  /**
   * A batch that is valid until the next one is read.
   * @throws SpillError when the bytes are not those that were written.
   */
  read(extent: Extent): BatchData {
    const length = this.#head.length + extent.bytes;
    if (length > this.#room.length) this.#room = new Uint8Array(Math.ceil(length * HEADROOM));
    return this.#read(extent, this.#room.subarray(0, length));
  }

  /** The same in memory of its own. */
  take(extent: Extent): BatchData {
    return this.#read(extent, new Uint8Array(this.#head.length + extent.bytes));
  }

  #read(extent: Extent, bytes: Uint8Array): BatchData {
    const { host } = this.#folder;
    const head = this.#head.length;
    bytes.set(this.#head);
    for (let at = 0; at < extent.bytes; ) {
      const read = this.#guarded("cannot be read", () =>
        host.files.readSync(this.#file, bytes, head + at, extent.bytes - at, extent.offset + at),
      );
      if (read === 0) throw this.#damaged(`it ends ${extent.bytes - at} bytes early`);
      at += read;
    }
    this.#folder.count(0, extent.bytes, 0);
    if (host.checksum(bytes.subarray(head)) !== extent.checksum) {
      throw this.#damaged("its bytes are not those that were written");
    }
    const [batch] = fromIpc(bytes).batches;
    if (batch === undefined) throw this.#damaged("it holds no batch");
    return { ...batch, schema: this.#schema };
  }

  #damaged(why: string): SpillError {
    return new SpillError(`spill file ${this.path} is damaged: ${why}`, { path: this.path });
  }

  #guarded<T>(failed: string, step: () => T): T {
    try {
      return step();
    } catch (cause) {
      const { code, message } = cause as { code?: string; message: string };
      const why = code === "ENOSPC" || code === "EDQUOT" ? `the disk is full (${message})` : message;
      throw new SpillError(`spill file ${this.path} ${failed}: ${why}`, {
        path: this.path,
        value: code,
        cause,
      });
    }
  }

  /** Removes the file. Safe to call twice. */
  close(): void {
    if (!this.#open) return;
    this.#open = false;
    this.#folder.count(-this.#bytes, 0, -1);
    const { files } = this.#folder.host;
    for (const step of [() => files.closeSync(this.#file), () => files.unlinkSync(this.path)]) {
      try {
        step();
      } catch {
        // The engine was closed meanwhile, and the folder with it; or it will be.
      }
    }
  }
}
