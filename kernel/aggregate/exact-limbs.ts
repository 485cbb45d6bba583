// The numbers by which the parts of exact sums agree: see sum-exact.ts.

/** What the side list holds beside limbs: counts. */
export const NAN: u32 = 61;
export const POSITIVE_INFINITY: u32 = 62;
export const NEGATIVE_INFINITY: u32 = 63;
export const KINDS: u32 = 64;

/** Digits of a whole sum: 2^1024 times 2^64 rows over 2^-1074, and a sign. */
export const DIGITS: u32 = 56;

/** Side entry: i128 sum, u32 next entry + 1, u32 limb. */
export const SIDE_ENTRY: usize = 24;

// State of a sum: u8 sign (1 = negative), then for each nonzero digit and count, lowest limb first, u8 limb and
// u64 value. A sum of nothing but zeros has no bytes at all.

export const STATE_ENTRY: u32 = 9;
/** Most bytes of one state. */
export const EXACT_STATE_BYTES: u32 = 1 + STATE_ENTRY * (DIGITS + 3);
