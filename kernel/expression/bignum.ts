// Unsigned integers of up to some 8000 bits in scratch memory: what exact conversion between decimal and
// binary floats needs when the digits at hand do not decide.
//
//   +0 u32 limbs in use   +4 unused   +8.. u32 limbs, lowest first
//
// Callers lay numbers out BIG_SIZE apart. Nothing here is fast, or needs to be.

/** Bytes of one number. */
export const BIG_SIZE: usize = 1024;

// @ts-ignore: decorator
@inline
function limb(big: usize, index: u32): usize {
  return big + 8 + (<usize>index << 2);
}

export function bigSet(big: usize, value: u64): void {
  store<u32>(big, value >> 32 != 0 ? 2 : value != 0 ? 1 : 0);
  store<u64>(big, value, 8);
}

export function bigIsZero(big: usize): bool {
  return load<u32>(big) == 0;
}

/** big = big * factor + add. */
export function bigMultiplyAdd(big: usize, factor: u32, add: u32): void {
  const count = load<u32>(big);
  let carry: u64 = add;
  for (let index: u32 = 0; index < count; index++) {
    carry += <u64>load<u32>(limb(big, index)) * <u64>factor;
    store<u32>(limb(big, index), <u32>carry);
    carry >>= 32;
  }
  if (carry == 0) return;
  store<u32>(limb(big, count), <u32>carry);
  store<u32>(big, count + 1);
}

export function bigMultiplyPowerOfTen(big: usize, exponent: u32): void {
  for (; exponent >= 9; exponent -= 9) bigMultiplyAdd(big, 1000000000, 0);
  let factor: u32 = 1;
  for (; exponent > 0; exponent--) factor *= 10;
  if (factor != 1) bigMultiplyAdd(big, factor, 0);
}

export function bigShiftLeft(big: usize, bits: u32): void {
  const count = load<u32>(big);
  if (count == 0 || bits == 0) return;
  const words = bits >> 5;
  const shift: u64 = bits & 31;
  let top: u32 = 0;
  for (let index = <i32>count; index >= 0; index--) {
    const high: u64 = index < <i32>count ? load<u32>(limb(big, index)) : 0;
    const low: u64 = index > 0 ? load<u32>(limb(big, index - 1)) : 0;
    const value = <u32>((((high << 32) | low) << shift) >> 32);
    store<u32>(limb(big, <u32>index + words), value);
    if (top == 0 && value != 0) top = <u32>index + words + 1;
  }
  for (let index: u32 = 0; index < words; index++) store<u32>(limb(big, index), 0);
  store<u32>(big, top);
}

/** Negative, 0 or positive as a < b, a = b or a > b. */
export function bigCompare(a: usize, b: usize): i32 {
  const countA = load<u32>(a);
  const countB = load<u32>(b);
  if (countA != countB) return countA < countB ? -1 : 1;
  for (let index = <i32>countA - 1; index >= 0; index--) {
    const x = load<u32>(limb(a, index));
    const y = load<u32>(limb(b, index));
    if (x != y) return x < y ? -1 : 1;
  }
  return 0;
}

/** a + b against c. */
export function bigCompareSum(a: usize, b: usize, c: usize, work: usize): i32 {
  bigCopy(work, a);
  bigAdd(work, b);
  return bigCompare(work, c);
}

export function bigCopy(target: usize, source: usize): void {
  memory.copy(target, source, 8 + (<usize>load<u32>(source) << 2));
}

export function bigAdd(big: usize, other: usize): void {
  const count = max<u32>(load<u32>(big), load<u32>(other));
  let carry: u64 = 0;
  for (let index: u32 = 0; index < count; index++) {
    if (index < load<u32>(big)) carry += load<u32>(limb(big, index));
    if (index < load<u32>(other)) carry += load<u32>(limb(other, index));
    store<u32>(limb(big, index), <u32>carry);
    carry >>= 32;
  }
  store<u32>(limb(big, count), <u32>carry);
  store<u32>(big, count + <u32>(carry != 0));
}

/** big -= other, which is not larger. */
export function bigSubtract(big: usize, other: usize): void {
  const count = load<u32>(big);
  let borrow: i64 = 0;
  for (let index: u32 = 0; index < count; index++) {
    borrow += <i64>load<u32>(limb(big, index));
    if (index < load<u32>(other)) borrow -= <i64>load<u32>(limb(other, index));
    store<u32>(limb(big, index), <u32>borrow);
    borrow >>= 32;
  }
  let top = count;
  while (top > 0 && load<u32>(limb(big, top - 1)) == 0) top--;
  store<u32>(big, top);
}

/** Bits of a number that is not 0. */
export function bigBits(big: usize): i32 {
  const count = load<u32>(big);
  return <i32>(count << 5) - clz<i32>(load<i32>(limb(big, count - 1)));
}
