// Encodes programs (kernel/abi/instruction.ts): columns, registers, instructions and literals to bytes.
//
// A builder hands out register numbers in the order of the instructions that write them. Equal literals
// and equal loads (between two filters) share a register, so that callers need not look for them. The
// kernel checks a program when an operator is created; this file only refuses what cannot be encoded.

import {
  Instruction,
  InstructionFlag,
  Opcode,
  ProgramHeader,
  ProgramLimit,
} from "../../../kernel/abi/instruction.js";
import { Abi, Type } from "../../../kernel/abi/layout.js";
import { byteWidth } from "../type/data-type.js";
import { ArgumentError } from "../type/error.js";

/** Number of a register. */
export type Register = number;

/** A literal: integers, decimals (unscaled) and times may be bigints or safe integers. */
export type Literal = null | boolean | number | bigint | string | Uint8Array;

export interface Operation {
  /** Type of the result; that of the operands when left out. */
  readonly target?: Type;
  readonly a?: Register;
  readonly b?: Register;
  readonly c?: Register;
  /** BOOL register: rows where it is not true raise no error. */
  readonly mask?: Register | undefined;
  readonly arg0?: number;
  readonly arg1?: number;
  readonly immediate?: bigint;
  /** CAST and its kin: null instead of an error. */
  readonly try?: boolean;
}

const encoder = new TextEncoder();

export class ProgramBuilder {
  readonly #columns: Type[] = [];
  readonly #registers: Type[] = [];
  readonly #instructions: Uint8Array[] = [];
  readonly #outputs: Register[] = [];
  readonly #pool: Uint8Array[] = [];
  readonly #literals = new Map<string, Register>();
  readonly #pooled = new Map<string, number>();
  readonly #loads = new Map<number, Register>();
  #poolBytes = 0;

  /** Declares the next column of every batch; answers its index. */
  column(type: Type): number {
    this.#columns.push(valueType(type));
    return this.#columns.length - 1;
  }

  /** A new register that nothing writes yet; `emit` makes one by itself. */
  register(type: Type): Register {
    if (this.#registers.length >= ProgramLimit.MAX_REGISTERS) {
      throw new ArgumentError(`an expression may use at most ${ProgramLimit.MAX_REGISTERS} registers`);
    }
    this.#registers.push(valueType(type));
    return this.#registers.length - 1;
  }

  /** Type of a register. */
  typeOf(register: Register): Type {
    return this.#registers[register] ?? Type.NONE;
  }

  /** The column's values at the selected rows. */
  load(column: number): Register {
    const known = this.#loads.get(column);
    if (known !== undefined) return known;
    const register = this.emit(Opcode.LOAD, this.#columns[column] ?? Type.NONE, { arg0: column });
    this.#loads.set(column, register);
    return register;
  }

  literal(type: Type, value: Literal): Register {
    const bytes = value === null ? new Uint8Array() : literalBytes(valueType(type), value);
    const key = `${type}:${value === null ? "null" : hex(bytes)}`;
    const known = this.#literals.get(key);
    if (known !== undefined) return known;
    const entry = new Uint8Array(8 + bytes.length);
    const view = new DataView(entry.buffer);
    view.setUint32(0, bytes.length, true);
    view.setUint32(4, value === null ? 1 : 0, true);
    entry.set(bytes, 8);
    const register = this.emit(Opcode.LITERAL, type, { arg0: this.pool(entry) });
    this.#literals.set(key, register);
    return register;
  }

  /** Adds an instruction over operands of `type`; answers the register that it writes. */
  emit(opcode: Opcode, type: Type, operation: Operation = {}): Register {
    const target = this.register(operation.target ?? type);
    this.#append(opcode, valueType(type), target, operation);
    return target;
  }

  /** Keeps the rows where the register is true. Registers other than literals must not be read after it. */
  filter(register: Register): void {
    this.#append(Opcode.FILTER, Type.BOOL, ProgramLimit.NO_REGISTER, { a: register });
    this.#loads.clear();
  }

  /** Declares the next output; answers its index. */
  output(register: Register): number {
    if (this.#outputs.length >= ProgramLimit.MAX_OUTPUTS) {
      throw new ArgumentError(`a program may have at most ${ProgramLimit.MAX_OUTPUTS} outputs`);
    }
    this.#outputs.push(register);
    return this.#outputs.length - 1;
  }

  /** Adds bytes to the literal pool; answers their offset, a multiple of 8. Equal bytes are added once. */
  pool(bytes: Uint8Array): number {
    const key = hex(bytes);
    const known = this.#pooled.get(key);
    if (known !== undefined) return known;
    const offset = this.#poolBytes;
    this.#pool.push(bytes);
    this.#poolBytes += padded(bytes.length);
    this.#pooled.set(key, offset);
    return offset;
  }

  /** The list of an IN; a null among the values is the list's null. */
  list(type: Type, values: readonly Literal[]): number {
    const present = values
      .filter((value) => value !== null)
      .map((value) => literalBytes(valueType(type), value));
    const text = valueType(type) === Type.BYTES;
    const sizes = present.map((bytes) => padded(text ? 4 + bytes.length : bytes.length));
    const entry = new Uint8Array(sizes.reduce((sum, size) => sum + size, 8));
    const view = new DataView(entry.buffer);
    view.setUint32(0, present.length, true);
    view.setUint32(4, present.length < values.length ? 1 : 0, true);
    let at = 8;
    present.forEach((bytes, index) => {
      if (text) view.setUint32(at, bytes.length, true);
      entry.set(bytes, text ? at + 4 : at);
      at += sizes[index]!;
    });
    return this.pool(entry);
  }

  /** The table of a CASE_MAP: pairs of code points, in any order. */
  caseTable(pairs: readonly (readonly [from: number, to: number])[]): number {
    const sorted = [...pairs].sort((a, b) => a[0] - b[0]);
    const entry = new Uint8Array(8 + sorted.length * 8);
    const view = new DataView(entry.buffer);
    view.setUint32(0, sorted.length, true);
    sorted.forEach(([from, to], index) => {
      view.setUint32(8 + index * 8, from, true);
      view.setUint32(12 + index * 8, to, true);
    });
    return this.pool(entry);
  }

  /** The table of TO_LOCAL and FROM_LOCAL: UTC seconds and the offset in seconds from then on; the first at i64 min. */
  zoneTable(entries: readonly (readonly [utcSecond: bigint, offsetSeconds: number])[]): number {
    const entry = new Uint8Array(8 + entries.length * 16);
    const view = new DataView(entry.buffer);
    view.setUint32(0, entries.length, true);
    entries.forEach(([second, offset], index) => {
      view.setBigInt64(8 + index * 16, second, true);
      view.setBigInt64(16 + index * 16, BigInt(offset), true);
    });
    return this.pool(entry);
  }

  /** The program's bytes. */
  encode(): Uint8Array {
    if (this.#instructions.length > ProgramLimit.MAX_INSTRUCTIONS) {
      throw new ArgumentError(`an expression may have at most ${ProgramLimit.MAX_INSTRUCTIONS} operations`);
    }
    const types = [...this.#columns, ...this.#registers];
    const instructions = padded(ProgramHeader.SIZE + types.length * 4);
    const outputs = instructions + this.#instructions.length * Instruction.SIZE;
    const pool = padded(outputs + this.#outputs.length * 4);
    const bytes = new Uint8Array(pool + this.#poolBytes);
    const view = new DataView(bytes.buffer);
    view.setUint32(ProgramHeader.VERSION, Abi.VERSION, true);
    view.setUint32(ProgramHeader.COLUMNS, this.#columns.length, true);
    view.setUint32(ProgramHeader.REGISTERS, this.#registers.length, true);
    view.setUint32(ProgramHeader.INSTRUCTIONS, this.#instructions.length, true);
    view.setUint32(ProgramHeader.OUTPUTS, this.#outputs.length, true);
    view.setUint32(ProgramHeader.LITERAL_BYTES, this.#poolBytes, true);
    types.forEach((type, index) => {
      view.setUint32(ProgramHeader.SIZE + index * 4, type, true);
    });
    this.#instructions.forEach((instruction, index) => {
      bytes.set(instruction, instructions + index * Instruction.SIZE);
    });
    this.#outputs.forEach((register, index) => {
      view.setUint32(outputs + index * 4, register, true);
    });
    let at = pool;
    for (const part of this.#pool) {
      bytes.set(part, at);
      at += padded(part.length);
    }
    return bytes;
  }

  #append(opcode: Opcode, type: Type, target: Register, operation: Operation): void {
    const none: Register = ProgramLimit.NO_REGISTER;
    const bytes = new Uint8Array(Instruction.SIZE);
    const view = new DataView(bytes.buffer);
    view.setUint16(Instruction.OPCODE, opcode, true);
    view.setUint16(Instruction.TYPE, type, true);
    view.setUint16(Instruction.TARGET, target, true);
    view.setUint16(Instruction.A, operation.a ?? none, true);
    view.setUint16(Instruction.B, operation.b ?? none, true);
    view.setUint16(Instruction.C, operation.c ?? none, true);
    view.setUint16(Instruction.MASK, operation.mask ?? none, true);
    view.setUint16(Instruction.FLAGS, operation.try ? InstructionFlag.TRY : InstructionFlag.NONE, true);
    view.setUint32(Instruction.ARG0, operation.arg0 ?? 0, true);
    view.setUint32(Instruction.ARG1, operation.arg1 ?? 0, true);
    view.setBigInt64(Instruction.IMMEDIATE, operation.immediate ?? 0n, true);
    this.#instructions.push(bytes);
  }
}

/** A program that gives columns of these types as they are; of rows only those for which an operation over one column is true. */
export function loadAll(
  types: readonly Type[],
  kept: { readonly column: number; readonly opcode: Opcode } | null = null,
): Uint8Array {
  const program = new ProgramBuilder();
  const columns = types.map((type) => program.column(type));
  if (kept !== null) {
    const a = program.load(columns[kept.column]!);
    program.filter(program.emit(kept.opcode, types[kept.column]!, { target: Type.BOOL, a }));
  }
  for (const column of columns) program.output(program.load(column));
  return program.encode();
}

/** Types of an encoded program's outputs. */
export function outputTypes(program: Uint8Array): Type[] {
  const view = new DataView(program.buffer, program.byteOffset, program.byteLength);
  const field = (at: ProgramHeader) => view.getUint32(at, true);
  const columns = field(ProgramHeader.COLUMNS);
  const types = columns + field(ProgramHeader.REGISTERS);
  const instructions = padded(ProgramHeader.SIZE + types * 4);
  const outputs = instructions + field(ProgramHeader.INSTRUCTIONS) * Instruction.SIZE;
  return Array.from({ length: field(ProgramHeader.OUTPUTS) }, (_, output) => {
    const register = view.getUint32(outputs + output * 4, true);
    return view.getUint32(ProgramHeader.SIZE + (columns + register) * 4, true) as Type;
  });
}

function padded(bytes: number): number {
  return (bytes + 7) & ~7;
}

/** Large texts are computed on as texts. */
function valueType(type: Type): Type {
  return type === Type.LARGE_BYTES ? Type.BYTES : type;
}

function hex(bytes: Uint8Array): string {
  let text = "";
  for (const byte of bytes) text += byte.toString(16).padStart(2, "0");
  return text;
}

/** A value as the kernel stores it. Throws when it does not fit the type. */
function literalBytes(type: Type, value: Exclude<Literal, null>): Uint8Array {
  if (type === Type.BYTES) {
    if (typeof value === "string") return encoder.encode(value);
    if (value instanceof Uint8Array) return value;
    throw unfit(type, value);
  }
  if (type === Type.BOOL) {
    if (typeof value !== "boolean") throw unfit(type, value);
    return Uint8Array.of(value ? 1 : 0);
  }
  const bytes = new Uint8Array(byteWidth(type));
  const view = new DataView(bytes.buffer);
  if (type === Type.F32 || type === Type.F64) {
    if (typeof value !== "number") throw unfit(type, value);
    if (type === Type.F32) view.setFloat32(0, value, true);
    else view.setFloat64(0, value, true);
    return bytes;
  }
  if (typeof value !== "bigint" && !Number.isSafeInteger(value)) throw unfit(type, value);
  const integer = BigInt(value as bigint | number);
  const bits = bytes.length * 8;
  const signed = type === Type.I128 || (type >= Type.I8 && type <= Type.I64);
  if ((signed ? BigInt.asIntN(bits, integer) : BigInt.asUintN(bits, integer)) !== integer)
    throw unfit(type, value);
  for (let byte = 0; byte < bytes.length; byte++) bytes[byte] = Number((integer >> BigInt(byte * 8)) & 0xffn);
  return bytes;
}

function unfit(type: Type, value: unknown): ArgumentError {
  return new ArgumentError(`${typeof value} ${String(value)} is not a value of physical type ${type}`, {
    value,
  });
}
