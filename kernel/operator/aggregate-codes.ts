// Keys that are texts, as codes (KEEP_CODES): results that stay in kernel memory, or are read there, have the numbers that texts
// have here, and a copy of the texts, once.
//
// The interner's own texts lie here and there. A copy costs as much as it has texts, whichever of them results have, so there
// must be twice as many rows, of those that are known of: those that have left, groups, and rows that wait, each of which
// brings a group or nearly (aggregate-drain.ts). With fewer, texts leave: a text a row, as most results by one key are, costs
// no more than its copy. Where texts have come since, as from another part, another copy is made after so many rows again.
//
// 10 M groups by three texts, of 100, 100 and 100,000, and three integers: a text written costs 8 ns, a code 1; the whole
// query takes 0.75 of the time.

import { AggregateFlag } from "../abi/operator";
import { outputColumn, outputRegion } from "../column/builder";
import { codesOfInterner } from "../group/codes";
import { internedCount } from "../group/interner";
import { groupsOccupied } from "../group/list";
import { groupsKey } from "../group/state";
import { Combination } from "./aggregate-combine";
import { aggregateDrained } from "./aggregate-drain";
import { waitingRows } from "./aggregate-waiting";
import { aggregationOf, groupsOf } from "./aggregation";

const ROWS_PER_TEXT: u64 = 2;

/** Says for each key how it leaves the batch that is next: its output is empty, and no text has room there yet. */
export function codesChoose(operator: usize): void {
  const self = aggregationOf(operator);
  self.coded = 0;
  if ((self.flags & <u32>AggregateFlag.KEEP_CODES) == 0) return;
  const groups = groupsOf(self);
  let rows: u64 = 0;
  for (let index: u32 = 0; index < groups.keyCount; index++) {
    const key = groupsKey(groups, index);
    if (key.interner == 0) continue;
    const texts = internedCount(key.interner);
    if (key.dictionary == 0 || key.dictionaryLength != texts) {
      if (rows == 0) rows = knownRows(operator);
      if (texts == 0 || rows < <u64>key.dictionaryRows + <u64>texts * ROWS_PER_TEXT) continue;
      key.dictionaryRows = <u32>rows;
      const copy = codesOfInterner(outputRegion(self.output), key.interner);
      if (copy == 0) continue;
      key.dictionary = copy;
      key.dictionaryLength = texts;
    }
    outputColumn(self.output, index).dictionary = key.dictionary;
    self.coded |= (<u32>1) << index;
  }
}

/** Rows that have left, and will, as far as they are known of. */
function knownRows(operator: usize): u64 {
  const self = aggregationOf(operator);
  const groups = groupsOf(self);
  const left = min(groupsOccupied(groups), groups.count - self.cursor);
  const here = aggregateDrained(operator) + <u64>waitingRows(operator) + <u64>left;
  return self.combination == 0 ? here : max<u64>(here, changetype<Combination>(self.combination).coming);
}
