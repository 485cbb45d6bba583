// Spill files: what is written one after the other, and read back in any order.
//
// Where each piece lies, and the checksum of its bytes, is known to the writer alone: a file has no use once its process has
// ended. What is read is compared with the checksum before anything believes it.

import { fromIpc, IpcStreamWriter } from "../arrow/index.js";
import type { BatchData } from "../type/column.js";
import type { Schema } from "../type/data-type.js";
import { SpillError } from "../type/error.js";
import type { SpillFolder } from "./folder.js";

const HEADROOM = 1.25;

/** Where a piece lies in its file. */
export interface Extent {
  readonly offset: number;
  readonly bytes: number;
  readonly checksum: number;
}

/** A file of bytes. */
export class SpillBytes {
  readonly path: string;
  readonly #folder: SpillFolder;
  readonly #file: number;
  #bytes = 0;
  #open = true;

  /** @throws SpillError when the file cannot be made. */
  constructor(folder: SpillFolder) {
    this.#folder = folder;
    this.path = folder.nextPath();
    this.#file = this.#guarded("cannot be made", () => folder.make(this.path));
    folder.count(0, 0, 1);
  }

  /** Bytes of the file. */
  get bytes(): number {
    return this.#bytes;
  }

  /**
   * @param before the extent that is to go on, which ends where the file does
   * @throws SpillError when the bytes cannot be written: the disk is full.
   */
  append(bytes: Uint8Array, before?: Extent): Extent {
    const offset = before?.offset ?? this.#bytes;
    const { files, checksum } = this.#folder.host;
    for (let at = 0; at < bytes.length; ) {
      const written = this.#guarded("cannot be written", () =>
        files.writeSync(this.#file, bytes, at, bytes.length - at, this.#bytes),
      );
      at += written;
      this.#bytes += written;
      this.#folder.count(written, 0, 0);
    }
    return { offset, bytes: this.#bytes - offset, checksum: checksum(bytes, before?.checksum) };
  }

  /**
   * Reads an extent to `target`, which is as long.
   * @throws SpillError when the bytes are not those that were written.
   */
  read({ offset, bytes, checksum }: Extent, target: Uint8Array): void {
    const { host } = this.#folder;
    for (let at = 0; at < bytes; ) {
      const read = this.#guarded("cannot be read", () =>
        host.files.readSync(this.#file, target, at, bytes - at, offset + at),
      );
      if (read === 0) throw this.damaged(`it ends ${bytes - at} bytes early`);
      at += read;
    }
    this.#folder.count(0, bytes, 0);
    if (host.checksum(target) !== checksum) throw this.damaged("its bytes are not those that were written");
  }

  damaged(why: string): SpillError {
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

/** A file of record batches of one schema: an Arrow IPC stream. */
export class SpillFile {
  readonly #schema: Schema;
  readonly #writer: IpcStreamWriter;
  readonly #head: Uint8Array;
  readonly #file: SpillBytes;
  /** What was read last: fresh buffers for each batch keep the garbage collector busy. */
  #room = new Uint8Array(0);

  /** @throws SpillError when the file cannot be made. */
  constructor(folder: SpillFolder, schema: Schema) {
    this.#schema = schema;
    this.#writer = new IpcStreamWriter(schema);
    this.#head = this.#writer.head;
    this.#file = new SpillBytes(folder);
    try {
      this.#file.append(this.#head);
    } catch (error) {
      this.close();
      throw error;
    }
  }

  get path(): string {
    return this.#file.path;
  }

  /** Bytes of the file. */
  get bytes(): number {
    return this.#file.bytes;
  }

  /** @throws SpillError when the batch cannot be written: the disk is full. */
  append(batch: BatchData): Extent {
    return this.#file.append(this.#writer.encode({ ...batch, schema: this.#schema }));
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
    bytes.set(this.#head);
    this.#file.read(extent, bytes.subarray(this.#head.length));
    const [batch] = fromIpc(bytes).batches;
    if (batch === undefined) throw this.#file.damaged("it holds no batch");
    return { ...batch, schema: this.#schema };
  }

  /** Removes the file. Safe to call twice. */
  close(): void {
    this.#file.close();
  }
}
