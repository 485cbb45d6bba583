// With a limit, rows that come after enough others are dropped as they arrive: what a row begins with is compared
// with the last row that was kept when rows were cut, and only rows that do not come after it are taken.
//
// Only the first key is looked at, and of texts and 128-bit integers its first 8 bytes: rows that are equal in
// those are taken, and the next cut decides.

import { Type } from "../abi/layout";
import { bitmapGet } from "../column/bitmap";
import { vectorIsValid } from "../column/builder";
import { textAddressAt, textLengthAt } from "../column/text";
import { Vector } from "../column/vector";
import { normal, normalHigh, textWord } from "./normal";
import { SortKey } from "./order";
import { StoreColumn, storeIsValid, storeValue } from "./row-store";

// @ts-ignore: decorator
@unmanaged
export class Bound {
  /** 1 once there is one. */
  isSet: u32;
  column: u32;
  nullsFirst: u32;
  /** Whether the key of the row at the bound is null. */
  isNull: u32;
  /** Its first 8 bytes in order; `flip` turns descending keys round. */
  lead: u64;
  flip: u64;
}

export const BOUND_SIZE: usize = 32;

/** The bound is row `row` of the store that `column` belongs to. */
export function boundSet(bound: Bound, key: SortKey, column: StoreColumn, row: u32): void {
  bound.isSet = 1;
  bound.column = key.column;
  bound.nullsFirst = key.nullsFirst;
  bound.flip = key.descending ? <u64>-1 : 0;
  bound.isNull = storeIsValid(column, row) ? 0 : 1;
  bound.lead = leadOf(column.type, storeValue(column, row, column.width)) ^ bound.flip;
}

/** The first 8 bytes of a value as the store has it. */
function leadOf(type: u32, value: usize): u64 {
  switch (type) {
    case Type.I8:
      return normal<i8>(value);
    case Type.BOOL:
    case Type.U8:
      return normal<u8>(value);
    case Type.I16:
      return normal<i16>(value);
    case Type.U16:
      return normal<u16>(value);
    case Type.I32:
      return normal<i32>(value);
    case Type.U32:
      return normal<u32>(value);
    case Type.I64:
      return normal<i64>(value);
    case Type.U64:
      return normal<u64>(value);
    case Type.F32:
      return normal<f32>(value);
    case Type.F64:
      return normal<f64>(value);
    case Type.I128:
      return normalHigh(value);
    default:
      return textWord(load<u32>(value), load<u32>(value, 4), 0);
  }
}

/** Writes the u16 numbers of the vector's rows that do not come after the bound to `rows`; answers how many. */
export function boundSelect(bound: Bound, vector: Vector, count: u32, rows: usize): u32 {
  switch (vector.type) {
    case Type.I8:
      return select<i8>(bound, vector, count, rows);
    case Type.U8:
      return select<u8>(bound, vector, count, rows);
    case Type.I16:
      return select<i16>(bound, vector, count, rows);
    case Type.U16:
      return select<u16>(bound, vector, count, rows);
    case Type.I32:
      return select<i32>(bound, vector, count, rows);
    case Type.U32:
      return select<u32>(bound, vector, count, rows);
    case Type.I64:
      return select<i64>(bound, vector, count, rows);
    case Type.U64:
      return select<u64>(bound, vector, count, rows);
    case Type.F32:
      return select<f32>(bound, vector, count, rows);
    case Type.F64:
      return select<f64>(bound, vector, count, rows);
    default:
      return selectOthers(bound, vector, count, rows);
  }
}

/** Whether rows with null keys do not come after the bound, and whether those with values do not. */
// @ts-ignore: decorator
@inline
function takesNulls(bound: Bound): bool {
  return bound.nullsFirst != 0 || bound.isNull != 0;
}

// @ts-ignore: decorator
@inline
function takesAllValues(bound: Bound): bool {
  return bound.isNull != 0 && bound.nullsFirst == 0;
}

// @ts-ignore: decorator
@inline
function takesNoValues(bound: Bound): bool {
  return bound.isNull != 0 && bound.nullsFirst != 0;
}

function select<T>(bound: Bound, vector: Vector, count: u32, rows: usize): u32 {
  // A lead that no value passes, or that all do.
  const lead = takesAllValues(bound) ? u64.MAX_VALUE : bound.lead;
  const none = takesNoValues(bound);
  const flip = bound.flip;
  const validity = vector.validity;
  const nulls = takesNulls(bound);
  let at = rows;
  let value = vector.values;
  for (let row: u32 = 0; row < count; row++) {
    store<u16>(at, <u16>row);
    let taken = !none && (normal<T>(value) ^ flip) <= lead;
    if (validity != 0 && bitmapGet(validity, row) == 0) taken = nulls;
    at += (<usize>taken) << 1;
    value += sizeof<T>();
  }
  return <u32>((at - rows) >> 1);
}

function selectOthers(bound: Bound, vector: Vector, count: u32, rows: usize): u32 {
  let at = rows;
  for (let row: u32 = 0; row < count; row++) {
    store<u16>(at, <u16>row);
    let taken = takesNulls(bound);
    if (vectorIsValid(vector, row)) {
      taken = takesAllValues(bound) || (!takesNoValues(bound) && (vectorLead(vector, row) ^ bound.flip) <= bound.lead);
    }
    at += (<usize>taken) << 1;
  }
  return <u32>((at - rows) >> 1);
}

/** The first 8 bytes of a valid row of booleans, 128-bit integers or texts. */
function vectorLead(vector: Vector, row: u32): u64 {
  if (vector.type == <u32>Type.BOOL) return bitmapGet(vector.values, row);
  if (vector.type == <u32>Type.I128) return normalHigh(vector.values + ((<usize>row) << 4));
  return textWord(textAddressAt(vector, row), textLengthAt(vector, row), 0);
}
