// From the kernel's error record to an exception with a sentence.
//
// The record holds numbers only (kernel/abi/layout.ts, ErrorRecord); the names of columns, their logical
// types and the number of rows that came before this batch are known on this side.

import { ErrorFlag, ErrorRecord, Type } from "../../../kernel/abi/layout.js";
import { Reason, Status } from "../../../kernel/abi/status.js";
import { type DataType, type Field, typeName, valueType } from "../type/data-type.js";
import {
  ArgumentError,
  CastError,
  ClosedError,
  CorruptStateError,
  type ErrorDetails,
  MalformedArrowError,
  MemoryLimitError,
  type MillraceError,
  OverflowError,
  RetractionError,
  SchemaMismatchError,
} from "../type/error.js";
import { formatBytes } from "./bytes.js";
import type { KernelMemory } from "./memory.js";

/** What the caller of an export knows about its columns. */
export interface FailureContext {
  /** Fields of the batch's columns, in the order in which they were described. */
  readonly inputs?: readonly Field[] | undefined;
  /** Fields of the operator's results, and what to call them: `sum "total"`. */
  readonly outputs?: readonly Field[] | undefined;
  readonly labels?: readonly string[] | undefined;
  /** What to call the instruction of a program that failed: `price * quantity`. */
  readonly instruction?: ((index: number) => string | undefined) | undefined;
  /** Of windows: the column that is their time. */
  readonly time?: string | undefined;
  /** Rows of the run before row 0 of this batch. */
  readonly firstRow?: number | undefined;
}

/** The record's numbers, read out of kernel memory. */
export interface Failure {
  readonly status: Status;
  readonly reason: Reason;
  readonly column: number;
  readonly isOutput: boolean;
  /** Row of the batch, or null. */
  readonly row: number | null;
  readonly type: Type;
  /** 16 bytes, or the bytes of a text. */
  readonly value: Uint8Array;
  readonly detail: number;
}

/** Longest text of a value in a message, in bytes. */
const MAX_TEXT_BYTES = 120;

export function readFailure(memory: KernelMemory, record: number): Failure {
  const view = memory.view;
  const type: Type = view.getUint32(record + ErrorRecord.TYPE, true);
  const row = view.getUint32(record + ErrorRecord.ROW, true);
  const at = record + ErrorRecord.VALUE;
  let value = memory.bytes.slice(at, at + 16);
  if (type === Type.BYTES || type === Type.LARGE_BYTES) {
    const address = view.getUint32(at, true);
    value = memory.bytes.slice(address, address + view.getUint32(at + 4, true));
  }
  return {
    status: view.getInt32(record + ErrorRecord.STATUS, true),
    reason: view.getUint32(record + ErrorRecord.REASON, true),
    column: view.getInt32(record + ErrorRecord.COLUMN, true),
    isOutput: (view.getUint32(record + ErrorRecord.FLAGS, true) & ErrorFlag.OUTPUT) !== 0,
    row: row === 0xffffffff ? null : row,
    type,
    value,
    detail: view.getUint32(record + ErrorRecord.DETAIL, true),
  };
}

/** The exception for a failed call. */
export function failureError(failure: Failure, memory: KernelMemory, context: FailureContext): MillraceError {
  const field = (failure.isOutput ? context.outputs : context.inputs)?.[failure.column];
  const row = failure.row === null ? undefined : (context.firstRow ?? 0) + failure.row;
  const value = failure.type === Type.NONE ? undefined : decodeValue(failure.type, failure.value);
  const column = field?.name ?? (isOfTime(failure.reason) ? context.time : undefined);
  const details: ErrorDetails = { column, row, value };
  const type = field === undefined ? undefined : valueType(field.type);
  const place = words(failure, context, field, row);
  const said = value === undefined ? "" : formatValue(value, type);
  const colon = said === "" ? "" : `: ${said}`;
  switch (failure.reason) {
    case Reason.MEMORY_LIMIT:
    case Reason.ADDRESS_SPACE:
      return memoryError(memory, failure.detail);
    case Reason.INTEGER_OVERFLOW:
      return new OverflowError(
        `${place}the result does not fit ${integerName(failure.type)}${operands(failure)}`,
        details,
      );
    case Reason.SUM_OVERFLOW:
      return new OverflowError(
        `${subject(failure, context, field)} overflows ${resultType(failure, type)}${colon}`,
        details,
      );
    case Reason.DECIMAL_OVERFLOW:
      return failure.isOutput
        ? new OverflowError(`${subject(failure, context, field)} needs more than 38 digits${colon}`, details)
        : new OverflowError(`${place}the decimal needs more digits than its type has${colon}`, details);
    case Reason.TIMESTAMP_OVERFLOW:
      return new OverflowError(`${place}the time does not fit 64 bits of its unit${colon}`, details);
    case Reason.WINDOW_OVERFLOW:
      return new OverflowError(
        `${place}the time${said === "" ? "" : ` ${said}`} is so near the end of its type that a window around it does not fit`,
        details,
      );
    case Reason.NULL_TIME:
      return new ArgumentError(`${place}the time of a row is null: drop such rows or give them a time`, {
        ...details,
        expected: "a time",
      });
    case Reason.TEXT_TOO_LONG:
      return new OverflowError(`${place}the texts of one result batch pass 2 GiB`, details);
    case Reason.TOO_MANY_GROUPS:
      return new MemoryLimitError(
        "memory limit: the groups pass 2^32, more than one operator can number",
        details,
      );
    case Reason.CAST_RANGE:
      return new CastError(
        `${place}${said || "the value"} is out of range for ${resultType(failure, undefined)}`,
        details,
      );
    case Reason.CAST_TEXT:
      return new CastError(
        `${place}${said || "the text"} is not a value of ${resultType(failure, undefined)}`,
        details,
      );
    case Reason.OFFSET_DECREASES:
      return new MalformedArrowError(`${place}the offsets decrease${colon}`, details);
    case Reason.OFFSET_PAST_END:
      return new MalformedArrowError(
        `${place}${said === "" ? "an offset" : `offset ${said}`} lies outside the values`,
        details,
      );
    case Reason.VALIDITY_TOO_SHORT:
      return new MalformedArrowError(`${place}the validity bitmap is shorter than the rows`, details);
    case Reason.VALUES_TOO_SHORT:
      return new MalformedArrowError(`${place}the values buffer is shorter than the rows`, details);
    case Reason.DICTIONARY_INDEX:
      return new MalformedArrowError(
        `${place}dictionary index ${said || "of a row"} is out of range, the dictionary has ${failure.detail} value${failure.detail === 1 ? "" : "s"}`,
        details,
      );
    case Reason.DICTIONARY_MISSING:
      return new MalformedArrowError(`${place}the dictionary is missing`, details);
    case Reason.COLUMN_TYPE:
      return new SchemaMismatchError(
        `${place}the batch has ${field === undefined ? "another type" : typeName(field.type)} where the operator takes ${physicalName(failure.detail)}`,
        { ...details, expected: physicalName(failure.detail) },
      );
    case Reason.ROW_KIND:
      return new RetractionError(
        `${place}${said === "" ? "a row kind is null" : `${said} is no row kind`}: 0 is +I, 1 -U, 2 +U and 3 -D`,
        { ...details, expected: "0, 1, 2 or 3" },
      );
    case Reason.RETRACTED_ABSENT:
      return new RetractionError(
        `${place}more was taken back (-U, -D) than came: a group, one of its values, or a row that a join keeps, is left with a count of ${said}`,
        details,
      );
    case Reason.TOO_MANY_ROWS:
      return new ArgumentError("one push takes at most 65536 rows", details);
    case Reason.PORT_CLOSED:
      return new ClosedError("the operator's input has ended: it takes no more rows", details);
    case Reason.STATE_VERSION:
      return new CorruptStateError(
        `the state was written by ABI version ${said || failure.detail}, this kernel reads another`,
        details,
      );
    case Reason.STATE_KIND:
      return new CorruptStateError("the state belongs to another kind of operator", details);
    case Reason.STATE_CONFIG:
      return new CorruptStateError("the state belongs to an operator with another configuration", details);
    case Reason.STATE_ORDER:
      return new CorruptStateError("the state batches are incomplete or out of order", details);
    case Reason.STATE_TARGET:
      return new ArgumentError(
        "windows take a state over before their first row and watermark, not after it",
        details,
      );
    case Reason.STATE_SHAPE:
      return new CorruptStateError("a state batch does not have the columns that its section has", details);
    case Reason.STATE_VALUE:
      return new CorruptStateError(`a state batch holds an impossible value${colon}`, details);
    default:
      return statusError(failure, details, place);
  }
}

function statusError(failure: Failure, details: ErrorDetails, place: string): MillraceError {
  switch (failure.status) {
    case Status.OUT_OF_MEMORY:
      return new MemoryLimitError("no room for another operator: 1023 are open in this kernel", details);
    case Status.TYPE_MISMATCH:
      return new SchemaMismatchError(`${place}the column's type is not what the operator takes`, details);
    case Status.OVERFLOW:
      return new OverflowError(`${place}the result does not fit its type`, details);
    case Status.INVALID_CAST:
      return new CastError(`${place}the value cannot be converted`, details);
    case Status.MALFORMED:
      return new MalformedArrowError(`${place}the Arrow buffers contradict themselves`, details);
    case Status.CORRUPT_STATE:
      return new CorruptStateError("the state is damaged", details);
    case Status.BUSY:
      return new ArgumentError(
        "the operator has output waiting or an open snapshot: read it before this call",
        details,
      );
    case Status.FAILED:
      return new ClosedError("the operator failed earlier: it can only be destroyed", details);
    default:
      return new ArgumentError(
        `${place}${ARGUMENT_WORDS[failure.reason] ?? "the kernel refused an argument"}`,
        details,
      );
  }
}

const ARGUMENT_WORDS: { readonly [reason: number]: string } = {
  [Reason.BAD_HANDLE]: "the operator does not exist (any more)",
  [Reason.BAD_PORT]: "the operator has no such port",
  [Reason.BAD_CONFIG]: "the operator's configuration is malformed",
  [Reason.BAD_BATCH]: "the batch descriptor is malformed",
  [Reason.BAD_PROGRAM]: "the operator's program is malformed",
};

/** The error for an allocation of `asked` bytes that the heap refused. */
export function memoryError(memory: KernelMemory, asked: number): MemoryLimitError {
  const { usedBytes, budgetBytes } = memory;
  const wanted = asked > 0 ? `${formatBytes(asked)} more do` : "the next allocation does";
  return new MemoryLimitError(
    `memory limit: ${wanted} not fit, ${formatBytes(usedBytes)} of the budget of ${formatBytes(budgetBytes)} are in use`,
    { value: asked, expected: `at most ${budgetBytes} bytes` },
  );
}

/** `column "x", row 17: `, as far as it is known; empty when nothing is. */
function words(
  failure: Failure,
  context: FailureContext,
  field: Field | undefined,
  row: number | undefined,
): string {
  const parts: string[] = [];
  if (failure.isOutput && field !== undefined) parts.push(subject(failure, context, field));
  else if (field !== undefined) parts.push(`column "${field.name}"`);
  else if (context.time !== undefined && isOfTime(failure.reason)) parts.push(`column "${context.time}"`);
  else {
    const expression = usesInstruction(failure.reason) ? context.instruction?.(failure.detail) : undefined;
    if (expression !== undefined) parts.push(expression);
  }
  if (row !== undefined) parts.push(`row ${row}`);
  return parts.length === 0 ? "" : `${parts.join(", ")}: `;
}

function isOfTime(reason: Reason): boolean {
  return reason === Reason.NULL_TIME || reason === Reason.WINDOW_OVERFLOW;
}

function usesInstruction(reason: Reason): boolean {
  return (
    reason === Reason.INTEGER_OVERFLOW ||
    reason === Reason.DECIMAL_OVERFLOW ||
    reason === Reason.TIMESTAMP_OVERFLOW ||
    reason === Reason.CAST_RANGE ||
    reason === Reason.CAST_TEXT ||
    reason === Reason.TEXT_TOO_LONG ||
    isOfTime(reason)
  );
}

function subject(failure: Failure, context: FailureContext, field: Field | undefined): string {
  return context.labels?.[failure.column] ?? (field === undefined ? "a result" : `result "${field.name}"`);
}

function resultType(failure: Failure, type: DataType | undefined): string {
  if (type !== undefined) return typeName(type);
  return failure.type === Type.NONE ? "its type" : "the target type";
}

/**
 * Operands of an expression that overflowed: the record has A and, of 8-byte types, B in the upper half.
 * No operation overflows with 0 on its right, so a B of 0 is one that is not there.
 */
function operands({ type, value }: Failure): string {
  if (type === Type.NONE) return "";
  const a = formatValue(decodeValue(type, value));
  const isInteger = type === Type.I32 || type === Type.I64 || type === Type.U64;
  if (!isInteger) return ` (operand ${a})`;
  const b = decodeValue(type === Type.U64 ? Type.U64 : Type.I64, value.subarray(8));
  return b === 0n ? ` (operand ${a})` : ` (operands ${a} and ${b})`;
}

function integerName(type: Type): string {
  return INTEGER_NAMES[type] ?? "its type";
}

const INTEGER_NAMES: { readonly [type: number]: string } = {
  [Type.I32]: "int32",
  [Type.I64]: "int64",
  [Type.U64]: "uint64",
};

/** What the kernel calls a physical type, in words. */
export function physicalName(type: number): string {
  return PHYSICAL_NAMES[type] ?? "another type";
}

const PHYSICAL_NAMES: { readonly [type: number]: string } = {
  [Type.BOOL]: "booleans",
  [Type.I8]: "8-bit integers",
  [Type.I16]: "16-bit integers",
  [Type.I32]: "32-bit integers",
  [Type.I64]: "64-bit integers",
  [Type.U8]: "unsigned 8-bit integers",
  [Type.U16]: "unsigned 16-bit integers",
  [Type.U32]: "unsigned 32-bit integers",
  [Type.U64]: "unsigned 64-bit integers",
  [Type.F32]: "32-bit floats",
  [Type.F64]: "64-bit floats",
  [Type.I128]: "decimals",
  [Type.BYTES]: "texts or bytes",
  [Type.LARGE_BYTES]: "texts or bytes",
};

/** The record's value: number for floats, bigint for integers and unscaled decimals, else bytes or boolean. */
export function decodeValue(type: Type, bytes: Uint8Array): number | bigint | boolean | Uint8Array {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  switch (type) {
    case Type.BOOL:
      return bytes[0] !== 0;
    case Type.I8:
      return BigInt(view.getInt8(0));
    case Type.I16:
      return BigInt(view.getInt16(0, true));
    case Type.I32:
      return BigInt(view.getInt32(0, true));
    case Type.I64:
      return view.getBigInt64(0, true);
    case Type.U8:
      return BigInt(view.getUint8(0));
    case Type.U16:
      return BigInt(view.getUint16(0, true));
    case Type.U32:
      return BigInt(view.getUint32(0, true));
    case Type.U64:
      return view.getBigUint64(0, true);
    case Type.F32:
      return view.getFloat32(0, true);
    case Type.F64:
      return view.getFloat64(0, true);
    case Type.I128:
      return (view.getBigInt64(8, true) << 64n) | view.getBigUint64(0, true);
    default:
      return bytes;
  }
}

/** A decoded value as a message shows it: decimals with their point, texts in quotes, bytes in hex. */
export function formatValue(value: number | bigint | boolean | Uint8Array, type?: DataType): string {
  if (value instanceof Uint8Array) {
    const cut = value.length > MAX_TEXT_BYTES;
    const shown = cut ? value.subarray(0, MAX_TEXT_BYTES) : value;
    if (type?.kind === "binary" || type?.kind === "largeBinary") {
      return `0x${Array.from(shown, (byte) => byte.toString(16).padStart(2, "0")).join("")}${cut ? "..." : ""}`;
    }
    return `${JSON.stringify(new TextDecoder().decode(shown))}${cut ? "..." : ""}`;
  }
  if (typeof value === "bigint" && type?.kind === "decimal") return formatDecimal(value, type.scale);
  return String(value);
}

function formatDecimal(unscaled: bigint, scale: number): string {
  if (scale <= 0) return `${unscaled}${"0".repeat(-scale)}`;
  const digits = (unscaled < 0n ? -unscaled : unscaled).toString().padStart(scale + 1, "0");
  return `${unscaled < 0n ? "-" : ""}${digits.slice(0, -scale)}.${digits.slice(-scale)}`;
}
