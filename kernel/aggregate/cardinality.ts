// CARDINALITY: about how many different values, by HyperLogLog (Flajolet, Fusy, Gandouet, Meunier 2007).
//
// A value's hash chooses one of 4,096 registers by its top 12 bits; a register keeps the longest run of zeros seen
// in the other 52, plus one. The estimate is Ertl's ("New cardinality estimation algorithms for HyperLogLog
// sketches", 2017), which needs no tables of corrections and holds from 0 up: standard error 1.04 / sqrt(4096),
// 1.6 %. It is a function of the registers, so it knows no order; only +, *, / and sqrt are used, so every build
// and host gives the same bits.
//
// The hash has no seed and is that of the value: the same for 5 as int8 and int64, 1.5 as float32 and float64, a
// text plain or behind a dictionary; -0 is 0 and NaNs are one.

import { Type } from "../abi/layout";
import { textAddressAt, textLengthAt } from "../column/text";
import { Vector } from "../column/vector";
import { hashBytes, hashFinish, hashMix } from "../hash/hash";
import { Accumulator } from "./accumulator";
import { maskBit } from "./argument";
import { sketchCell, sketchFirst, sketchNext } from "./sketch";

const INDEX_BITS: u64 = 12;
const REGISTERS: u32 = 4096;
/** Bits of a hash that are not the register's, and the greatest rank. */
const RANK_BITS: u32 = 52;
const RANK_MAX: u32 = 53;
/** Cells of 16 registers. */
export const CARDINALITY_CELLS: u32 = 256;
/** So that 0 has not the hash 0. */
const OFFSET: u64 = 0x9e3779b97f4a7c15;
const NAN: u64 = 0x7ff8000000000000;
/** 1 / (2 ln 2) */
const ALPHA: f64 = 0.7213475204444817;

// @ts-ignore: decorator
@inline
function mixed(word: u64): u64 {
  return hashFinish(word + OFFSET);
}

/**
 * Packs the rows that count as (group, cell) at `packed`, their register in the cell and rank (lane | rank << 4) at
 * `lanes`; how many.
 */
export function cardinalityPack(
  vector: Vector,
  numbers: usize,
  mask: usize,
  rows: u32,
  packed: usize,
  lanes: usize,
): u32 {
  const values = vector.values;
  let count: u32 = 0;
  for (let row: u32 = 0; row < rows; row++) {
    if (mask != 0 && !maskBit(mask, row)) continue;
    const hash = hashValue(vector, values, row);
    const index = <u32>(hash >> (64 - INDEX_BITS));
    const rank = <u32>clz<u64>((hash << INDEX_BITS) | ((<u64>1) << (INDEX_BITS - 1))) + 1;
    store<u32>(packed + ((<usize>count) << 3), load<u32>(numbers + ((<usize>row) << 2)));
    store<u32>(packed + ((<usize>count) << 3), index >> 4, 4);
    store<u32>(lanes + ((<usize>count) << 2), (index & 15) | (rank << 4));
    count++;
  }
  return count;
}

function hashValue(vector: Vector, values: usize, row: u32): u64 {
  const at: usize = row;
  switch (vector.type) {
    case Type.BOOL:
      return mixed(maskBit(values, row));
    case Type.I8:
      return mixed(load<i8>(values + at));
    case Type.U8:
      return mixed(load<u8>(values + at));
    case Type.I16:
      return mixed(load<i16>(values + (at << 1)));
    case Type.U16:
      return mixed(load<u16>(values + (at << 1)));
    case Type.I32:
      return mixed(load<i32>(values + (at << 2)));
    case Type.U32:
      return mixed(load<u32>(values + (at << 2)));
    case Type.F32:
      return mixed(floatBits(<f64>load<f32>(values + (at << 2))));
    case Type.F64:
      return mixed(floatBits(load<f64>(values + (at << 3))));
    case Type.I128:
      return mixed(hashMix(hashMix(0, load<u64>(values + (at << 4))), load<u64>(values + (at << 4), 8)));
    case Type.BYTES:
      return mixed(hashBytes(textAddressAt(vector, row), textLengthAt(vector, row)));
    default:
      return mixed(load<u64>(values + (at << 3)));
  }
}

// @ts-ignore: decorator
@inline
function floatBits(value: f64): u64 {
  return value == 0 ? 0 : value != value ? NAN : reinterpret<u64>(value);
}

/** Whether no register of a cell is past the greatest rank. */
export function cardinalityAreRanks(counters: usize): bool {
  for (let lane: usize = 0; lane < 16; lane++) {
    if (<u32>load<u8>(counters + lane) > RANK_MAX) return false;
  }
  return true;
}

/** A group's estimate; `scratch` is 256 bytes. */
export function cardinalityEstimate(self: Accumulator, group: u32, scratch: usize): i64 {
  memory.fill(scratch, 0, 256);
  let registers: u32 = 0;
  for (let entry = sketchFirst(self, group); entry != 0; entry = sketchNext(self, entry)) {
    const cell = sketchCell(self, entry - 1);
    for (let lane: usize = 0; lane < 16; lane++) {
      const at = scratch + ((<usize>load<u8>(cell + lane)) << 2);
      store<u32>(at, load<u32>(at) + 1);
    }
    registers += 16;
  }
  if (registers == 0) return 0;
  store<u32>(scratch, load<u32>(scratch) + (REGISTERS - registers));
  const m = <f64>REGISTERS;
  let z = m * tau(1 - <f64>load<u32>(scratch + ((<usize>RANK_MAX) << 2)) / m);
  for (let rank = RANK_BITS; rank > 0; rank--) z = 0.5 * (z + <f64>load<u32>(scratch + ((<usize>rank) << 2)));
  z += m * sigma(<f64>load<u32>(scratch) / m);
  return <i64>floor<f64>((ALPHA * m * m) / z + 0.5);
}

/** sum of x^(2^k) 2^(k-1), and x; infinite at 1. */
function sigma(x: f64): f64 {
  if (x == 1) return Infinity;
  let y: f64 = 1;
  let z = x;
  while (true) {
    x *= x;
    const before = z;
    z += x * y;
    y += y;
    if (z == before) return z;
  }
}

/** (1 - x - sum of (1 - x^(2^-k))^2 2^-k) / 3 */
function tau(x: f64): f64 {
  if (x <= 0 || x >= 1) return 0;
  let y: f64 = 1;
  let z = 1 - x;
  while (true) {
    x = sqrt<f64>(x);
    const before = z;
    y *= 0.5;
    z -= (1 - x) * (1 - x) * y;
    if (z == before) return z / 3;
  }
}
