// The key hash, version 1: which of n partitions a row belongs to, the same on every machine.
//
// A chain of `hashMix` from 0 over the keys, then `hashFinish`; the partition is the upper 32 bits times n, divided
// by 2^32. A key is 64-bit words by its value, whatever its column's encoding or width: integers sign- or
// zero-extended, floats as float64 (+0 for -0, 0x7ff8000000000000 for NaN), booleans 0 and 1, 128-bit decimals two
// words, low first, texts one word (`hashBytes`), nulls NULL_WORD. It has no seed, and says nothing about slots.

import { Type } from "../abi/layout";
import { vectorIsValid } from "../column/builder";
import { textAddressAt, textLengthAt } from "../column/text";
import { Vector } from "../column/vector";
import { hashBytes, hashFinish, hashMix } from "../hash/hash";

export const NULL_WORD: u64 = 0x94d049bb133111eb;

/** Mixes the first `rows` rows of a key into their hashes (u64 each, 0 at first). */
export function keyHashMix(hashes: usize, vector: Vector, rows: u32): void {
  switch (vector.type) {
    case Type.BOOL:
      mixBits(hashes, vector, rows);
      break;
    case Type.I8:
      mixIntegers<i8>(hashes, vector, rows);
      break;
    case Type.I16:
      mixIntegers<i16>(hashes, vector, rows);
      break;
    case Type.I32:
      mixIntegers<i32>(hashes, vector, rows);
      break;
    case Type.U8:
      mixIntegers<u8>(hashes, vector, rows);
      break;
    case Type.U16:
      mixIntegers<u16>(hashes, vector, rows);
      break;
    case Type.U32:
      mixIntegers<u32>(hashes, vector, rows);
      break;
    case Type.F32:
      mixFloats<f32>(hashes, vector, rows);
      break;
    case Type.F64:
      mixFloats<f64>(hashes, vector, rows);
      break;
    case Type.I128:
      mixWide(hashes, vector, rows);
      break;
    case Type.BYTES:
      mixTexts(hashes, vector, rows);
      break;
    default:
      mixIntegers<u64>(hashes, vector, rows);
  }
}

/** Turns hashes of all keys into partition numbers below `parts`, u32 each at `numbers`. */
export function keyHashParts(hashes: usize, rows: u32, parts: u32, numbers: usize): void {
  for (let row: u32 = 0; row < rows; row++) {
    const hash = hashFinish(load<u64>(hashes + ((<usize>row) << 3)));
    store<u32>(numbers + ((<usize>row) << 2), <u32>(((hash >> 32) * <u64>parts) >> 32));
  }
}

// @ts-ignore: decorator
@inline
function mixAt(hashes: usize, vector: Vector, row: u32, word: u64): void {
  const at = hashes + ((<usize>row) << 3);
  store<u64>(at, hashMix(load<u64>(at), vectorIsValid(vector, row) ? word : NULL_WORD));
}

function mixIntegers<T>(hashes: usize, vector: Vector, rows: u32): void {
  for (let row: u32 = 0; row < rows; row++) {
    const value = load<T>(vector.values + <usize>row * sizeof<T>());
    mixAt(hashes, vector, row, isSigned<T>() ? <u64>(<i64>value) : <u64>value);
  }
}

function mixFloats<T>(hashes: usize, vector: Vector, rows: u32): void {
  for (let row: u32 = 0; row < rows; row++) {
    const value = <f64>load<T>(vector.values + <usize>row * sizeof<T>());
    const bits: u64 = value != value ? 0x7ff8000000000000 : value == 0 ? 0 : reinterpret<u64>(value);
    mixAt(hashes, vector, row, bits);
  }
}

function mixBits(hashes: usize, vector: Vector, rows: u32): void {
  for (let row: u32 = 0; row < rows; row++)
    mixAt(hashes, vector, row, <u64>((load<u8>(vector.values + <usize>(row >> 3)) >> <u8>(row & 7)) & 1));
}

function mixWide(hashes: usize, vector: Vector, rows: u32): void {
  for (let row: u32 = 0; row < rows; row++) {
    const at = vector.values + ((<usize>row) << 4);
    mixAt(hashes, vector, row, load<u64>(at));
    if (vectorIsValid(vector, row)) mixAt(hashes, vector, row, load<u64>(at, 8));
  }
}

function mixTexts(hashes: usize, vector: Vector, rows: u32): void {
  for (let row: u32 = 0; row < rows; row++) {
    if (!vectorIsValid(vector, row)) {
      mixAt(hashes, vector, row, 0);
      continue;
    }
    mixAt(hashes, vector, row, hashBytes(textAddressAt(vector, row), textLengthAt(vector, row)));
  }
}
