// Cutting float64 values into limbs: see sum-exact.ts for how and why.

import { Accumulator } from "./accumulator";
import { addBoth, addFirst, addSecond } from "./lanes";
import { DIGIT_BITS } from "./round";

/** M of limb `limb`: 1.5 * 2^(52 + 40 limb - 1074). */
// @ts-ignore: decorator
@inline
export function magic(limb: u32): f64 {
  return reinterpret<f64>(((<u64>(limb * DIGIT_BITS + 1)) << 52) | (1 << 51));
}

/**
 * 2^e for the largest |x| that `limbs` limbs from `low` on take: the upper limb stays below 2^41. Dense limbs end at
 * TOP_DENSE (sum-exact.ts), so that this is below 2^1023.
 */
// @ts-ignore: decorator
@inline
export function reach(low: u32, limbs: u32): f64 {
  const exponent = <i32>((low + limbs) * DIGIT_BITS) - 1074 + 1;
  return exponent < -1022
    ? reinterpret<f64>((<u64>1) << (<u64>(exponent + 1074)))
    : reinterpret<f64>((<u64>(exponent + 1023)) << 52);
}

/**
 * Whether no float has bits below limb `low`, by the least of their sizes' bits less one (i64 each, of which the upper halves
 * count): a double has none 2^52 and more below its own size. False says nothing.
 */
// @ts-ignore: decorator
@inline
export function isWholeAbove(least: v128, low: u32): bool {
  const uppers = v128.shuffle<i32>(least, least, 1, 3, 1, 3);
  return i32x4.all_true(i32x4.ge_u(uppers, i32x4.splat(<i32>((low * DIGIT_BITS + 1) << 20))));
}

/** The same for certain, of `count` finite values (an even number). */
export function areWhole(x: usize, count: u32, low: u32): bool {
  const M0 = f64x2.splat(magic(low));
  const limit = f64x2.splat(reinterpret<f64>(<u64>(low * DIGIT_BITS + 1) << 52));
  let good = i64x2.splat(-1);
  for (let row: u32 = 0; row < count; row += 2) {
    const value = v128.load(x + ((<usize>row) << 3));
    const same = f64x2.eq(f64x2.sub(f64x2.add(value, M0), M0), value);
    good = v128.and(good, v128.or(same, f64x2.ge(f64x2.abs(value), limit)));
  }
  return i64x2.all_true(good);
}

/** Whether floats are below a power of two, by the greatest of their sizes' bits (i64 each, of which the upper halves count). */
// @ts-ignore: decorator
@inline
function isBelow(most: v128, limit: f64): bool {
  const uppers = v128.shuffle<i32>(most, most, 1, 3, 1, 3);
  return i32x4.all_true(i32x4.lt_u(uppers, i32x4.splat(<i32>(reinterpret<u64>(limit) >> 32))));
}

/**
 * Cuts `count` values into limbs, lowest first, `self.limbs` i64 a row; false when one does not fit (none
 * counts then). With SIMD only values that come alone, or do not fit, come here.
 */
export function cut(self: Accumulator, x: usize, limbs: usize, count: u32): bool {
  switch (self.limbs) {
    case 0:
      return allZero(x, count);
    case 1:
      return cutRows<u8>(self.lowLimb, x, limbs, count);
    case 2:
      return cutRows<u16>(self.lowLimb, x, limbs, count);
    case 3:
      return cutRows<u32>(self.lowLimb, x, limbs, count);
    case 4:
      return cutRows<u64>(self.lowLimb, x, limbs, count);
    default:
      return cutMany(self.lowLimb, self.limbs, x, limbs, count);
  }
}

/** More than 4 limbs, one value at a time. */
function cutMany(low: u32, width: u32, x: usize, limbs: usize, count: u32): bool {
  const limit = reach(low, width);
  let fine = true;
  for (let row: u32 = 0; row < count; row++) {
    let r = load<f64>(x + ((<usize>row) << 3));
    if (!(abs(r) < limit)) fine = false;
    const at = limbs + <usize>(row * width) * 8;
    for (let limb = width; limb > 0; ) {
      limb--;
      r = cutLimb(r, magic(low + limb), at + ((<usize>limb) << 3));
    }
    if (r != 0) fine = false;
  }
  return fine;
}

function allZero(x: usize, count: u32): bool {
  let bits: u64 = 0;
  for (let row: u32 = 0; row < count; row++) bits |= load<u64>(x + ((<usize>row) << 3)) << 1;
  return bits == 0;
}

// The type parameter stands for the number of limbs: u8 = 1, u16 = 2, u32 = 3, u64 = 4.

// @ts-ignore: decorator
@inline
export function limbsOf<N>(): u32 {
  return sizeof<N>() == 1 ? 1 : sizeof<N>() == 2 ? 2 : sizeof<N>() == 4 ? 3 : 4;
}

function cutRows<N>(low: u32, x: usize, limbs: usize, count: u32): bool {
  const m0 = magic(low);
  const m1 = magic(low + 1);
  const m2 = magic(low + 2);
  const m3 = magic(low + 3);
  const limit = reach(low, limbsOf<N>());
  let fine = true;
  for (let row: u32 = 0; row < count; row++) {
    let r = load<f64>(x + ((<usize>row) << 3));
    if (!(abs(r) < limit)) fine = false;
    const at = limbs + <usize>row * <usize>(limbsOf<N>() << 3);
    if (limbsOf<N>() >= 4) r = cutLimb(r, m3, at + 24);
    if (limbsOf<N>() >= 3) r = cutLimb(r, m2, at + 16);
    if (limbsOf<N>() >= 2) r = cutLimb(r, m1, at + 8);
    if (cutLimb(r, m0, at) != 0) fine = false;
  }
  return fine;
}

/**
 * Cuts `count` values (an even number) into 1 to 4 limbs and adds them to their groups at once; false when one did
 * not fit. What was added then is not the values' sum, but `takeBack` removes just that: integers wrap.
 */
export function addRows(self: Accumulator, x: usize, numbers: usize, count: u32): bool {
  switch (self.limbs) {
    case 1:
      return foldRows<u8>(self.lowLimb, x, self.values, numbers, count, false);
    case 2:
      return foldRows<u16>(self.lowLimb, x, self.values, numbers, count, false);
    case 3:
      return foldRows<u32>(self.lowLimb, x, self.values, numbers, count, false);
    default:
      return foldRows<u64>(self.lowLimb, x, self.values, numbers, count, false);
  }
}

export function takeBack(self: Accumulator, x: usize, numbers: usize, count: u32): void {
  switch (self.limbs) {
    case 1:
      foldRows<u8>(self.lowLimb, x, self.values, numbers, count, true);
      break;
    case 2:
      foldRows<u16>(self.lowLimb, x, self.values, numbers, count, true);
      break;
    case 3:
      foldRows<u32>(self.lowLimb, x, self.values, numbers, count, true);
      break;
    default:
      foldRows<u64>(self.lowLimb, x, self.values, numbers, count, true);
  }
}

// @ts-ignore: decorator
@inline
function foldRows<N>(low: u32, x: usize, sums: usize, numbers: usize, count: u32, back: bool): bool {
  const M0 = f64x2.splat(magic(low));
  const M1 = f64x2.splat(magic(low + 1));
  const M2 = f64x2.splat(magic(low + 2));
  const M3 = f64x2.splat(magic(low + 3));
  const limits = f64x2.splat(reach(low, limbsOf<N>()));
  let good = i64x2.splat(-1);
  for (let row: u32 = 0; row < count; row += 2) {
    const value = v128.load(x + ((<usize>row) << 3));
    const inside = f64x2.lt(f64x2.abs(value), limits);
    good = v128.and(good, inside);
    // Others count as zero: the bits of NaN are not the same on every host.
    let r = v128.and(value, inside);
    let d1: v128 = r;
    let d2: v128 = r;
    let d3: v128 = r;
    if (limbsOf<N>() >= 4) {
      const q = f64x2.add(r, M3);
      r = f64x2.sub(r, f64x2.sub(q, M3));
      d3 = i64x2.sub(q, M3);
    }
    if (limbsOf<N>() >= 3) {
      const q = f64x2.add(r, M2);
      r = f64x2.sub(r, f64x2.sub(q, M2));
      d2 = i64x2.sub(q, M2);
    }
    if (limbsOf<N>() >= 2) {
      const q = f64x2.add(r, M1);
      r = f64x2.sub(r, f64x2.sub(q, M1));
      d1 = i64x2.sub(q, M1);
    }
    const p = f64x2.add(r, M0);
    good = v128.and(good, f64x2.eq(f64x2.sub(p, M0), r));
    const d0 = i64x2.sub(p, M0);
    const pair = load<u64>(numbers + ((<usize>row) << 2));
    const first = sums + groupOffset<N>(<u32>pair);
    const second = sums + groupOffset<N>(<u32>(pair >> 32));
    if (limbsOf<N>() == 1) {
      const lone = signed(d0, back);
      addFirst(first, lone);
      addSecond(second, lone);
    } else {
      addBoth(first, signed(v128.shuffle<i64>(d0, d1, 0, 2), back));
      addBoth(second, signed(v128.shuffle<i64>(d0, d1, 1, 3), back));
      if (limbsOf<N>() == 3) {
        const odd = signed(d2, back);
        addFirst(first + 16, odd);
        addSecond(second + 16, odd);
      }
      if (limbsOf<N>() == 4) {
        addBoth(first + 16, signed(v128.shuffle<i64>(d2, d3, 0, 2), back));
        addBoth(second + 16, signed(v128.shuffle<i64>(d2, d3, 1, 3), back));
      }
    }
  }
  return i64x2.all_true(good);
}

// @ts-ignore: decorator
@inline
function signed(limbs: v128, back: bool): v128 {
  return back ? i64x2.neg(limbs) : limbs;
}

// @ts-ignore: decorator
@inline
export function groupOffset<N>(group: u32): usize {
  return <usize>group * (<usize>limbsOf<N>() << 3);
}

/**
 * Adds `count` values (an even number) to one group's limbs, 1 to 4 of them, which stay in registers on the way; false,
 * with nothing added, when one does not fit.
 */
export function addOne(self: Accumulator, group: u32, x: usize, count: u32): bool {
  const sums = self.values + <usize>group * <usize>self.stride;
  switch (self.limbs) {
    case 1:
      return totalRows<u8>(self.lowLimb, x, sums, count);
    case 2:
      return totalRows<u16>(self.lowLimb, x, sums, count);
    case 3:
      return totalRows<u32>(self.lowLimb, x, sums, count);
    default:
      return totalRows<u64>(self.lowLimb, x, sums, count);
  }
}

// Whether each value is whole in the lowest limb is not looked at, as long as all are large enough for that: 0.75 of the time.
// Four values a turn instead of two take 0.95, for twice the code.
function totalRows<N>(low: u32, x: usize, sums: usize, count: u32): bool {
  const M0 = f64x2.splat(magic(low));
  const M1 = f64x2.splat(magic(low + 1));
  const M2 = f64x2.splat(magic(low + 2));
  const M3 = f64x2.splat(magic(low + 3));
  // Of sizes' bits the upper halves say enough: of NaN, too, and the limit is a power of two.
  let most = i32x4.splat(0);
  let least = i32x4.splat(-1);
  let s0 = i64x2.splat(0);
  let s1 = i64x2.splat(0);
  let s2 = i64x2.splat(0);
  let s3 = i64x2.splat(0);
  const end = x + ((<usize>count) << 3);
  for (let at = x; at < end; at += 16) {
    let r = v128.load(at);
    const size = f64x2.abs(r);
    most = i32x4.max_u(size, most);
    // One less than zero is the greatest.
    least = i32x4.min_u(i64x2.add(size, i64x2.splat(-1)), least);
    if (limbsOf<N>() >= 4) {
      const q = f64x2.add(r, M3);
      r = f64x2.sub(r, f64x2.sub(q, M3));
      s3 = i64x2.add(s3, q);
    }
    if (limbsOf<N>() >= 3) {
      const q = f64x2.add(r, M2);
      r = f64x2.sub(r, f64x2.sub(q, M2));
      s2 = i64x2.add(s2, q);
    }
    if (limbsOf<N>() >= 2) {
      const q = f64x2.add(r, M1);
      r = f64x2.sub(r, f64x2.sub(q, M1));
      s1 = i64x2.add(s1, q);
    }
    s0 = i64x2.add(s0, f64x2.add(r, M0));
  }
  if (!isBelow(most, reach(low, limbsOf<N>()))) return false;
  if (!isWholeAbove(least, low) && !areWhole(x, count, low)) return false;
  addTotal(sums, s0, M0, count);
  if (limbsOf<N>() >= 2) addTotal(sums + 8, s1, M1, count);
  if (limbsOf<N>() >= 3) addTotal(sums + 16, s2, M2, count);
  if (limbsOf<N>() >= 4) addTotal(sums + 24, s3, M3, count);
  return true;
}

/** Adds what `count` limbs come to, with M in each of them. */
// @ts-ignore: decorator
@inline
function addTotal(at: usize, sums: v128, m: v128, count: u32): void {
  const total = i64x2.extract_lane(sums, 0) + i64x2.extract_lane(sums, 1);
  store<i64>(at, load<i64>(at) + total - <i64>count * i64x2.extract_lane(m, 0));
}

/** Writes the limb of `r` on M's grid, and answers what is left of `r`. */
// @ts-ignore: decorator
@inline
function cutLimb(r: f64, m: f64, at: usize): f64 {
  const q = r + m;
  store<i64>(at, reinterpret<i64>(q) - reinterpret<i64>(m));
  return r - (q - m);
}
