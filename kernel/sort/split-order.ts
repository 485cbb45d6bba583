// One order for the rows of several stores: ranges that hold for all of them, and the words of chosen rows.
//
// Each store's columns are measured by itself (`orderMeasure`), as many as one word takes, by several threads at once.
// What they have found is put together (`orderJoin`): the least of the least and the greatest of the greatest values;
// of texts the bits that differ anywhere. Texts that all begin with the same 16 bytes are cut behind what they have in
// common; which bits differ after that nobody has measured, so all count.

import { Type } from "../abi/layout";
import { textWord } from "./normal";
import {
  HEAD_BYTES,
  NullBit,
  Part,
  SortKey,
  SortOrder,
  commonBytes,
  measureRange,
  measureUnits,
  orderKey,
  orderReset,
  partBits,
} from "./order";
import { RowStore, StoreColumn, storeColumn, storeIsValid, storeValue } from "./row-store";

/** Measures the columns of the order that fill a word, one at least where there are rows. Answers how many. */
export function orderMeasure(order: SortOrder, rows: usize): u32 {
  orderReset(order, rows);
  if (changetype<RowStore>(rows).rows == 0) return order.keyCount;
  let bits: u64 = 0;
  let index: u32 = 0;
  for (; index < order.keyCount && bits < 64; index++) {
    const key = orderKey(order, index);
    measureRange(order, key);
    for (let part: u32 = Part.NULL; part < <u32>Part.COUNT; part++) bits += partBits(order, key, part);
  }
  return index;
}

/** Nothing has been measured yet that the first `keys` columns of `order` hold for. */
export function orderJoinBegin(order: SortOrder, keys: u32): void {
  for (let index: u32 = 0; index < keys; index++) {
    const key = orderKey(order, index);
    key.low = u64.MAX_VALUE;
    key.high = 0;
    key.lowHigh = u64.MAX_VALUE;
    key.highHigh = 0;
    key.prefix = u32.MAX_VALUE;
    key.longest = 0;
    key.shortest = u32.MAX_VALUE;
    key.all0 = u64.MAX_VALUE;
    key.any0 = 0;
    key.all1 = u64.MAX_VALUE;
    key.any1 = 0;
    // Its rows that are null, and those that are not, in turn: see `orderJoinEnd`.
    key.nullBit = 0;
    key.ranged = 0;
  }
}

const HAS_NULLS: u32 = 1;
const HAS_VALUES: u32 = 2;

/**
 * Takes in what has been measured of `other`, which has rows, in its first `keys` columns. `sample`: of each column the
 * view of a text of those taken in before, 0 when there is none.
 */
export function orderJoin(order: SortOrder, other: SortOrder, keys: u32, samples: usize): void {
  const rows = changetype<RowStore>(other.store);
  for (let index: u32 = 0; index < keys; index++) {
    const key = orderKey(order, index);
    const found = orderKey(other, index);
    const column = storeColumn(rows, key.column);
    if (column.nulls != 0) key.nullBit |= HAS_NULLS;
    if (column.nulls == rows.rows) continue;
    key.nullBit |= HAS_VALUES;
    if (column.type == <u32>Type.BYTES) joinTexts(key, found, column, samples + ((<usize>index) << 2));
    else if (column.type == <u32>Type.I128) joinWide(key, found);
    else {
      key.low = min<u64>(key.low, found.low);
      key.high = max<u64>(key.high, found.high);
    }
  }
}

function joinWide(key: SortKey, found: SortKey): void {
  if (found.lowHigh < key.lowHigh || (found.lowHigh == key.lowHigh && found.low < key.low)) {
    key.lowHigh = found.lowHigh;
    key.low = found.low;
  }
  if (found.highHigh > key.highHigh || (found.highHigh == key.highHigh && found.high >= key.high)) {
    key.highHigh = found.highHigh;
    key.high = found.high;
  }
}

function joinTexts(key: SortKey, found: SortKey, column: StoreColumn, sample: usize): void {
  key.longest = max(key.longest, found.longest);
  key.shortest = min(key.shortest, found.shortest);
  if (found.prefix == 0) {
    key.prefix = 0;
    key.all0 &= found.all0;
    key.any0 |= found.any0;
    key.all1 &= found.all1;
    key.any1 |= found.any1;
    return;
  }
  // What was found is about the bytes after the prefix, of 16 bytes or more, that all texts of the store share.
  const view = firstText(column);
  const text: usize = load<u32>(view);
  const word0 = textWord(text, HEAD_BYTES, 0);
  const word1 = textWord(text, HEAD_BYTES, 8);
  key.all0 &= word0;
  key.any0 |= word0;
  key.all1 &= word1;
  key.any1 |= word1;
  const known: usize = load<u32>(sample);
  if (known == 0) store<u32>(sample, <u32>text);
  const shared = min(key.prefix, found.prefix);
  key.prefix = known == 0 ? shared : commonBytes(known, text, 0, shared);
}

/** The view of a text; there is one. */
function firstText(column: StoreColumn): usize {
  let row: u32 = 0;
  while (!storeIsValid(column, row)) row++;
  return storeValue(column, row, 8);
}

/** All have been taken in. */
export function orderJoinEnd(order: SortOrder, keys: u32, rows: RowStore): void {
  for (let index: u32 = 0; index < keys; index++) {
    const key = orderKey(order, index);
    const hasValues = (key.nullBit & HAS_VALUES) != 0;
    key.nullBit = key.nullBit == (HAS_NULLS | HAS_VALUES) ? NullBit.ALWAYS : NullBit.NEVER;
    key.ranged = 1;
    if (storeColumn(rows, key.column).type == <u32>Type.BYTES) endTexts(key, hasValues);
    else if (!hasValues) {
      key.low = 0;
      key.lowHigh = 0;
    }
  }
}

function endTexts(key: SortKey, hasValues: bool): void {
  const shared = key.all0 == key.any0 && key.all1 == key.any1 && key.shortest > HEAD_BYTES;
  if (!hasValues) {
    key.prefix = 0;
    key.shortest = 0;
    key.all0 = 0;
    key.all1 = 0;
  } else if (shared && key.prefix >= HEAD_BYTES) {
    key.all0 = 0;
    key.any0 = u64.MAX_VALUE;
    key.all1 = 0;
    key.any1 = u64.MAX_VALUE;
  } else key.prefix = 0;
  measureUnits(key);
}
