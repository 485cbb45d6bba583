// Checks a program when it is created, so that running it needs no check: types of operands and targets,
// registers written before they are read and once only, bounds of everything in the literal pool.

import { Type } from "../abi/layout";
import { Instruction, Opcode, ProgramLimit, TimePart } from "../abi/instruction";
import { typeIsKnown, typeWidth } from "../column/type";
import { Program, registerVector } from "./machine";

/** Any type will do. */
const ANY: u32 = 255;
/** A register that was never written, and one that holds a literal: readable after every FILTER. */
const UNWRITTEN: u32 = 0;
const LITERAL: u32 = 0xffffffff;
/** Most digits of a decimal. */
const MAX_DIGITS: u32 = 38;

/**
 * Whether instruction `index` is sound, given those before it. `written` holds per register the number of
 * FILTERs before its writer, plus one; the target is entered. `filters` counts FILTERs so far.
 */
export function checkInstruction(program: Program, instruction: usize, written: usize, filters: u32): bool {
  const opcode = <u32>load<u16>(instruction, <usize>Instruction.OPCODE);
  const type = <u32>load<u16>(instruction, <usize>Instruction.TYPE);
  if (!checkReads(program, instruction, written, filters)) return false;
  if (opcode == <u32>Opcode.FILTER) return operands(program, instruction, Type.BOOL, Type.NONE, Type.NONE);
  const target = <u32>load<u16>(instruction, <usize>Instruction.TARGET);
  if (target >= program.registerCount || load<u32>(written + (<usize>target << 2)) != UNWRITTEN) return false;
  store<u32>(written + (<usize>target << 2), opcode == <u32>Opcode.LITERAL ? LITERAL : filters + 1);
  return checkOperation(program, instruction, opcode, type, registerVector(program, target).type);
}

/** Operands and mask must have been written since the last FILTER, or be literals. */
function checkReads(program: Program, instruction: usize, written: usize, filters: u32): bool {
  for (let field: usize = <usize>Instruction.A; field <= <usize>Instruction.MASK; field += 2) {
    const register = <u32>load<u16>(instruction + field);
    if (register == <u32>ProgramLimit.NO_REGISTER) continue;
    if (register >= program.registerCount) return false;
    const when = load<u32>(written + (<usize>register << 2));
    if (when != LITERAL && when != filters + 1) return false;
  }
  const mask = <u32>load<u16>(instruction, <usize>Instruction.MASK);
  return mask == <u32>ProgramLimit.NO_REGISTER || registerVector(program, mask).type == <u32>Type.BOOL;
}

/** Whether the operands have these types; NONE = must be absent. */
function operands(program: Program, instruction: usize, a: u32, b: u32, c: u32): bool {
  return (
    operand(program, load<u16>(instruction, <usize>Instruction.A), a) &&
    operand(program, load<u16>(instruction, <usize>Instruction.B), b) &&
    operand(program, load<u16>(instruction, <usize>Instruction.C), c)
  );
}

function operand(program: Program, register: u32, type: u32): bool {
  if (register == <u32>ProgramLimit.NO_REGISTER) return type == <u32>Type.NONE;
  return type == ANY || registerVector(program, register).type == type;
}

function checkOperation(program: Program, instruction: usize, opcode: u32, type: u32, target: u32): bool {
  if (opcode < <u32>Opcode.ADD) return checkSource(program, instruction, opcode, type, target);
  if (opcode < <u32>Opcode.EQUAL) return checkArithmetic(program, instruction, opcode, type, target);
  if (opcode < <u32>Opcode.AND) return checkComparison(program, instruction, opcode, type, target);
  if (opcode < <u32>Opcode.CAST) return checkLogic(program, instruction, opcode, type, target);
  if (opcode < <u32>Opcode.STARTS_WITH) return checkCast(program, instruction, opcode, type, target);
  if (opcode == <u32>Opcode.ORDER_KEY) return checkOrderKey(program, instruction, type, target);
  if (opcode < <u32>Opcode.TIME_PART) return checkText(program, instruction, opcode, target);
  return checkTime(program, instruction, opcode, target);
}

function checkSource(program: Program, instruction: usize, opcode: u32, type: u32, target: u32): bool {
  if (!operands(program, instruction, Type.NONE, Type.NONE, Type.NONE)) return false;
  const argument = load<u32>(instruction, <usize>Instruction.ARG0);
  switch (opcode) {
    case Opcode.LOAD:
      if (argument >= program.columnCount || type != target) return false;
      return load<u32>(program.columnTypes + (<usize>argument << 2)) == type;
    case Opcode.LITERAL: {
      if (type != target || !inPool(program, argument, 8)) return false;
      const length = load<u32>(program.pool + <usize>argument);
      if (load<u32>(program.pool + <usize>argument, 4) != 0) return true;
      const bytes = type == <u32>Type.BYTES || length == valueBytes(type);
      return bytes && inPool(program, argument, 8 + <u64>length);
    }
    case Opcode.ROW_INDEX:
      return target == <u32>Type.U32;
    default:
      return false;
  }
}

/** Bytes of a literal of a fixed-width type. */
function valueBytes(type: u32): u32 {
  return type == <u32>Type.BOOL ? 1 : <u32>typeWidth(type);
}

function inPool(program: Program, offset: u32, bytes: u64): bool {
  return (offset & 7) == 0 && <u64>offset + bytes <= <u64>program.poolBytes;
}

function isFloatType(type: u32): bool {
  return type == <u32>Type.F32 || type == <u32>Type.F64;
}

function isArithmetic(type: u32): bool {
  switch (type) {
    case Type.I32:
    case Type.I64:
    case Type.U64:
    case Type.F32:
    case Type.F64:
    case Type.I128:
      return true;
    default:
      return false;
  }
}

function checkArithmetic(program: Program, instruction: usize, opcode: u32, type: u32, target: u32): bool {
  if (type != target || !isArithmetic(type)) return false;
  const wide = type == <u32>Type.I128;
  switch (opcode) {
    case Opcode.ADD:
    case Opcode.SUBTRACT:
    case Opcode.MULTIPLY:
    case Opcode.MODULO:
      return operands(program, instruction, type, type, Type.NONE);
    case Opcode.DIVIDE:
      return isFloatType(type) && operands(program, instruction, type, type, Type.NONE);
    case Opcode.INTEGER_DIVIDE:
      return !isFloatType(type) && operands(program, instruction, type, type, Type.NONE);
    case Opcode.NEGATE:
    case Opcode.ABS:
    case Opcode.SIGN:
      return operands(program, instruction, type, Type.NONE, Type.NONE);
    case Opcode.FLOOR:
    case Opcode.CEIL:
      if (!isFloatType(type) && !(wide && load<u32>(instruction, <usize>Instruction.ARG0) <= MAX_DIGITS)) return false;
      return operands(program, instruction, type, Type.NONE, Type.NONE);
    case Opcode.ROUND:
      if (!isFloatType(type) && !(wide && load<u32>(instruction, <usize>Instruction.ARG1) <= MAX_DIGITS)) return false;
      return operands(program, instruction, type, Type.NONE, Type.NONE);
    case Opcode.SQRT:
      return isFloatType(type) && operands(program, instruction, type, Type.NONE, Type.NONE);
    default:
      return false;
  }
}

function checkComparison(program: Program, instruction: usize, opcode: u32, type: u32, target: u32): bool {
  if (target != <u32>Type.BOOL || !typeIsKnown(type) || type == <u32>Type.LARGE_BYTES) return false;
  if (opcode <= <u32>Opcode.SAME) return operands(program, instruction, type, type, Type.NONE);
  if (opcode != <u32>Opcode.IN || !operands(program, instruction, type, Type.NONE, Type.NONE)) return false;
  return checkList(program, load<u32>(instruction, <usize>Instruction.ARG0), type);
}

/** The list of IN must end inside the pool. */
function checkList(program: Program, offset: u32, type: u32): bool {
  if (!inPool(program, offset, 8)) return false;
  const count = load<u32>(program.pool + <usize>offset);
  let at: u64 = <u64>offset + 8;
  if (type != <u32>Type.BYTES) return at + <u64>count * <u64>max<u32>(8, valueBytes(type)) <= <u64>program.poolBytes;
  for (let index: u32 = 0; index < count; index++) {
    if (at + 4 > <u64>program.poolBytes) return false;
    const length = load<u32>(program.pool + <usize>at);
    if (at + 4 + <u64>length > <u64>program.poolBytes) return false;
    at = (at + 4 + <u64>length + 7) & ~(<u64>7);
  }
  return true;
}

function checkLogic(program: Program, instruction: usize, opcode: u32, type: u32, target: u32): bool {
  if (opcode == <u32>Opcode.SELECT) {
    return type == target && operands(program, instruction, Type.BOOL, type, type);
  }
  if (opcode == <u32>Opcode.COALESCE) return type == target && operands(program, instruction, type, type, Type.NONE);
  if (target != <u32>Type.BOOL) return false;
  switch (opcode) {
    case Opcode.AND:
    case Opcode.OR:
      return operands(program, instruction, Type.BOOL, Type.BOOL, Type.NONE);
    case Opcode.NOT:
    case Opcode.IS_TRUE:
      return operands(program, instruction, Type.BOOL, Type.NONE, Type.NONE);
    case Opcode.IS_NULL:
    case Opcode.IS_NOT_NULL:
      return operands(program, instruction, ANY, Type.NONE, Type.NONE) && load<u16>(instruction, <usize>Instruction.A) != <u16>ProgramLimit.NO_REGISTER;
    case Opcode.IS_NAN:
      return isFloatType(type) && operands(program, instruction, type, Type.NONE, Type.NONE);
    default:
      return false;
  }
}

function checkCast(program: Program, instruction: usize, opcode: u32, type: u32, target: u32): bool {
  const immediate = load<i64>(instruction, <usize>Instruction.IMMEDIATE);
  switch (opcode) {
    case Opcode.CAST:
      if (!typeIsKnown(type) || !operands(program, instruction, type, Type.NONE, Type.NONE)) return false;
      if (type == <u32>Type.BYTES && target == <u32>Type.BYTES) return false;
      if (type == <u32>Type.I128 && load<u32>(instruction, <usize>Instruction.ARG0) > MAX_DIGITS) return false;
      if (target != <u32>Type.I128) return true;
      return load<u32>(instruction, <usize>Instruction.ARG1) <= MAX_DIGITS && immediate >= 1 && immediate <= <i64>MAX_DIGITS;
    case Opcode.SCALE_UP:
    case Opcode.SCALE_DOWN:
      return immediate >= 1 && target == <u32>Type.I64 && operands(program, instruction, Type.I64, Type.NONE, Type.NONE);
    case Opcode.TIME_TO_TEXT:
      return isTicksPerDay(immediate) && target == <u32>Type.BYTES && operands(program, instruction, Type.I64, Type.NONE, Type.NONE);
    case Opcode.TEXT_TO_TIME:
      return isTicksPerDay(immediate) && target == <u32>Type.I64 && operands(program, instruction, Type.BYTES, Type.NONE, Type.NONE);
    default:
      return false;
  }
}

/** Dates, and timestamps in s, ms, us and ns. */
function isTicksPerDay(ticks: i64): bool {
  return ticks == 1 || (ticks % 86400 == 0 && isTicksPerSecond(ticks / 86400));
}

function isTicksPerSecond(ticks: i64): bool {
  return ticks == 1 || ticks == 1000 || ticks == 1000000 || ticks == 1000000000;
}

function checkText(program: Program, instruction: usize, opcode: u32, target: u32): bool {
  const argument = load<u32>(instruction, <usize>Instruction.ARG0);
  const text: u32 = Type.BYTES;
  switch (opcode) {
    case Opcode.STARTS_WITH:
    case Opcode.ENDS_WITH:
    case Opcode.CONTAINS:
      return target == <u32>Type.BOOL && operands(program, instruction, text, text, Type.NONE);
    case Opcode.LIKE:
      if (target != <u32>Type.BOOL || argument > 255 || !operands(program, instruction, text, text, Type.NONE)) return false;
      return isLiteral(program, load<u16>(instruction, <usize>Instruction.B));
    case Opcode.LENGTH:
    case Opcode.OCTET_LENGTH:
      return target == <u32>Type.I64 && operands(program, instruction, text, Type.NONE, Type.NONE);
    case Opcode.CASE_MAP: {
      if (target != text || !operands(program, instruction, text, Type.NONE, Type.NONE)) return false;
      if (!inPool(program, argument, 8)) return false;
      const count = load<u32>(program.pool + <usize>argument);
      return inPool(program, argument, 8 + (<u64>count << 3)) && isCaseTable(program.pool + <usize>argument + 8, count);
    }
    case Opcode.SUBSTRING: {
      const bounded = load<u16>(instruction, <usize>Instruction.C) != <u16>ProgramLimit.NO_REGISTER;
      return target == text && operands(program, instruction, text, Type.I64, bounded ? Type.I64 : Type.NONE);
    }
    case Opcode.CONCAT:
      return target == text && operands(program, instruction, text, text, Type.NONE);
    case Opcode.TRIM:
      return argument >= 1 && argument <= 3 && target == text && operands(program, instruction, text, Type.NONE, Type.NONE);
    default:
      return false;
  }
}

function checkOrderKey(program: Program, instruction: usize, type: u32, target: u32): bool {
  const flags = load<u32>(instruction, <usize>Instruction.ARG0);
  const known = typeIsKnown(type) && type != <u32>Type.LARGE_BYTES;
  return known && flags <= 7 && target == <u32>Type.BYTES && operands(program, instruction, type, Type.NONE, Type.NONE);
}

function isLiteral(program: Program, register: u32): bool {
  return registerVector(program, register).constant != 0;
}

/** Code points ascending, and all of them encodable. */
function isCaseTable(entries: usize, count: u32): bool {
  for (let index: u32 = 0; index < count; index++) {
    const entry = entries + (<usize>index << 3);
    if (load<u32>(entry) > 0x10ffff || load<u32>(entry, 4) > 0x10ffff) return false;
    if (index > 0 && load<u32>(entry - 8) >= load<u32>(entry)) return false;
  }
  return true;
}

function checkTime(program: Program, instruction: usize, opcode: u32, target: u32): bool {
  if (target != <u32>Type.I64) return false;
  const argument = load<u32>(instruction, <usize>Instruction.ARG0);
  const immediate = load<i64>(instruction, <usize>Instruction.IMMEDIATE);
  const time: u32 = Type.I64;
  switch (opcode) {
    case Opcode.TIME_PART:
      if (argument < <u32>TimePart.YEAR || argument > <u32>TimePart.EPOCH || !isTicksPerDay(immediate)) return false;
      return operands(program, instruction, time, Type.NONE, Type.NONE);
    case Opcode.TIME_TRUNCATE:
      if (!isTruncation(argument) || !isTicksPerDay(immediate)) return false;
      return operands(program, instruction, time, Type.NONE, Type.NONE);
    case Opcode.ADD_MONTHS:
      return isTicksPerDay(immediate) && operands(program, instruction, time, time, Type.NONE);
    case Opcode.TO_LOCAL:
    case Opcode.FROM_LOCAL: {
      if (!isTicksPerSecond(immediate) || !operands(program, instruction, time, Type.NONE, Type.NONE)) return false;
      if (!inPool(program, argument, 8)) return false;
      const count = load<u32>(program.pool + <usize>argument);
      return count > 0 && inPool(program, argument, 8 + (<u64>count << 4)) && isZoneTable(program.pool + <usize>argument + 8, count);
    }
    default:
      return false;
  }
}

function isTruncation(part: u32): bool {
  return (part >= <u32>TimePart.YEAR && part <= <u32>TimePart.MICROSECOND) || part == <u32>TimePart.WEEK;
}

/** Ascending from i64 min, offsets within two days. */
function isZoneTable(entries: usize, count: u32): bool {
  if (load<i64>(entries) != i64.MIN_VALUE) return false;
  for (let index: u32 = 0; index < count; index++) {
    const entry = entries + (<usize>index << 4);
    const offset = load<i64>(entry, 8);
    if (offset < -172800 || offset > 172800) return false;
    if (index > 0 && load<i64>(entry - 16) >= load<i64>(entry)) return false;
  }
  return true;
}
