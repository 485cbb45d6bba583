// The numbers by which the parts of exact sums agree: see sum-exact.ts.

/** What the side list holds beside limbs: counts. */
export const NAN: u32 = 253;
export const POSITIVE_INFINITY: u32 = 254;
export const NEGATIVE_INFINITY: u32 = 255;
export const KINDS: u32 = 256;

// Fourth powers of floats reach from 2^-4296 to 2^4096. So that one grid serves sums of all powers, limb j
// weighs 2^(40 j - 4314) in the side list and in states; dense limbs count from the one of 2^-1074.

/** The limb that weighs 2^-1074. */
export const GRID: u32 = 81;
/** Exponent of the lowest limb. */
export const GRID_EXPONENT: i32 = -4314;

/** Digits of a whole sum: 2^4096 times 2^64 rows over 2^-4314, and a sign. */
export const DIGITS: u32 = 213;

/** Side entry: i128 sum, u32 next entry + 1, u32 limb. */
export const SIDE_ENTRY: usize = 24;

// State of a sum: u8 sign (1 = negative), then for each nonzero digit and count, lowest limb first, u8 limb and
// u64 value. A sum of nothing but zeros has no bytes at all.

export const STATE_ENTRY: u32 = 9;
/** Most bytes of one state. */
export const EXACT_STATE_BYTES: u32 = 1 + STATE_ENTRY * (DIGITS + 3);
