// Adding cut values to groups: `limbs` holds 1 to 8 i64 a row, as the groups do.

export function commit1(sums: usize, numbers: usize, limbs: usize, count: u32): void {
  for (let row: u32 = 0; row < count; row++) {
    const at = sums + ((<usize>load<u32>(numbers + ((<usize>row) << 2))) << 3);
    store<i64>(at, load<i64>(at) + load<i64>(limbs + ((<usize>row) << 3)));
  }
}

export function commit2(sums: usize, numbers: usize, limbs: usize, count: u32): void {
  let row: u32 = 0;
  for (const whole = count & ~1; row < whole; row += 2) {
    const pair = load<u64>(numbers + ((<usize>row) << 2));
    const from = limbs + ((<usize>row) << 4);
    add2(sums + ((<usize>(<u32>pair)) << 4), from);
    add2(sums + ((<usize>(pair >> 32)) << 4), from + 16);
  }
  if (row < count)
    add2(sums + ((<usize>load<u32>(numbers + ((<usize>row) << 2))) << 4), limbs + ((<usize>row) << 4));
}

export function commit3(sums: usize, numbers: usize, limbs: usize, count: u32): void {
  for (let row: u32 = 0; row < count; row++) {
    const at = sums + <usize>load<u32>(numbers + ((<usize>row) << 2)) * 24;
    const from = limbs + <usize>row * 24;
    add2(at, from);
    store<i64>(at, load<i64>(at, 16) + load<i64>(from, 16), 16);
  }
}

export function commit4(sums: usize, numbers: usize, limbs: usize, count: u32): void {
  for (let row: u32 = 0; row < count; row++) {
    const at = sums + ((<usize>load<u32>(numbers + ((<usize>row) << 2))) << 5);
    const from = limbs + ((<usize>row) << 5);
    add2(at, from);
    add2(at + 16, from + 16);
  }
}

/** Any number of limbs, as third and fourth powers need. */
export function commitMany(sums: usize, numbers: usize, limbs: usize, count: u32, width: u32): void {
  const stride: usize = (<usize>width) << 3;
  for (let row: u32 = 0; row < count; row++) {
    const at = sums + <usize>load<u32>(numbers + ((<usize>row) << 2)) * stride;
    const from = limbs + <usize>row * stride;
    for (let limb: usize = 0; limb < stride; limb += 8)
      store<i64>(at + limb, load<i64>(at + limb) + load<i64>(from + limb));
  }
}

/** All rows to group 0: a limb at a time. */
export function commitOne(sums: usize, limbs: usize, count: u32, width: u32): void {
  const stride: usize = (<usize>width) << 3;
  const end = limbs + <usize>count * stride;
  for (let limb: usize = 0; limb < stride; limb += 8) {
    let sum: i64 = 0;
    for (let at = limbs + limb; at < end; at += stride) sum += load<i64>(at);
    store<i64>(sums + limb, load<i64>(sums + limb) + sum);
  }
}

// @ts-ignore: decorator
@inline
function add2(at: usize, from: usize): void {
  if (ASC_FEATURE_SIMD) v128.store(at, i64x2.add(v128.load(at), v128.load(from)));
  else {
    store<i64>(at, load<i64>(at) + load<i64>(from));
    store<i64>(at, load<i64>(at, 8) + load<i64>(from, 8), 8);
  }
}
