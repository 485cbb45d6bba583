// `millrace/kernel`: single operators for people who have their own engine. Needs no apache-arrow.

export * from "../type/aggregate.js";
export * from "../type/column.js";
export * from "../type/data-type.js";
export * from "../type/error.js";
export { hasSimd, type KernelBuild } from "./build.js";
export { defaultBudget, formatBytes, MAX_BUDGET_BYTES, parseBudget, parseBytes } from "./bytes.js";
export type { ColumnSpec } from "./column-loader.js";
export {
  type AggregateConfigSpec,
  type AggregateEntrySpec,
  asDraining,
  asExpecting,
  asKeeping,
  asKeepingCodes,
  asLeaving,
  asLending,
  asShared,
  encodeAggregateConfig,
  encodeFramesConfig,
  encodeJoinConfig,
  encodeOverConfig,
  encodePartitionConfig,
  encodeProjectConfig,
  encodeSortConfig,
  encodeWindowConfig,
  type FramesConfigSpec,
  type JoinColumnSpec,
  type JoinConfigSpec,
  type KeySpec,
  mayLeave,
  type OverConfigSpec,
  type SortConfigSpec,
  type SortKeySpec,
  type WindowConfigSpec,
} from "./config.js";
export type { ColumnDescriptor } from "./descriptor.js";
export {
  type AggregateSpec,
  type HashAggregateSpec,
  type NamedAggregateSpec,
  type ProgramAggregateSpec,
  ROW_KIND_FIELD,
} from "./hash-aggregate.js";
export { bytesRead, checkHeld, checkHeldRows, type InputBatch, Stage, StagedBatch } from "./input.js";
export { Kernel, type KernelOptions, type KernelShare } from "./kernel.js";
export type { KernelMemory } from "./memory.js";
export {
  END_OF_INPUT,
  Operator,
  type OperatorCounts,
  type OperatorSpec,
  type PortSpec,
  type RowsAside,
  selectedRows,
} from "./operator.js";
export { PartialAggregation } from "./partial.js";
export { Partition, type PartitionBatch, type PartitionSpec } from "./partition.js";
export {
  type Literal,
  loadAll,
  type Operation,
  outputTypes,
  ProgramBuilder,
  type Register,
} from "./program.js";
export type { NamedProjectSpec, ProgramProjectSpec, ProjectSpec } from "./project.js";
export { DictionaryCopies, ResidentBatch, ResidentTable } from "./resident.js";
export type { NamedSortKey, NamedSortSpec, ProgramSortSpec, SortSpec } from "./sort.js";
export { Stages } from "./stages.js";
export { type PartitionedState, type StateBatch, schemaOfTypes } from "./state.js";
export type { WasmMemory, WasmModule, WasmSource } from "./wasm.js";
