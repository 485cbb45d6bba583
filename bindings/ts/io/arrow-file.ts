// Arrow IPC files and streams, by apache-arrow, a record batch at a time.
//
// Which of the two formats a file has is told by its first bytes, not by its name: many streams are called .arrow.
// The file handle is read where apache-arrow asks for it, so that neither format is ever in memory as a whole.

import { type FileHandle, open } from "node:fs/promises";
import {
  type RecordBatch,
  RecordBatchFileWriter,
  RecordBatchReader,
  RecordBatchStreamWriter,
} from "apache-arrow";
import { ChunkSink, fromArrowSchema, fromRecordBatch, toArrowSchema, toRecordBatch } from "../arrow/index.js";
import type { BatchData } from "../type/column.js";
import type { Schema } from "../type/data-type.js";
import { ArgumentError, MalformedArrowError, MillraceError } from "../type/error.js";
import type { BatchSource } from "./source.js";

/** Opens an Arrow IPC file or stream. Throws MalformedArrowError when it is neither. */
export async function readArrow(path: string): Promise<BatchSource> {
  const schema = await withReader(path, async (reader) => reader.schema);
  if (!schema) throw new MalformedArrowError(`${path}: not an Arrow IPC file or stream`);
  const own = fromArrowSchema(schema);
  async function* batches(): AsyncGenerator<BatchData> {
    const handle = await open(path);
    try {
      const reader = await openReader(path, handle);
      for (;;) {
        const { done, value } = await guarded(path, () => reader.next());
        if (done) return;
        if (value.numRows > 0) yield { ...fromRecordBatch(value), schema: own };
      }
    } finally {
      await handle.close();
    }
  }
  return { schema: own, batches };
}

type Reader = Awaited<ReturnType<typeof RecordBatchReader.from<never>>>;
type AsyncReader = {
  readonly schema: Reader["schema"];
  next(): Promise<IteratorResult<RecordBatch>>;
};

async function withReader<T>(path: string, use: (reader: AsyncReader) => Promise<T>): Promise<T> {
  const handle = await open(path);
  try {
    return await use(await openReader(path, handle));
  } finally {
    await handle.close();
  }
}

async function openReader(path: string, handle: FileHandle): Promise<AsyncReader> {
  return await guarded(path, async () => {
    const reader = await RecordBatchReader.from(handle as never);
    return (await (reader as unknown as { open(): Promise<AsyncReader> }).open()) as AsyncReader;
  });
}

async function guarded<T>(path: string, step: () => Promise<T>): Promise<T> {
  try {
    return await step();
  } catch (cause) {
    if (cause instanceof MillraceError) throw cause;
    const said = (cause as Error).message;
    if (/compress/i.test(said)) {
      throw new ArgumentError(
        `${path} is compressed: register a codec in apache-arrow's compressionRegistry (${said})`,
        { cause },
      );
    }
    throw new MalformedArrowError(`${path}: not readable as Arrow IPC: ${said}`, { cause });
  }
}

/**
 * The bytes of an Arrow IPC file or stream, in pieces after each batch. All batches must have the object `schema`
 * as their schema: apache-arrow's writers end silently at another one.
 */
export async function* arrowBytes(
  format: "arrow" | "arrows",
  schema: Schema,
  batches: AsyncIterable<BatchData>,
): AsyncGenerator<Uint8Array[]> {
  const sink = new ChunkSink();
  const writer = format === "arrow" ? new RecordBatchFileWriter() : new RecordBatchStreamWriter();
  writer.reset(sink as never, toArrowSchema(schema));
  yield sink.take();
  for await (const batch of batches) {
    try {
      writer.write(toRecordBatch(batch));
    } catch (cause) {
      if (!/replacement dictionaries/.test((cause as Error).message)) throw cause;
      throw new ArgumentError(
        "an Arrow file holds one dictionary a column, but that of these batches changes: write an IPC stream (.arrows)",
        { cause },
      );
    }
    yield sink.take();
  }
  writer.finish();
  yield sink.take();
}
