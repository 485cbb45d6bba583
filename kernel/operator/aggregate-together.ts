// One program for several aggregations of the same rows, as grouping sets are: the filter and the columns that they
// share are worked out once for a vector, which then goes into each set's groups while it is in the cache.
//
// The program is that of a PROJECT whose outputs are all that any set reads. Each set keeps a program of its own, which
// says what its state is and runs where it is pushed alone; for the time of a push here it reads the other one through a
// copy of its head whose outputs are listed in the set's own order (`Sets.view`).
//
// All or nothing, as a push of one: every set makes its room, and its keys of the first vector ready, before a row is
// applied to any. Want of memory that comes later makes all of them fail.
//
//   of the caller, a set: +0 u32 handle  +4 u32 address of u32 outputs of the PROJECT, in the order of the set's own

import { Abi, Batch } from "../abi/layout";
import { AggregateFlag, OperatorKind } from "../abi/operator";
import { Reason, Status } from "../abi/status";
import { PROGRAM_SIZE, Program } from "../expression/machine";
import { programAhead, programBind, programOutputType, programOutputs, programRun } from "../expression/program";
import { insideMemory } from "../memory/bounds";
import { fail, failMemory, scratchTake } from "../memory/context";
import { regionHasRoom } from "../memory/region";
import { backlogConsider, backlogIsOpen, backlogRows } from "./aggregate-backlog";
import { changelogOpen, changelogTouchFirst } from "./aggregate-changelog";
import { aggregateHeadroom } from "./aggregate-headroom";
import { aggregationOf, groupsOf } from "./aggregation";
import {
  aggregateApplyPrepared,
  aggregateIsLarge,
  aggregatePrepareVector,
  aggregateReservePush,
} from "./hash-aggregate";
import { Tier } from "../group/state";
import { Operator, handleOperator } from "./operator";
import { projectProgram } from "./project";

const ROWS: u32 = Abi.VECTOR_ROWS;
/** Most sets of one push, and most outputs that they read together: their lists are held in scratch. */
export const TOGETHER_MOST: u32 = 256;
const OUTPUTS_MOST: u32 = 16384;
/** Bytes of a set in the caller's list. */
export const TOGETHER_SET: usize = 8;

/** A set during a push. */
// @ts-ignore: decorator
@unmanaged
class Member {
  operator: usize;
  /** Its own program. */
  program: usize;
  /** The shared program's registers (u32) that are the outputs of its own. */
  outputs: usize;
  /** Groups before the push. */
  before: u32;
}

const MEMBER_SIZE: usize = 16;

/** What a push holds, in scratch. */
// @ts-ignore: decorator
@unmanaged
class Sets {
  members: usize;
  count: u32;
  /** The program that all share. */
  program: usize;
  /** A `Program` that is the shared one but for its outputs. */
  view: usize;
}

const SETS_SIZE: usize = 16;

// @ts-ignore: decorator
@inline
function memberAt(sets: Sets, index: u32): Member {
  return changetype<Member>(sets.members + <usize>index * MEMBER_SIZE);
}

/**
 * Pushes a batch, as `leader`'s program reads it, to the `count` aggregations listed at `address`. HAS_MORE when any has
 * changes to give, NEED_INPUT, or an error: after OUT_OF_MEMORY no row has been applied.
 */
export function togetherPush(context: usize, leader: usize, batch: usize, address: usize, count: u32): i32 {
  const program = projectProgram(leader);
  const sets = changetype<Sets>(scratchTake(context, SETS_SIZE));
  sets.program = program;
  sets.count = count;
  sets.members = scratchTake(context, <usize>count * MEMBER_SIZE);
  sets.view = scratchTake(context, PROGRAM_SIZE);
  const checked = enroll(context, sets, address);
  if (checked < 0) return checked;
  const bound = programBind(context, program, batch);
  if (bound < 0) return bound;
  begin(sets);
  const result = pushRows(context, leader, sets, load<u32>(batch, <usize>Batch.ROWS));
  end(sets);
  return result;
}

/** Looks the sets up. 0, or why they cannot be pushed together. */
function enroll(context: usize, sets: Sets, address: usize): i32 {
  let total: u32 = 0;
  for (let index: u32 = 0; index < sets.count; index++) {
    const entry = address + <usize>index * TOGETHER_SET;
    const operator = handleOperator(context, load<u32>(entry));
    if (operator == 0) return Status.BAD_ARGUMENT;
    if (changetype<Operator>(operator).failed) return fail(context, Status.FAILED, Reason.NONE);
    if (changetype<Operator>(operator).kind != <u32>OperatorKind.HASH_AGGREGATE)
      return fail(context, Status.BAD_ARGUMENT, Reason.STATE_KIND);
    const self = aggregationOf(operator);
    if (self.flags & <u32>AggregateFlag.PARTIAL) return fail(context, Status.BAD_ARGUMENT, Reason.STATE_KIND);
    for (let other: u32 = 0; other < index; other++) {
      if (memberAt(sets, other).operator == operator) return fail(context, Status.BAD_ARGUMENT, Reason.BAD_HANDLE);
    }
    const count = programOutputs(self.program);
    total += count;
    const outputs = load<u32>(entry, 4);
    if (total > OUTPUTS_MOST || (outputs & 3) != 0 || !insideMemory(outputs, count << 2))
      return fail(context, Status.BAD_ARGUMENT, Reason.BAD_CONFIG);
    const member = memberAt(sets, index);
    member.operator = operator;
    member.program = self.program;
    member.outputs = scratchTake(context, (<usize>count + 1) << 2);
    member.before = groupsOf(self).count;
    if (!findRegisters(sets, member, outputs, count)) return fail(context, Status.BAD_ARGUMENT, Reason.STATE_CONFIG);
  }
  return 0;
}

/** Registers of the outputs listed at `from`; false when one is not there, or of another type than the set's own. */
function findRegisters(sets: Sets, member: Member, from: usize, count: u32): bool {
  const registers = changetype<Program>(sets.program).outputs;
  for (let output: u32 = 0; output < count; output++) {
    const at = (<usize>output) << 2;
    const shared = load<u32>(from + at);
    if (shared >= programOutputs(sets.program)) return false;
    if (programOutputType(sets.program, shared) != programOutputType(member.program, output)) return false;
    store<u32>(member.outputs + at, load<u32>(registers + ((<usize>shared) << 2)));
  }
  return true;
}

function begin(sets: Sets): void {
  show(sets);
  for (let index: u32 = 0; index < sets.count; index++)
    aggregationOf(memberAt(sets, index).operator).program = sets.view;
}

function end(sets: Sets): void {
  for (let index: u32 = 0; index < sets.count; index++)
    aggregationOf(memberAt(sets, index).operator).program = memberAt(sets, index).program;
}

/** Lets the view follow the shared program: the batch that is bound, the vector at hand. */
// @ts-ignore: decorator
@inline
function show(sets: Sets): void {
  memory.copy(sets.view, sets.program, PROGRAM_SIZE);
}

/** Makes the view's outputs those of one set. */
// @ts-ignore: decorator
@inline
function turnTo(sets: Sets, member: Member): void {
  const view = changetype<Program>(sets.view);
  view.outputs = member.outputs;
  view.outputCount = programOutputs(member.program);
}

function pushRows(context: usize, leader: usize, sets: Sets, rows: u32): i32 {
  const reserved = reserve(context, sets, rows);
  if (reserved < 0) return reserved;
  for (let index: u32 = 0; index < sets.count; index++) {
    const operator = memberAt(sets, index).operator;
    if (aggregationOf(operator).changelog != 0) changelogTouchFirst(operator);
  }
  let applied = false;
  for (let start: u32 = 0; start < rows; start += ROWS) {
    const selected = programRun(context, sets.program, start, min(ROWS, rows - start));
    let status = selected;
    if (selected > 0) {
      show(sets);
      status = prepare(context, sets, <u32>selected, rows - start, rows);
      if (status == 0 && !applied && !hasRoom(leader, sets, rows - start, rows)) status = failMemory(context, 0);
      if (status < 0 && !applied) return status;
      if (status == 0) {
        applied = true;
        status = apply(context, sets, <u32>selected);
      }
    }
    if (status < 0) {
      failAll(leader, sets);
      return status;
    }
  }
  return conclude(sets, rows) ? Status.HAS_MORE : Status.NEED_INPUT;
}

/** Room for the worst case of the batch in every set. 0, or OUT_OF_MEMORY. */
function reserve(context: usize, sets: Sets, rows: u32): i32 {
  let large = false;
  for (let index: u32 = 0; index < sets.count; index++) {
    const member = memberAt(sets, index);
    turnTo(sets, member);
    const status = aggregateReservePush(context, member.operator, rows);
    if (status < 0) return status;
    large = large || aggregateIsLarge(member.operator);
  }
  programAhead(sets.program, large);
  return 0;
}

/** Readies a vector's keys in every set; those that set rows aside need nothing. 0, or OUT_OF_MEMORY. */
function prepare(context: usize, sets: Sets, rows: u32, left: u32, batchRows: u32): i32 {
  for (let index: u32 = 0; index < sets.count; index++) {
    const member = memberAt(sets, index);
    if (backlogIsOpen(member.operator)) continue;
    turnTo(sets, member);
    const status = aggregatePrepareVector(context, member.operator, rows, left, batchRows);
    if (status < 0) return status;
  }
  return 0;
}

/** Whether memory will do for what is left of the batch in all sets together. */
function hasRoom(leader: usize, sets: Sets, left: u32, rows: u32): bool {
  let bytes: u64 = 0;
  for (let index: u32 = 0; index < sets.count; index++) {
    const member = memberAt(sets, index);
    turnTo(sets, member);
    const aside = backlogIsOpen(member.operator);
    bytes += aggregateHeadroom(member.operator, aside ? backlogRows(member.operator) + rows : left);
  }
  return regionHasRoom(leader, bytes);
}

function apply(context: usize, sets: Sets, rows: u32): i32 {
  for (let index: u32 = 0; index < sets.count; index++) {
    const member = memberAt(sets, index);
    turnTo(sets, member);
    const status = aggregateApplyPrepared(context, member.operator, rows);
    if (status < 0) return status;
  }
  return 0;
}

function failAll(leader: usize, sets: Sets): void {
  changetype<Operator>(leader).failed = 1;
  for (let index: u32 = 0; index < sets.count; index++)
    changetype<Operator>(memberAt(sets, index).operator).failed = 1;
}

/** Whether any set has changes to give, once the batch is in. */
function conclude(sets: Sets, rows: u32): bool {
  let changes = false;
  for (let index: u32 = 0; index < sets.count; index++) {
    const member = memberAt(sets, index);
    const head = changetype<Operator>(member.operator);
    const self = aggregationOf(member.operator);
    head.rowsIn += rows;
    head.batchesIn++;
    const alone = !backlogIsOpen(member.operator);
    if (alone && groupsOf(self).tier == <u32>Tier.HASH) {
      turnTo(sets, member);
      backlogConsider(member.operator, rows, member.before);
    }
    if (self.changelog != 0 && changelogOpen(member.operator)) changes = true;
  }
  return changes;
}
