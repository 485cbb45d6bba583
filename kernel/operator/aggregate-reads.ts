// What an aggregation's accumulators read of its program: operators that fold a vector's rows in piece by piece put
// others in the place of these vectors meanwhile.

import { programOutput } from "../expression/program";
import { Aggregation, accumulatorAt } from "./aggregation";

/** Outputs that an accumulator reads at most: argument, second argument and filter. */
export const READS_MOST: usize = 3;

/** Lists the outputs that are read, u32 each, READS_MOST an accumulator at most; those that are one register once. */
export function aggregateReads(self: Aggregation, list: usize): u32 {
  let count: u32 = 0;
  for (let index: u32 = 0; index < self.accumulatorCount; index++) {
    const accumulator = accumulatorAt(self, index);
    count = addRead(self.program, list, count, accumulator.argument);
    count = addRead(self.program, list, count, accumulator.second);
    count = addRead(self.program, list, count, accumulator.filter);
  }
  return count;
}

function addRead(program: usize, list: usize, count: u32, output: i32): u32 {
  if (output < 0) return count;
  const register = programOutput(program, <u32>output);
  for (let index: u32 = 0; index < count; index++) {
    if (programOutput(program, load<u32>(list + ((<usize>index) << 2))) == register) return count;
  }
  store<u32>(list + ((<usize>count) << 2), <u32>output);
  return count + 1;
}
