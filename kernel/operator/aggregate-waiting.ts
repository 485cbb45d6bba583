// Rows that wait, whichever way they were set aside: by ranges of groups while these are computed, by hash from then on.

import { Status } from "../abi/status";
import { BACKLOG_PARTITIONS, backlogIsOpen, backlogRows, backlogSettle, backlogWork } from "./aggregate-backlog";
import { rangesParts, rangesRows, rangesWork } from "./aggregate-ranges";

export function waitingRows(operator: usize): u32 {
  return rangesRows(operator) + backlogRows(operator);
}

/** Parts among which rows are divided that are set aside, 0 where none are. */
export function waitingParts(operator: usize): u32 {
  return backlogIsOpen(operator) ? BACKLOG_PARTITIONS : rangesParts(operator);
}

/** Works off a bounded number of them. HAS_MORE, NEED_INPUT when nothing is left, or an error. */
export function waitingWork(context: usize, operator: usize): i32 {
  const status = rangesWork(context, operator, false);
  return status == <i32>Status.NEED_INPUT ? backlogWork(context, operator, false) : status;
}

/** Works all of them off, and lays keys out for whoever reads their rows. NEED_INPUT, or an error. */
export function waitingSettle(context: usize, operator: usize): i32 {
  const status = rangesWork(context, operator, true);
  return status < 0 ? status : backlogSettle(context, operator);
}
