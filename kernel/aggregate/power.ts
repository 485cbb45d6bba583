// What an accumulator of sums adds: the argument itself, or a power or product of it.

export const enum Power {
  /** The argument as it is. */
  PLAIN = 0,
  /** The product of both arguments. */
  PRODUCT = 1,
  /** Powers of the argument; a second argument only decides which rows count. */
  SQUARE = 2,
  CUBE = 3,
  FOURTH = 4,
}

/** float64 values whose exact sum is one value's power: see moments.ts. */
export function powerPlanes(power: u32): u32 {
  switch (power) {
    case Power.PLAIN:
      return 1;
    case Power.CUBE:
      return 4;
    case Power.FOURTH:
      return 6;
    default:
      return 2;
  }
}

/** How many arguments a power multiplies. */
export function powerDegree(power: u32): u32 {
  if (power == <u32>Power.PLAIN) return 1;
  return power <= <u32>Power.SQUARE ? 2 : power;
}
