// Adding to lanes of 64 bits that lie anywhere: what sums and counts by groups do for each row.
//
// Addresses of four rows are computed as a vector, and a lane goes through a vector register, too, as half of it: by
// 100 groups that takes 0.55 ns a row, in the cache, where words of 64 bits in general registers take 0.7 to 0.8 (AMD Zen 4;
// with sum and count in one such word as well). Tried and lost: eight rows a turn, and two tables by turns, so that rows of
// one group wait less for each other (no gain by 100 groups; 0.85 of the time by 5).

/** Adds the halves of `two` to the lanes at both halves of `places`. */
// @ts-ignore: decorator
@inline
export function addToTwo(places: u64, two: v128): void {
  const first = <usize>(<u32>places);
  const second = <usize>(places >> 32);
  v128.store64_lane(first, i64x2.add(v128.load64_zero(first), two), 0);
  v128.store64_lane(second, i64x2.add(v128.load64_splat(second), two), 1);
}

/** Where the lanes of four groups lie, whose numbers (u32 each) are at `numbers`: those of group 0 at `lanes`. */
// @ts-ignore: decorator
@inline
export function lanesOfFour(lanes: v128, numbers: usize): v128 {
  return i32x4.add(lanes, i32x4.shl(v128.load(numbers), 3));
}
