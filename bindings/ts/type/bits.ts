// Bitmaps: LSB first, as Arrow has them.

/** Copies `rows` bits of `source` from bit `from` to bit `to` of `target`; the target's other bits stay. */
export function copyBits(
  source: Uint8Array,
  from: number,
  rows: number,
  target: Uint8Array,
  to: number,
): void {
  let row = 0;
  if (((from | to) & 7) === 0) {
    const bytes = rows >>> 3;
    target.set(source.subarray(from >>> 3, (from >>> 3) + bytes), to >>> 3);
    row = bytes * 8;
  }
  for (; row < rows; row++) setBit(target, to + row, getBit(source, from + row));
}

export function getBit(bits: Uint8Array, at: number): boolean {
  return ((bits[at >>> 3]! >> (at & 7)) & 1) === 1;
}

export function setBit(bits: Uint8Array, at: number, value: boolean): void {
  if (value) bits[at >>> 3]! |= 1 << (at & 7);
  else bits[at >>> 3]! &= ~(1 << (at & 7));
}

/** The bits from `from` on, moved to bit 0. Bits that `source` does not have are missing from the result too. */
export function shiftBits(source: Uint8Array, from: number, rows: number): Uint8Array {
  const available = Math.max(0, Math.min(rows, source.length * 8 - from));
  const target = new Uint8Array(Math.ceil(available / 8));
  const begin = from >>> 3;
  const shift = from & 7;
  for (let i = 0; i < target.length; i++) {
    target[i] = (source[begin + i]! >> shift) | ((source[begin + i + 1] ?? 0) << (8 - shift));
  }
  return target;
}
