// Sketches, by their definitions: a HyperLogLog from big-integer hashes, and the middle of a value's bucket.
//
// See kernel/aggregate/cardinality.ts and quantile-sketch.ts for the sources.

import { type DataType, valueType } from "../bindings/ts/type/data-type.js";
import type { Value } from "./values.js";

const REGISTERS = 4096;
const GOLDEN = 0x9e3779b97f4a7c15n;
const FACTOR_2 = 0xbf58476d1ce4e5b9n;
const FACTOR_3 = 0x94d049bb133111ebn;
const u64 = (x: bigint) => BigInt.asUintN(64, x);

function finish(hash: bigint): bigint {
  let h = u64((hash ^ (hash >> 30n)) * FACTOR_2);
  h = u64((h ^ (h >> 27n)) * FACTOR_3);
  return h ^ (h >> 31n);
}

function mix(hash: bigint, word: bigint): bigint {
  const mixed = u64((hash ^ word) * GOLDEN);
  return mixed ^ (mixed >> 32n);
}

function word(bytes: Uint8Array, at: number, length: number): bigint {
  let value = 0n;
  for (let i = length - 1; i >= 0; i--) value = (value << 8n) | BigInt(bytes[at + i]!);
  return value;
}

function shortWord(bytes: Uint8Array): bigint {
  const n = bytes.length;
  if (n >= 4) return (word(bytes, 0, 4) << 32n) | word(bytes, n - 4, 4);
  if (n === 0) return 0n;
  return BigInt(bytes[0]!) | (BigInt(bytes[n >> 1]!) << 8n) | (BigInt(bytes[n - 1]!) << 16n);
}

function hashBytes(bytes: Uint8Array): bigint {
  let hash = u64(BigInt(bytes.length) * FACTOR_2);
  if (bytes.length < 8) return finish(mix(hash, shortWord(bytes)));
  for (let at = 0; at < bytes.length - 8; at += 8) hash = mix(hash, word(bytes, at, 8));
  return finish(mix(hash, word(bytes, bytes.length - 8, 8)));
}

/** Bits of a float64, zeros and NaNs as one. */
function floatBits(value: number): bigint {
  // Which NaN a division gives depends on whether it was compiled.
  if (Number.isNaN(value)) return 0x7ff8_0000_0000_0000n;
  const normal = value === 0 ? 0 : value;
  return new BigUint64Array(new Float64Array([normal]).buffer)[0]!;
}

function hashValue(type: DataType, value: Value): bigint {
  let hash: bigint;
  if (typeof value === "string") hash = hashBytes(new TextEncoder().encode(value));
  else if (value instanceof Uint8Array) hash = hashBytes(value);
  else if (typeof value === "boolean") hash = value ? 1n : 0n;
  else if (typeof value === "number") hash = floatBits(value);
  else if (valueType(type).kind === "decimal")
    hash = mix(mix(0n, u64(value as bigint)), u64((value as bigint) >> 64n));
  else hash = u64(value as bigint);
  return finish(u64(hash + GOLDEN));
}

/** Ertl's estimate from the registers. */
export function estimateDistinct(type: DataType, values: readonly Value[]): bigint {
  const registers = new Array<number>(REGISTERS).fill(0);
  for (const value of values) {
    const hash = hashValue(type, value);
    const rest = (hash & ((1n << 52n) - 1n)).toString(2).padStart(52, "0");
    const rank = rest.includes("1") ? rest.indexOf("1") + 1 : 53;
    const index = Number(hash >> 52n);
    registers[index] = Math.max(registers[index]!, rank);
  }
  const ranked = (rank: number) => registers.filter((value) => value === rank).length;
  let z = REGISTERS * tau(1 - ranked(53) / REGISTERS);
  for (let rank = 52; rank > 0; rank--) z = 0.5 * (z + ranked(rank));
  z += REGISTERS * sigma(ranked(0) / REGISTERS);
  return BigInt(Math.floor((0.7213475204444817 * REGISTERS * REGISTERS) / z + 0.5));
}

function sigma(start: number): number {
  if (start === 1) return Infinity;
  for (let x = start, y = 1, z = start; ; ) {
    x *= x;
    const before = z;
    z += x * y;
    y += y;
    if (z === before) return z;
  }
}

function tau(start: number): number {
  if (start <= 0 || start >= 1) return 0;
  for (let x = start, y = 1, z = 1 - start; ; ) {
    x = Math.sqrt(x);
    const before = z;
    y *= 0.5;
    z -= (1 - x) * (1 - x) * y;
    if (z === before) return z / 3;
  }
}

/** The middle of the sixty-fourth of a power of two that a value lies in. */
export function middleOfBucket(value: number): number {
  const size = Math.abs(value);
  if (size < 2 ** -1022) return 0;
  if (!Number.isFinite(value)) return value;
  let power = Math.floor(Math.log2(size));
  while (2 ** power > size) power--;
  while (power < 1023 && 2 ** (power + 1) <= size) power++;
  const step = Math.floor((size / 2 ** power) * 64);
  return Math.sign(value) * ((step + 0.5) / 64) * 2 ** power;
}
