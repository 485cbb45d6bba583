// The bridge between apache-arrow and `BatchData`: the only part of the bindings that knows apache-arrow.

export { concatColumns } from "./concat.js";
export { type ArrowBatches, fromArrow, fromIpc, fromRecordBatch, isArrow, listItems } from "./from-arrow.js";
export { ChunkSink, IpcStreamWriter, joinInto } from "./ipc-stream.js";
export { takeOpaque, takeOpaqueFrom } from "./opaque.js";
export { isArrowBatch, isArrowTable, isBytes } from "./shape.js";
export { toRecordBatch, toTable } from "./to-arrow.js";
export { fromArrowSchema, fromArrowType, toArrowSchema, toArrowType } from "./type.js";
