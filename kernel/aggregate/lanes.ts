// Adding to lanes of 64 bits that lie anywhere: what sums and counts by groups do for each row.
//
// Addresses of four rows are computed as a vector, and a lane goes through a vector register, too, as half of it: by
// 100 groups that takes 0.55 ns a row, in the cache, where words of 64 bits in general registers take 0.7 to 0.8 (AMD Zen 4;
// with sum and count in one such word as well). What adds one lane computes addresses a turn ahead of that (lane-rows.ts).
// Tried and lost: eight rows a turn without that, and two tables by turns, so that rows of one group wait less for each other
// (no gain by 100 groups; 0.85 of the time by 5).

/** Adds the halves of `two` to the lanes at both halves of `places`. */
// @ts-ignore: decorator
@inline
export function addToTwo(places: u64, two: v128): void {
  addFirst(<u32>places, two);
  addSecond(<usize>(places >> 32), two);
}

/** Adds the first half of `two` to the lane at `at`. */
// @ts-ignore: decorator
@inline
export function addFirst(at: usize, two: v128): void {
  v128.store64_lane(at, i64x2.add(v128.load64_zero(at), two), 0);
}

/** Adds the second half of `two` to the lane at `at`. */
// @ts-ignore: decorator
@inline
export function addSecond(at: usize, two: v128): void {
  v128.store64_lane(at, i64x2.add(v128.load64_splat(at), two), 1);
}

/** Adds both halves to the two lanes at `at`. */
// @ts-ignore: decorator
@inline
export function addBoth(at: usize, two: v128): void {
  v128.store(at, i64x2.add(v128.load(at), two));
}

/** Two values from `from` on, of four or eight bytes each, as lanes. */
// @ts-ignore: decorator
@inline
export function twoOf<T>(from: usize): v128 {
  if (sizeof<T>() == 8) return v128.load(from);
  return isSigned<T>() ? v128.load32x2_s(from) : v128.load32x2_u(from);
}

/** Where the lanes of four groups lie, whose numbers (u32 each) are at `numbers`: those of group 0 at `lanes`. */
// @ts-ignore: decorator
@inline
export function lanesOfFour(lanes: v128, numbers: usize): v128 {
  return i32x4.add(lanes, i32x4.shl(v128.load(numbers), 3));
}
