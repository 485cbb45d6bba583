// Binding a batch: every buffer of every column is checked once, so that no instruction can trap or read
// outside what the host described, and what LOAD needs is laid out next to each other.
//
// Offsets are checked for order and range, dictionary codes for range where valid, bitmaps and values for
// length. A dictionary is checked when it is new or has grown, not for every batch. TRUSTED columns (the
// kernel's own results) are only measured.

import { Abi, Batch, Column, ColumnFlag, ErrorRecord, Type } from "../abi/layout";
import { Reason, Status } from "../abi/status";
import { typeIsBytes, typeWidth } from "../column/type";
import { bitmapGet } from "../column/bitmap";
import { insideMemory } from "../memory/bounds";
import { contextError, fail, failAt, failDetail, failValue } from "../memory/context";
import { Program } from "./machine";

/** A column of the bound batch, its offsets resolved. */
// @ts-ignore: decorator
@unmanaged
export class BoundColumn {
  /** `Type` of the values (BYTES for LARGE_BYTES too), and of the codes or NONE. */
  type: u32;
  codes: u32;
  /** First row of the batch in the buffers. */
  offset: u32;
  /** Validity bitmap, 0 when no row is null. */
  validity: usize;
  /** Values or codes. For texts: where offset 0 would point. */
  values: usize;
  /** Offsets of texts, and whether they are 64 bits wide. */
  offsets: usize;
  large: u32;
  /** Descriptor of the dictionary, its BASE folded into VALUES; 0 when there is none. */
  dictionary: usize;
  dictionaryId: u32;
  dictionaryLength: u32;
  /** Bitmap of the dictionary's values, 0 when none is null. */
  dictionaryValidity: usize;
  /** Texts of the dictionary: all bytes, and those of the longest. */
  dictionaryBytes: u32;
  dictionaryLongest: u32;
  /** VALUES and BASE of the dictionary that was checked last, as the host gave them. */
  checkedValues: usize;
  /** 1 once `totalBytes` is known for the bound batch. */
  measured: u32;
  /** Bytes of all texts of the batch, and most in one vector. */
  totalBytes: u64;
  vectorBytes: u64;
  checkedBase: i64;
  /** Whether results that stay may lie in the buffers (ColumnFlag.SHARED). */
  shared: u32;
  /** 1: not brought into the cache before it is read, where it has no nulls, as what reads it hides the waiting (`programHides`). */
  hidden: u32;
  /** Values or codes in a byte each; 0 where there are none. */
  narrow: usize;
}

export const BOUND_COLUMN_SIZE: usize = 104;

// @ts-ignore: decorator
@inline
export function boundColumn(program: Program, index: u32): BoundColumn {
  return changetype<BoundColumn>(program.columns + <usize>index * (BOUND_COLUMN_SIZE + <usize>Column.SIZE));
}

/** Checks the batch and binds its columns; negative status with the error recorded. */
export function bindColumns(context: usize, program: Program, batch: usize): i32 {
  const descriptors: usize = load<u32>(batch, <usize>Batch.DESCRIPTORS);
  const count = load<u32>(batch, <usize>Batch.COLUMNS);
  const rows = load<u32>(batch, <usize>Batch.ROWS);
  if (rows > <u32>Abi.MORSEL_ROWS) return fail(context, Status.BAD_ARGUMENT, Reason.TOO_MANY_ROWS);
  if (count != program.columnCount || !insideMemory(descriptors, <u64>count * <u64>Column.SIZE)) {
    failDetail(context, program.columnCount);
    return fail(context, Status.BAD_ARGUMENT, Reason.BAD_BATCH);
  }
  const skip = load<u32>(batch, <usize>Batch.OFFSET);
  for (let index: u32 = 0; index < count; index++) {
    const type = load<u32>(program.columnTypes + (<usize>index << 2));
    const column = descriptors + <usize>index * <usize>Column.SIZE;
    const reason = bindColumn(context, boundColumn(program, index), type, column, skip, rows);
    if (reason == <u32>Reason.NONE) continue;
    store<i32>(contextError(context), <i32>index, <usize>ErrorRecord.COLUMN);
    const status =
      reason == <u32>Reason.COLUMN_TYPE
        ? Status.TYPE_MISMATCH
        : reason == <u32>Reason.BAD_BATCH
          ? Status.BAD_ARGUMENT
          : Status.MALFORMED;
    return fail(context, status, <Reason>reason);
  }
  program.batchRows = rows;
  return 0;
}

function bindColumn(context: usize, bound: BoundColumn, type: u32, column: usize, skip: u32, rows: u32): u32 {
  const flags = load<u32>(column, <usize>Column.FLAGS);
  const own = load<u32>(column, <usize>Column.TYPE);
  const coded = (flags & <u32>ColumnFlag.DICTIONARY) != 0;
  if (coded ? !isInteger(own) : valueType(own) != type) {
    failDetail(context, type);
    return Reason.COLUMN_TYPE;
  }
  if (<u64>skip + <u64>rows > <u64>load<u32>(column, <usize>Column.LENGTH)) return Reason.BAD_BATCH;
  const first: u64 = <u64>skip + <u64>load<u32>(column, <usize>Column.OFFSET);
  if (first + <u64>rows > 0xffffffff) return Reason.BAD_BATCH;
  const dictionary: usize = coded ? <usize>load<u32>(column, <usize>Column.DICTIONARY) : 0;
  bound.type = type;
  bound.codes = coded ? own : <u32>Type.NONE;
  bound.offset = <u32>first;
  bound.measured = 0;
  bound.shared = flags & <u32>ColumnFlag.SHARED;
  bound.narrow = (flags & <u32>ColumnFlag.TRUSTED) != 0 ? <usize>load<u32>(column, <usize>Column.NARROW) : 0;
  if (bound.narrow != 0 && !insideMemory(bound.narrow, first + <u64>rows)) return Reason.VALUES_TOO_SHORT;
  const reason = bindBuffers(context, bound, column, own, <u32>first, rows);
  if (reason != <u32>Reason.NONE) return reason;
  if (!coded) {
    bound.dictionary = 0;
    return Reason.NONE;
  }
  const refused = bindDictionary(context, bound, type, dictionary, load<u32>(column, <usize>Column.DICTIONARY_ID));
  if (refused != <u32>Reason.NONE) return refused;
  return (flags & <u32>ColumnFlag.TRUSTED) != 0 ? <u32>Reason.NONE : checkCodes(context, bound, rows);
}

function isInteger(type: u32): bool {
  return type >= <u32>Type.I8 && type <= <u32>Type.U64;
}

/** The type that stands for `type` in programs. */
// @ts-ignore: decorator
@inline
export function valueType(type: u32): u32 {
  return type == <u32>Type.LARGE_BYTES ? <u32>Type.BYTES : type;
}

/** Checks and binds validity, values and offsets for rows [first, first + rows). */
function bindBuffers(context: usize, bound: BoundColumn, column: usize, type: u32, first: u32, rows: u32): u32 {
  const end: u64 = <u64>first + <u64>rows;
  bound.validity = 0;
  // Where nothing is read, nothing need be there: the buffers of an empty column may be missing.
  if (rows == 0) return Reason.NONE;
  const validity: usize = load<u32>(column, <usize>Column.VALIDITY);
  if (validity != 0 && load<i32>(column, <usize>Column.NULL_COUNT) != 0) {
    const bytes = load<u32>(column, <usize>Column.VALIDITY_BYTES);
    if (end > <u64>bytes << 3 || !insideMemory(validity, bytes)) return Reason.VALIDITY_TOO_SHORT;
    bound.validity = validity;
  }
  const values: usize = load<u32>(column, <usize>Column.VALUES);
  const valuesBytes = load<u32>(column, <usize>Column.VALUES_BYTES);
  if (!insideMemory(values, valuesBytes)) return Reason.VALUES_TOO_SHORT;
  bound.values = values;
  if (typeIsBytes(type)) return bindTexts(context, bound, column, type, first, rows);
  const need: u64 = type == <u32>Type.BOOL ? (end + 7) >> 3 : end * <u64>typeWidth(type);
  return need > <u64>valuesBytes ? <u32>Reason.VALUES_TOO_SHORT : <u32>Reason.NONE;
}

function bindTexts(context: usize, bound: BoundColumn, column: usize, type: u32, first: u32, rows: u32): u32 {
  const offsets: usize = load<u32>(column, <usize>Column.OFFSETS);
  const bytes = load<u32>(column, <usize>Column.OFFSETS_BYTES);
  const base = load<i64>(column, <usize>Column.BASE);
  bound.large = type == <u32>Type.LARGE_BYTES ? 1 : 0;
  bound.offsets = offsets;
  bound.values = <usize>load<u32>(column, <usize>Column.VALUES) - <usize>base;
  const width: u64 = bound.large ? 8 : 4;
  if (offsets == 0 || (<u64>first + <u64>rows + 1) * width > <u64>bytes || !insideMemory(offsets, bytes)) {
    return Reason.VALUES_TOO_SHORT;
  }
  if ((load<u32>(column, <usize>Column.FLAGS) & <u32>ColumnFlag.TRUSTED) != 0) return Reason.NONE;
  const limit: i64 = base + <i64>load<u32>(column, <usize>Column.VALUES_BYTES);
  return bound.large
    ? checkOffsets<i64>(context, offsets + (<usize>first << 3), rows, base, limit)
    : checkOffsets<i32>(context, offsets + (<usize>first << 2), rows, base, limit);
}

/** `rows + 1` offsets must not decrease, and lie in [base, limit]. */
function checkOffsets<T>(context: usize, offsets: usize, rows: u32, base: i64, limit: i64): u32 {
  let row: u32 = 0;
  let decreases: u32 = 0;
  if (ASC_FEATURE_SIMD && sizeof<T>() == 4) {
    let any = i32x4.splat(0);
    for (; row + 4 <= rows; row += 4) {
      const at = offsets + (<usize>row << 2);
      any = v128.or(any, i32x4.gt_s(v128.load(at), v128.load(at, 4)));
    }
    decreases = v128.any_true(any) ? 1 : 0;
  }
  for (; row < rows; row++) {
    const at = offsets + <usize>row * sizeof<T>();
    decreases |= <u32>(load<T>(at) > load<T>(at, sizeof<T>()));
  }
  if (decreases) {
    row = 0;
    while (load<T>(offsets + <usize>row * sizeof<T>()) <= load<T>(offsets + <usize>row * sizeof<T>(), sizeof<T>())) row++;
    return offsetError(context, row, <i64>load<T>(offsets + <usize>row * sizeof<T>(), sizeof<T>()), Reason.OFFSET_DECREASES);
  }
  if (<i64>load<T>(offsets) < base) return offsetError(context, 0, <i64>load<T>(offsets), Reason.OFFSET_PAST_END);
  if (<i64>load<T>(offsets + <usize>rows * sizeof<T>()) <= limit) return Reason.NONE;
  row = 0;
  while (<i64>load<T>(offsets + <usize>row * sizeof<T>(), sizeof<T>()) <= limit) row++;
  return offsetError(context, row, <i64>load<T>(offsets + <usize>row * sizeof<T>(), sizeof<T>()), Reason.OFFSET_PAST_END);
}

function offsetError(context: usize, row: u32, offset: i64, reason: Reason): u32 {
  failAt(context, -1, row);
  failValue(context, Type.I64, <u64>offset, 0);
  return reason;
}

// ---- dictionaries

function bindDictionary(context: usize, bound: BoundColumn, type: u32, dictionary: usize, id: u32): u32 {
  if (dictionary == 0 || !insideMemory(dictionary, <u64>Column.SIZE)) return Reason.DICTIONARY_MISSING;
  const own = load<u32>(dictionary, <usize>Column.TYPE);
  if (valueType(own) != type || (load<u32>(dictionary, <usize>Column.FLAGS) & <u32>ColumnFlag.DICTIONARY) != 0) {
    failDetail(context, type);
    return Reason.COLUMN_TYPE;
  }
  const length = load<u32>(dictionary, <usize>Column.LENGTH);
  const first = load<u32>(dictionary, <usize>Column.OFFSET);
  if (<u64>first + <u64>length > 0xffffffff) return Reason.BAD_BATCH;
  const copy = changetype<usize>(bound) + BOUND_COLUMN_SIZE;
  const known = bound.dictionary != 0 && id != 0 && bound.dictionaryId == id && isSameDictionary(bound, copy, dictionary);
  // The codes' own buffers are bound already; those of the dictionary pass through the same checks.
  const codes = bound.values;
  const codesValidity = bound.validity;
  bound.dictionary = 0;
  const reason = bindBuffers(context, bound, dictionary, known ? <u32>Type.NONE : own, first, length);
  bound.dictionaryValidity = bound.validity;
  bound.validity = codesValidity;
  bound.values = codes;
  if (reason != <u32>Reason.NONE) {
    // The row counts values of the dictionary, not rows of the batch: it goes to DETAIL.
    failDetail(context, load<u32>(contextError(context), <usize>ErrorRecord.ROW));
    failAt(context, -1, 0xffffffff);
    return reason;
  }
  memory.copy(copy, dictionary, <usize>Column.SIZE);
  if (typeIsBytes(own)) {
    store<u32>(copy, load<u32>(dictionary, <usize>Column.VALUES) - <u32>load<i64>(dictionary, <usize>Column.BASE), <usize>Column.VALUES);
    store<i64>(copy, 0, <usize>Column.BASE);
    if (!known) measureDictionary(bound, copy);
  }
  bound.dictionary = copy;
  bound.dictionaryId = id;
  bound.dictionaryLength = length;
  bound.checkedValues = load<u32>(dictionary, <usize>Column.VALUES);
  bound.checkedBase = load<i64>(dictionary, <usize>Column.BASE);
  return Reason.NONE;
}

/** Whether a descriptor names exactly the buffers that were checked, of which `copy` is left. */
function isSameDictionary(bound: BoundColumn, copy: usize, dictionary: usize): bool {
  return (
    bound.checkedValues == <usize>load<u32>(dictionary, <usize>Column.VALUES) &&
    isSame(copy, dictionary, <usize>Column.TYPE) &&
    isSame(copy, dictionary, <usize>Column.LENGTH) &&
    isSame(copy, dictionary, <usize>Column.OFFSET) &&
    isSame(copy, dictionary, <usize>Column.VALUES_BYTES) &&
    isSame(copy, dictionary, <usize>Column.OFFSETS) &&
    isSame(copy, dictionary, <usize>Column.OFFSETS_BYTES) &&
    bound.checkedBase == load<i64>(dictionary, <usize>Column.BASE)
  );
}

// @ts-ignore: decorator
@inline
function isSame(a: usize, b: usize, field: usize): bool {
  return load<u32>(a + field) == load<u32>(b + field);
}

function measureDictionary(bound: BoundColumn, dictionary: usize): void {
  const offsets: usize = load<u32>(dictionary, <usize>Column.OFFSETS);
  const first: usize = load<u32>(dictionary, <usize>Column.OFFSET);
  const length = load<u32>(dictionary, <usize>Column.LENGTH);
  bound.dictionaryBytes = 0;
  bound.dictionaryLongest = 0;
  if (length == 0) return;
  const shift: usize = load<u32>(dictionary, <usize>Column.TYPE) == <u32>Type.LARGE_BYTES ? 3 : 2;
  let at = offsets + (first << shift);
  const start = load<u32>(at);
  let end = start;
  let longest: u32 = 0;
  for (let code: u32 = 0; code < length; code++) {
    at += <usize>1 << shift;
    const next = load<u32>(at);
    longest = max(longest, next - end);
    end = next;
  }
  bound.dictionaryBytes = end - start;
  bound.dictionaryLongest = longest;
}

/** Codes of valid rows must lie below the dictionary's length. */
function checkCodes(context: usize, bound: BoundColumn, rows: u32): u32 {
  switch (bound.codes) {
    case Type.I8:
    case Type.U8:
      return checkCodesOf<u8>(context, bound, rows);
    case Type.I16:
    case Type.U16:
      return checkCodesOf<u16>(context, bound, rows);
    case Type.I32:
    case Type.U32:
      return checkCodesOf<u32>(context, bound, rows);
    default:
      return checkCodesOf<u64>(context, bound, rows);
  }
}

function checkCodesOf<T>(context: usize, bound: BoundColumn, rows: u32): u32 {
  const length: u64 = codeLimit(bound);
  const codes = bound.values + <usize>bound.offset * sizeof<T>();
  let row: u32 = 0;
  let highest: u64 = 0;
  if (ASC_FEATURE_SIMD && sizeof<T>() == 4) {
    let highs = i32x4.splat(0);
    for (; row + 4 <= rows; row += 4) highs = i32x4.max_u(highs, v128.load(codes + (<usize>row << 2)));
    highs = i32x4.max_u(highs, i8x16.shuffle(highs, highs, 8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 6, 7));
    highest = max<u32>(i32x4.extract_lane(highs, 0), i32x4.extract_lane(highs, 1));
  }
  for (; row < rows; row++) highest = max<u64>(highest, <u64>load<T>(codes + <usize>row * sizeof<T>()));
  if (highest < length || rows == 0) return Reason.NONE;
  for (row = 0; row < rows; row++) {
    if (<u64>load<T>(codes + <usize>row * sizeof<T>()) < length) continue;
    if (bound.validity != 0 && !bitmapGet(bound.validity + <usize>(bound.offset >> 3), (bound.offset & 7) + row)) continue;
    failAt(context, -1, row);
    failValue(context, Type.I64, signedCode<T>(bound.codes, load<T>(codes + <usize>row * sizeof<T>())), 0);
    failDetail(context, bound.dictionaryLength);
    return Reason.DICTIONARY_INDEX;
  }
  return Reason.NONE;
}

/** First code that is out of range: a negative code of a signed type counts as large, whatever the length. */
function codeLimit(bound: BoundColumn): u64 {
  const length: u64 = bound.dictionaryLength;
  switch (bound.codes) {
    case Type.I8:
      return min<u64>(length, 0x80);
    case Type.I16:
      return min<u64>(length, 0x8000);
    case Type.I32:
      return min<u64>(length, 0x80000000);
    default:
      return length;
  }
}

function signedCode<T>(type: u32, code: T): u64 {
  switch (type) {
    case Type.I8:
      return <u64>(<i64>(<i8>code));
    case Type.I16:
      return <u64>(<i64>(<i16>code));
    case Type.I32:
      return <u64>(<i64>(<i32>code));
    default:
      return <u64>code;
  }
}
