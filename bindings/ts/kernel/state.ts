// State batches: what a snapshot writes and a merge reads. Their columns have physical types only.

import { Column, Type } from "../../../kernel/abi/layout.js";
import type { BatchData } from "../type/column.js";
import {
  binary,
  bool,
  type DataType,
  decimal,
  float32,
  float64,
  int8,
  int16,
  int32,
  int64,
  type Schema,
  uint8,
  uint16,
  uint32,
  uint64,
} from "../type/data-type.js";
import { ArgumentError } from "../type/error.js";
import type { BatchDescriptor } from "./descriptor.js";

/** One batch of an operator's state. Section 0 is the header; the others are the operator's own (ABI.md). */
export interface StateBatch extends BatchData {
  readonly section: number;
}

/** Rows of one part of a divided sort. */
export interface PartBatch extends BatchData {
  readonly partition: number;
}

/** A batch of a divided state: those of one partition are a state of their own. */
export interface PartitionedState extends StateBatch {
  readonly partition: number;
}

const LOGICAL: { readonly [type: number]: DataType } = {
  [Type.BOOL]: bool,
  [Type.I8]: int8,
  [Type.I16]: int16,
  [Type.I32]: int32,
  [Type.I64]: int64,
  [Type.U8]: uint8,
  [Type.U16]: uint16,
  [Type.U32]: uint32,
  [Type.U64]: uint64,
  [Type.F32]: float32,
  [Type.F64]: float64,
  [Type.I128]: decimal(38, 0),
  [Type.BYTES]: binary,
};

/** A schema for a batch of which only the physical types are known: columns `c0`, `c1`, and so on. */
export function physicalSchema(view: DataView, batch: BatchDescriptor): Schema {
  return schemaOfTypes(
    Array.from({ length: batch.columns }, (_, i) =>
      view.getUint32(batch.descriptors + i * Column.SIZE + Column.TYPE, true),
    ),
  );
}

/** The same for columns of these types. */
export function schemaOfTypes(types: readonly Type[]): Schema {
  const fields = types.map((type, i) => {
    const logical = LOGICAL[type];
    if (logical === undefined)
      throw new ArgumentError(`column ${i} of a state batch has the unknown type ${type}`);
    return { name: `c${i}`, type: logical, nullable: true };
  });
  return { fields };
}
