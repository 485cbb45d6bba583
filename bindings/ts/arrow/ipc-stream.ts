// Arrow IPC bytes of batches, one at a time, by apache-arrow's stream writer.

import { AsyncByteQueue, RecordBatchStreamWriter } from "apache-arrow";
import type { BatchData } from "../type/column.js";
import type { Schema } from "../type/data-type.js";
import { toRecordBatch } from "./to-arrow.js";
import { toArrowSchema } from "./type.js";

/** Messages that grow bit by bit do not take a new buffer each time. */
const HEADROOM = 1.25;

/** Keeps what a writer writes until it is taken. */
export class ChunkSink extends AsyncByteQueue {
  #chunks: Uint8Array[] = [];

  override write(chunk: Uint8Array): void {
    this.#chunks.push(chunk);
  }

  take(): Uint8Array[] {
    const chunks = this.#chunks;
    this.#chunks = [];
    return chunks;
  }
}

/** A stream of batches of one schema without dictionaries: each is one message. */
export class IpcStreamWriter {
  /** The schema's message, with which the stream begins. */
  readonly head: Uint8Array;
  readonly #sink = new ChunkSink();
  readonly #writer = new RecordBatchStreamWriter();
  #room = new Uint8Array(0);

  constructor(schema: Schema) {
    this.#writer.reset(this.#sink as never, toArrowSchema(schema));
    this.head = joined(this.#sink.take());
  }

  /** The message of a batch, whose schema must be the object that the writer was made with; valid until the next. */
  encode(batch: BatchData): Uint8Array {
    this.#writer.write(toRecordBatch(batch));
    const chunks = this.#sink.take();
    const length = lengthOf(chunks);
    if (length > this.#room.length) this.#room = new Uint8Array(Math.ceil(length * HEADROOM));
    return joinInto(chunks, this.#room.subarray(0, length));
  }
}

function joined(chunks: readonly Uint8Array[]): Uint8Array {
  return joinInto(chunks, new Uint8Array(lengthOf(chunks)));
}

function lengthOf(chunks: readonly Uint8Array[]): number {
  return chunks.reduce((sum, { length }) => sum + length, 0);
}

/** Writes chunks one after the other to `bytes`, which is answered. */
export function joinInto(chunks: readonly Uint8Array[], bytes: Uint8Array): Uint8Array {
  let at = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, at);
    at += chunk.length;
  }
  return bytes;
}
