// Calendar arithmetic on ticks since 1970: parts, truncation, months, time zones, ISO 8601 text.
//
// A tick is 1/IMMEDIATE of a day (1 = a date). Days become year, month and day, proleptic Gregorian, in years
// that begin in March, so that the leap day comes last: by Neri and Schneider's 32-bit arithmetic within a
// million years, by Howard Hinnant's algorithm in 64 bits beyond.
// Divisions round down, for times before 1970 too.

import { Instruction, Opcode, TimePart } from "../abi/instruction";
import { Reason, Status } from "../abi/status";
import { Vector } from "../column/vector";
import { bitmapGet } from "../column/bitmap";
import { SHIFTER, SHIFTER_BITS, shiftedFloats } from "../column/shifter";
import { multiplyHigh } from "./arithmetic";
import { settle } from "./cast";
import {
  Program,
  badClear,
  badMark,
  instructionState,
  nullBad,
  operandA,
  operandB,
  raise,
  targetVector,
  textViews,
  validityOf,
  validityOfBoth,
} from "./machine";
import { dropBlanks, isBlank, isDigit, skipBlanks, writeDigits } from "./number-text";
import { InstructionFlag } from "../abi/instruction";

const SECONDS_A_DAY: i64 = 86400;

/** A date taken apart, in scratch. */
// @ts-ignore: decorator
@unmanaged
class Civil {
  year: i64;
  month: i64;
  day: i64;
}

export function executeTime(program: Program, instruction: usize, opcode: u32): i32 {
  const target = targetVector(program, instruction);
  const a = operandA(program, instruction);
  if (opcode == <u32>Opcode.ADD_MONTHS) validityOfBoth(program, instruction, target, a, operandB(program, instruction));
  else validityOf(program, instruction, target, a);
  badClear(program);
  const any = timeLoop(program, instruction, opcode, a, target);
  if (!any) return 0;
  if (opcode == <u32>Opcode.TEXT_TO_TIME) return settle(program, instruction, target, true, Reason.CAST_TEXT);
  if ((load<u16>(instruction, <usize>Instruction.FLAGS) & <u16>InstructionFlag.TRY) != 0) {
    nullBad(program, instruction, target);
    return 0;
  }
  return raise(program, instruction, target, Status.OVERFLOW, Reason.TIMESTAMP_OVERFLOW);
}

/** True when rows were marked bad. */
function timeLoop(program: Program, instruction: usize, opcode: u32, a: Vector, target: Vector): bool {
  const unit = load<i64>(instruction, <usize>Instruction.IMMEDIATE);
  const part = load<u32>(instruction, <usize>Instruction.ARG0);
  switch (opcode) {
    case Opcode.SCALE_UP:
      return scaleUp(program, unit, a.values, target.values);
    case Opcode.SCALE_DOWN:
      scaleDown(program.count, unit, a.values, target.values);
      return false;
    case Opcode.TIME_PART:
      parts(program, part, unit, a.values, target.values);
      return false;
    case Opcode.TIME_TRUNCATE:
      return truncations(program, part, unit, a.values, target.values);
    case Opcode.ADD_MONTHS:
      return months(program, unit, a.values, operandB(program, instruction).values, target.values);
    case Opcode.TO_LOCAL:
      return zoneShift(program, program.pool + <usize>part, unit, a.values, target.values);
    case Opcode.FROM_LOCAL:
      return zoneUnshift(program, program.pool + <usize>part, unit, a.values, target.values);
    case Opcode.TIME_TO_TEXT:
      print(program, unit, a, target);
      return false;
    default:
      return parse(program, unit, a, target.values);
  }
}

// One division each: 64-bit ones cost more than all else here.

// @ts-ignore: decorator
@inline
function floorDivide(value: i64, by: i64): i64 {
  const quotient = value / by;
  return quotient - <i64>(value - quotient * by < 0);
}

/** 0 <= result < by. */
// @ts-ignore: decorator
@inline
function floorModulo(value: i64, by: i64): i64 {
  const rest = value % by;
  return rest + (rest < 0 ? by : 0);
}

/** Whether value * by leaves 64 bits; by > 0. */
// @ts-ignore: decorator
@inline
function productOverflows(value: i64, by: i64): bool {
  const high = <i64>multiplyHigh(<u64>value, <u64>by) - (value < 0 ? by : 0);
  return high != (value * by) >> 63;
}

// @ts-ignore: decorator
@inline
function sumOverflows(a: i64, b: i64): bool {
  const sum = a + b;
  return ((a ^ sum) & (b ^ sum)) < 0;
}

// ---- units

function scaleUp(program: Program, factor: i64, values: usize, out: usize): bool {
  let any = false;
  for (let row: u32 = 0; row < program.count; row++) {
    const at: usize = <usize>row << 3;
    const value = load<i64>(values + at);
    store<i64>(out + at, value * factor);
    if (!productOverflows(value, factor)) continue;
    badMark(program, row);
    any = true;
  }
  return any;
}

function scaleDown(count: u32, divisor: i64, values: usize, out: usize): void {
  for (let row: u32 = 0; row < count; row++) {
    const at: usize = <usize>row << 3;
    store<i64>(out + at, floorDivide(load<i64>(values + at), divisor));
  }
}

// ---- the calendar

function civilFromDays(days: i64, civil: Civil): void {
  if (days > -NEAR_DAYS && days < NEAR_DAYS) {
    civilFromNear(<i32>days, civil);
    return;
  }
  const shifted = days + 719468;
  const era = floorDivide(shifted, 146097);
  const dayOfEra = shifted - era * 146097;
  const yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36524 - dayOfEra / 146096) / 365;
  const dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100);
  const month = (5 * dayOfYear + 2) / 153;
  civil.day = dayOfYear - (153 * month + 2) / 5 + 1;
  civil.month = month < 10 ? month + 3 : month - 9;
  civil.year = yearOfEra + era * 400 + <i64>(civil.month <= 2);
}

/** Days to either side of 1970 (1.3 million years) for which the 32-bit form holds. */
const NEAR_DAYS: i64 = 500000000;
/** Eras of 400 years before year 0 from which it counts, so that nothing is negative. */
const NEAR_ERAS: u32 = 3670;

/**
 * The same by C. Neri and L. Schneider, "Euclidean affine functions and their application to calendar
 * algorithms" (2022), figure 12: four multiplications in place of nine divisions, 11 ns -> 4 ns a row.
 */
function civilFromNear(days: i32, civil: Civil): void {
  const number: u32 = <u32>days + <u32>719468 + NEAR_ERAS * <u32>146097;
  const quarters: u32 = number * <u32>4 + <u32>3;
  const century: u32 = quarters / <u32>146097;
  const dayOfCentury: u32 = (quarters - century * <u32>146097) >> 2;
  const scaled: u64 = <u64>2939745 * <u64>(dayOfCentury * <u32>4 + <u32>3);
  const yearOfCentury: u32 = <u32>(scaled >> 32);
  const dayOfYear: u32 = (<u32>scaled / <u32>2939745) >> 2;
  const month: u32 = dayOfYear * <u32>2141 + <u32>197913;
  const afterYear: u32 = <u32>(dayOfYear >= 306);
  civil.day = <i64>((month & 0xffff) / <u32>2141 + <u32>1);
  civil.month = <i64>((month >> 16) - afterYear * <u32>12);
  civil.year = <i64>(century * <u32>100 + yearOfCentury + afterYear) - <i64>NEAR_ERAS * 400;
}

function daysFromCivil(year: i64, month: i64, day: i64): i64 {
  const shifted = year - <i64>(month <= 2);
  const era = floorDivide(shifted, 400);
  const yearOfEra = shifted - era * 400;
  const dayOfYear = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;
  return era * 146097 + yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear - 719468;
}

// @ts-ignore: decorator
@inline
function isLeap(year: i64): bool {
  return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

function daysInMonth(year: i64, month: i64): i64 {
  if (month == 2) return isLeap(year) ? 29 : 28;
  return month == 4 || month == 6 || month == 9 || month == 11 ? 30 : 31;
}

/** 0 = Sunday. */
// @ts-ignore: decorator
@inline
function weekday(days: i64): i64 {
  return floorModulo(days + 4, 7);
}

/** The Monday on or before the day. */
// @ts-ignore: decorator
@inline
function monday(days: i64): i64 {
  return days - floorModulo(days + 3, 7);
}

// ---- parts

function parts(program: Program, part: u32, ticksPerDay: i64, values: usize, out: usize): void {
  const dated = part <= <u32>TimePart.DAY || part >= <u32>TimePart.DAY_OF_WEEK && part != <u32>TimePart.EPOCH;
  if (dated) {
    dateParts(program, part, ticksPerDay, values, out);
    return;
  }
  for (let row: u32 = 0; row < program.count; row++) {
    const at: usize = <usize>row << 3;
    store<i64>(out + at, clockPart(part, load<i64>(values + at), ticksPerDay));
  }
}

/** Times often come day by day: a row of the same day as the one before costs a subtraction and a comparison. */
function dateParts(program: Program, part: u32, ticksPerDay: i64, values: usize, out: usize): void {
  const civil = changetype<Civil>(program.scratchA);
  let dayStart: i64 = 0;
  let length: u64 = 0;
  let result: i64 = 0;
  for (let row: u32 = 0; row < program.count; row++) {
    const at: usize = <usize>row << 3;
    const ticks = load<i64>(values + at);
    if (<u64>(ticks - dayStart) >= length) {
      const day = floorDivide(ticks, ticksPerDay);
      result = datePart(part, day, civil);
      dayStart = day * ticksPerDay;
      length = <u64>ticksPerDay;
    }
    store<i64>(out + at, result);
  }
}

function datePart(part: u32, days: i64, civil: Civil): i64 {
  if (part == <u32>TimePart.DAY_OF_WEEK) return weekday(days);
  if (part == <u32>TimePart.ISO_DAY_OF_WEEK) return floorModulo(days + 3, 7) + 1;
  // The ISO year is that of the week's Thursday.
  const iso = part == <u32>TimePart.WEEK || part == <u32>TimePart.ISO_YEAR;
  const day = iso ? monday(days) + 3 : days;
  civilFromDays(day, civil);
  switch (part) {
    case TimePart.QUARTER:
      return (civil.month + 2) / 3;
    case TimePart.MONTH:
      return civil.month;
    case TimePart.DAY:
      return civil.day;
    case TimePart.DAY_OF_YEAR:
      return day - daysFromCivil(civil.year, 1, 1) + 1;
    case TimePart.WEEK:
      return (day - daysFromCivil(civil.year, 1, 1)) / 7 + 1;
    default:
      return civil.year;
  }
}

function clockPart(part: u32, ticks: i64, ticksPerDay: i64): i64 {
  if (ticksPerDay == 1) {
    // Dates: seconds at midnight (no overflow: dates have 32 bits, and more wrap as any 64-bit product).
    return part == <u32>TimePart.EPOCH ? ticks * SECONDS_A_DAY : 0;
  }
  const perSecond = ticksPerDay / SECONDS_A_DAY;
  if (part == <u32>TimePart.EPOCH) return floorDivide(ticks, perSecond);
  const within = floorModulo(ticks, ticksPerDay);
  const second = within / perSecond;
  switch (part) {
    case TimePart.HOUR:
      return second / 3600;
    case TimePart.MINUTE:
      return (second / 60) % 60;
    case TimePart.SECOND:
      return second % 60;
    case TimePart.MILLISECOND:
      return subsecond(within % (perSecond * 60), perSecond, 1000);
    default:
      return subsecond(within % (perSecond * 60), perSecond, 1000000);
  }
}

/** Ticks within a minute in units of which `wanted` make a second, rounded down. */
// @ts-ignore: decorator
@inline
function subsecond(ticks: i64, perSecond: i64, wanted: i64): i64 {
  return perSecond >= wanted ? ticks / (perSecond / wanted) : ticks * (wanted / perSecond);
}

// ---- truncation and months

function truncations(program: Program, part: u32, ticksPerDay: i64, values: usize, out: usize): bool {
  const civil = changetype<Civil>(program.scratchA);
  const unit = truncationUnit(part, ticksPerDay);
  if (ASC_FEATURE_SIMD && unit != 0 && program.count >= 2 && cutNear(values, out, program.count, unit)) return false;
  let any = false;
  for (let row: u32 = 0; row < program.count; row++) {
    const at: usize = <usize>row << 3;
    const ticks = load<i64>(values + at);
    let result: i64 = 0;
    let overflows = false;
    if (unit != 0) {
      const rest = floorModulo(ticks, unit);
      result = ticks - rest;
      overflows = result > ticks;
    } else {
      const day = floorDivide(ticks, ticksPerDay);
      const days = startOf(part, day, civil);
      result = days * ticksPerDay;
      overflows = productOverflows(days, ticksPerDay) || day > DAYS_LIMIT || day < -DAYS_LIMIT;
    }
    store<i64>(out + at, result);
    if (!overflows) continue;
    badMark(program, row);
    any = true;
  }
  return any;
}

/** Times nearer to 0 than this have distances from each other that stay within 64 bits, shifted up by twice it, too. */
const NEAR: i64 = 1 << 61;
/** Integers of so many bits, and a sign, are exact as `shiftedFloats`. */
const EXACT_BITS: i32 = 51;

/**
 * Cuts times to a unit of fixed length where they lie near the first one, as those of a vector do: distances from its
 * start, without the zero bits that the unit ends in, are divided as floats, which gives the quotient or its neighbour, so
 * that the rest is exact and off by one unit at most: 0.6 of the time of integer divisions. False, and what is
 * written of no use, when a time is too far away.
 */
function cutNear(values: usize, out: usize, count: u32, unit: i64): bool {
  const first = load<i64>(values);
  if (first >= NEAR || first < -NEAR) return false;
  const shift = <i32>ctz(unit);
  const odd = <f64>(unit >> shift);
  const origin = i64x2.splat(first - floorModulo(first, unit));
  const near = i64x2.splat(NEAR);
  const nearBits = i64x2.splat(~(NEAR * 2 - 1));
  // Shifting signed integers is slow: they are made positive first.
  const up = i64x2.splat(NEAR * 2);
  const down = i64x2.splat((NEAR * 2) >> shift);
  const exact = i64x2.splat(<i64>1 << EXACT_BITS);
  const low = i64x2.splat((<i64>1 << shift) - 1);
  const divisor = f64x2.splat(odd);
  const part = f64x2.splat(1.0 / odd);
  const zero = f64x2.splat(0);
  const shifter = f64x2.splat(SHIFTER);
  const bits = i64x2.splat(SHIFTER_BITS);
  let far = i64x2.splat(0);
  const last = (<usize>(count - 2)) << 3;
  for (let at: usize = 0; ; ) {
    const ticks = v128.load(values + at);
    const distance = i64x2.sub(ticks, origin);
    const units = i64x2.sub(i64x2.shr_u(i64x2.add(distance, up), shift), down);
    far = v128.or(far, v128.and(i64x2.add(ticks, near), nearBits));
    far = v128.or(far, i64x2.shr_u(i64x2.add(units, exact), EXACT_BITS + 1));
    const x = shiftedFloats(units);
    let rest = f64x2.sub(x, f64x2.mul(f64x2.floor(f64x2.mul(x, part)), divisor));
    rest = f64x2.add(rest, v128.and(f64x2.lt(rest, zero), divisor));
    rest = f64x2.sub(rest, v128.and(f64x2.ge(rest, divisor), divisor));
    const whole = i64x2.shl(i64x2.sub(f64x2.add(rest, shifter), bits), shift);
    v128.store(out + at, i64x2.sub(ticks, v128.or(whole, v128.and(distance, low))));
    if (at == last) break;
    at = min<usize>(at + 16, last);
  }
  return !v128.any_true(far);
}

/** Ticks of a unit of fixed length; 1 where ticks are coarser than it; 0 for weeks, months and longer. */
export function truncationUnit(part: u32, ticksPerDay: i64): i64 {
  let perDay: i64 = 1;
  switch (part) {
    case TimePart.DAY:
      break;
    case TimePart.HOUR:
      perDay = 24;
      break;
    case TimePart.MINUTE:
      perDay = 1440;
      break;
    case TimePart.SECOND:
      perDay = SECONDS_A_DAY;
      break;
    case TimePart.MILLISECOND:
      perDay = SECONDS_A_DAY * 1000;
      break;
    case TimePart.MICROSECOND:
      perDay = SECONDS_A_DAY * 1000000;
      break;
    default:
      return 0;
  }
  return max<i64>(1, ticksPerDay / perDay);
}

function startOf(part: u32, days: i64, civil: Civil): i64 {
  if (part == <u32>TimePart.WEEK) return monday(days);
  civilFromDays(days, civil);
  if (part == <u32>TimePart.YEAR) return daysFromCivil(civil.year, 1, 1);
  if (part == <u32>TimePart.QUARTER) return daysFromCivil(civil.year, ((civil.month - 1) / 3) * 3 + 1, 1);
  return daysFromCivil(civil.year, civil.month, 1);
}

/** Days (of a date held in 64 bits) past which the calendar's own arithmetic would wrap. */
const DAYS_LIMIT: i64 = 1 << 62;

/** Past this many months no 64-bit time is near any more, whatever the unit. */
const MONTHS_LIMIT: i64 = 1 << 52;

function months(program: Program, ticksPerDay: i64, values: usize, counts: usize, out: usize): bool {
  const civil = changetype<Civil>(program.scratchA);
  let any = false;
  for (let row: u32 = 0; row < program.count; row++) {
    const at: usize = <usize>row << 3;
    const ticks = load<i64>(values + at);
    const count = load<i64>(counts + at);
    const days = floorDivide(ticks, ticksPerDay);
    const far = count > MONTHS_LIMIT || count < -MONTHS_LIMIT || days > MONTHS_LIMIT || days < -MONTHS_LIMIT;
    if (!far) {
      civilFromDays(days, civil);
      const total = civil.year * 12 + civil.month - 1 + count;
      const year = floorDivide(total, 12);
      const month = floorModulo(total, 12) + 1;
      const moved = daysFromCivil(year, month, min<i64>(civil.day, daysInMonth(year, month)));
      const start = moved * ticksPerDay;
      const rest = floorModulo(ticks, ticksPerDay);
      store<i64>(out + at, start + rest);
      // The start of the day may lie outside while the time itself does not: then the day after is inside.
      if (!productOverflows(moved, ticksPerDay) && !sumOverflows(start, rest)) continue;
      if (moved < 0 && !productOverflows(moved + 1, ticksPerDay) && !sumOverflows((moved + 1) * ticksPerDay, rest - ticksPerDay)) continue;
    }
    badMark(program, row);
    any = true;
  }
  return any;
}

// ---- time zones

/** Index of the last entry at or before `second`, looking near `hint` first: times of a vector are. */
function zoneEntry(table: usize, second: i64, hint: u32): u32 {
  const entries = table + 8;
  const count = load<u32>(table);
  const next = hint + 1;
  if (load<i64>(entries + (<usize>hint << 4)) <= second && (next == count || second < load<i64>(entries + (<usize>next << 4)))) return hint;
  let low: u32 = 0;
  let high = count;
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (load<i64>(entries + (<usize>middle << 4)) <= second) low = middle;
    else high = middle;
  }
  return low;
}

function zoneShift(program: Program, table: usize, ticksPerSecond: i64, values: usize, out: usize): bool {
  let entry: u32 = 0;
  let any = false;
  for (let row: u32 = 0; row < program.count; row++) {
    const at: usize = <usize>row << 3;
    const ticks = load<i64>(values + at);
    entry = zoneEntry(table, floorDivide(ticks, ticksPerSecond), entry);
    const shift = load<i64>(table + 8 + (<usize>entry << 4), 8) * ticksPerSecond;
    store<i64>(out + at, ticks + shift);
    if (!sumOverflows(ticks, shift)) continue;
    badMark(program, row);
    any = true;
  }
  return any;
}

/** Index of the first entry whose end, as a local time on its own offset, lies after `second`. */
function localEntry(table: usize, second: i64): u32 {
  let low: u32 = 0;
  let high: u32 = load<u32>(table) - 1;
  while (low < high) {
    const middle = (low + high) >> 1;
    const entry = table + 8 + (<usize>middle << 4);
    if (second < load<i64>(entry, 16) + load<i64>(entry, 8)) high = middle;
    else low = middle + 1;
  }
  return low;
}

/**
 * An entry whose end is the first after the local time holds it, or begins after the gap that skips it: then
 * the time keeps the offset from before the gap, which is the entry before.
 */
function zoneUnshift(program: Program, table: usize, ticksPerSecond: i64, values: usize, out: usize): bool {
  let any = false;
  for (let row: u32 = 0; row < program.count; row++) {
    const at: usize = <usize>row << 3;
    const ticks = load<i64>(values + at);
    const second = floorDivide(ticks, ticksPerSecond);
    let entry = table + 8 + (<usize>localEntry(table, second) << 4);
    if (entry > table + 8 && second - load<i64>(entry, 8) < load<i64>(entry)) entry -= 16;
    const shift = -load<i64>(entry, 8) * ticksPerSecond;
    store<i64>(out + at, ticks + shift);
    if (!sumOverflows(ticks, shift)) continue;
    badMark(program, row);
    any = true;
  }
  return any;
}

// ---- text

function print(program: Program, ticksPerDay: i64, a: Vector, target: Vector): void {
  const civil = changetype<Civil>(program.scratchA);
  let cursor = instructionState(program, program.at).text;
  for (let row: u32 = 0; row < program.count; row++) {
    const at: usize = <usize>row << 3;
    const length = printTime(load<i64>(a.values + at), ticksPerDay, civil, cursor);
    store<u64>(target.values + at, <u64>cursor | (<u64>length << 32));
    cursor += <usize>length;
  }
}

/** `2024-02-29`, or `2024-02-29 12:00:00` with the digits of the second that are not zero. */
function printTime(ticks: i64, ticksPerDay: i64, civil: Civil, out: usize): u32 {
  const start = out;
  civilFromDays(floorDivide(ticks, ticksPerDay), civil);
  if (civil.year < 0) store<u8>(out++, 0x2d);
  out += <usize>writeDigits(<u64>abs<i64>(civil.year), 4, out);
  out = writePair(0x2d, civil.month, out);
  out = writePair(0x2d, civil.day, out);
  if (ticksPerDay == 1) return <u32>(out - start);
  const perSecond = ticksPerDay / SECONDS_A_DAY;
  const within = floorModulo(ticks, ticksPerDay);
  const second = within / perSecond;
  out = writePair(0x20, second / 3600, out);
  out = writePair(0x3a, (second / 60) % 60, out);
  out = writePair(0x3a, second % 60, out);
  let fraction = within % perSecond;
  if (fraction == 0) return <u32>(out - start);
  let width: u32 = perSecond == 1000 ? 3 : perSecond == 1000000 ? 6 : 9;
  for (; fraction % 10 == 0; width--) fraction /= 10;
  store<u8>(out++, 0x2e);
  return <u32>(out - start) + writeDigits(<u64>fraction, width, out);
}

/** A separator and two digits. */
function writePair(separator: u8, value: i64, out: usize): usize {
  store<u8>(out, separator);
  store<u8>(out, <u8>(0x30 + value / 10), 1);
  store<u8>(out, <u8>(0x30 + (value % 10)), 2);
  return out + 3;
}

function parse(program: Program, ticksPerDay: i64, a: Vector, out: usize): bool {
  const views = textViews(program, a, program.scratchA);
  let any = false;
  for (let row: u32 = 0; row < program.count; row++) {
    if (a.validity != 0 && !bitmapGet(a.validity, row)) continue;
    const view = load<u64>(views + (<usize>row << 3));
    if (parseTime(<usize>view, <u32>(view >> 32), ticksPerDay, program.scratchB, out + (<usize>row << 3))) continue;
    badMark(program, row);
    any = true;
  }
  return any;
}

/**
 * `[+-]YYYY-MM-DD`, years of four to six digits, then perhaps `T` or a blank, `HH:MM[:SS[.f{1,9}]]` and `Z` or an
 * offset `+HH[[:]MM]`. Stores ticks of UTC; false when the text is none, or the time does not fit.
 */
function parseTime(text: usize, length: u32, ticksPerDay: i64, work: usize, out: usize): bool {
  store<i64>(out, 0);
  let at = skipBlanks(text, text + <usize>length);
  const end = dropBlanks(at, text + <usize>length);
  at = parseDate(at, end, work);
  if (at == 0) return false;
  let second = load<i64>(work) * SECONDS_A_DAY;
  let nanosecond: i64 = 0;
  if (at < end) {
    if ((load<u8>(at) | 0x20) != 0x74 && load<u8>(at) != 0x20) return false;
    at = parseClock(at + 1, end, work);
    if (at == 0) return false;
    second += load<i64>(work);
    nanosecond = load<i64>(work, 8);
    at = skipBlanks(at, end);
    if (at < end && !parseOffset(at, end, work)) return false;
    if (at < end) second -= load<i64>(work);
  }
  return storeTicks(second, nanosecond, ticksPerDay, out);
}

function storeTicks(second: i64, nanosecond: i64, ticksPerDay: i64, out: usize): bool {
  if (ticksPerDay == 1) {
    store<i64>(out, floorDivide(second, SECONDS_A_DAY));
    return true;
  }
  const perSecond = ticksPerDay / SECONDS_A_DAY;
  const fraction = nanosecond / (1000000000 / perSecond);
  store<i64>(out, second * perSecond + fraction);
  if (!productOverflows(second, perSecond)) return !sumOverflows(second * perSecond, fraction);
  return second < 0 && !productOverflows(second + 1, perSecond) && !sumOverflows((second + 1) * perSecond, fraction - perSecond);
}

/** Exactly `count` digits; -1 when they are not there. */
function fixedDigits(at: usize, end: usize, count: u32): i64 {
  if (at + <usize>count > end) return -1;
  let value: i64 = 0;
  for (let digit: u32 = 0; digit < count; digit++) {
    const byte: u32 = load<u8>(at + <usize>digit);
    if (!isDigit(byte)) return -1;
    value = value * 10 + <i64>(byte - 0x30);
  }
  return value;
}

/** Stores days at `work`; answers the end of the date, 0 when there is none. */
function parseDate(at: usize, end: usize, work: usize): usize {
  const negative = at < end && load<u8>(at) == 0x2d;
  if (at < end && (load<u8>(at) == 0x2d || load<u8>(at) == 0x2b)) at++;
  let digits: u32 = 0;
  while (at + <usize>digits < end && isDigit(load<u8>(at + <usize>digits))) digits++;
  if (digits < 4 || digits > 6) return 0;
  const year = negative ? -fixedDigits(at, end, digits) : fixedDigits(at, end, digits);
  at += <usize>digits;
  if (at + 6 > end || load<u8>(at) != 0x2d || load<u8>(at, 3) != 0x2d) return 0;
  const month = fixedDigits(at + 1, end, 2);
  const day = fixedDigits(at + 4, end, 2);
  if (month < 1 || month > 12 || day < 1 || day > daysInMonth(year, month)) return 0;
  store<i64>(work, daysFromCivil(year, month, day));
  return at + 6;
}

/** Stores seconds and nanoseconds of the day at `work`; answers the end of the time, 0 when there is none. */
function parseClock(at: usize, end: usize, work: usize): usize {
  const hour = fixedDigits(at, end, 2);
  if (hour < 0 || hour > 23 || at + 5 > end || load<u8>(at, 2) != 0x3a) return 0;
  const minute = fixedDigits(at + 3, end, 2);
  if (minute < 0 || minute > 59) return 0;
  at += 5;
  let second: i64 = 0;
  let nanosecond: i64 = 0;
  if (at < end && load<u8>(at) == 0x3a) {
    second = fixedDigits(at + 1, end, 2);
    if (second < 0 || second > 59) return 0;
    at += 3;
    if (at < end && load<u8>(at) == 0x2e) {
      let digits: u32 = 0;
      at++;
      while (at < end && isDigit(load<u8>(at))) {
        if (++digits > 9) return 0;
        nanosecond = nanosecond * 10 + <i64>(<u32>load<u8>(at) - 0x30);
        at++;
      }
      if (digits == 0) return 0;
      for (; digits < 9; digits++) nanosecond *= 10;
    }
  }
  store<i64>(work, (hour * 60 + minute) * 60 + second);
  store<i64>(work, nanosecond, 8);
  return at;
}

/** Stores the seconds east of UTC that [at, end) says at `work`. */
function parseOffset(at: usize, end: usize, work: usize): bool {
  const sign: u32 = load<u8>(at);
  store<i64>(work, 0);
  if ((sign | 0x20) == 0x7a) return at + 1 == end;
  if (sign != 0x2b && sign != 0x2d) return false;
  const hour = fixedDigits(at + 1, end, 2);
  if (hour < 0 || hour > 23) return false;
  at += 3;
  let minute: i64 = 0;
  if (at < end) {
    if (load<u8>(at) == 0x3a) at++;
    minute = fixedDigits(at, end, 2);
    if (minute < 0 || minute > 59) return false;
    at += 2;
  }
  if (at != end) return false;
  const seconds = hour * 3600 + minute * 60;
  store<i64>(work, sign == 0x2d ? -seconds : seconds);
  return true;
}
