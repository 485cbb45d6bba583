// HASH_AGGREGATE: filter, compute, group, aggregate.
//
// A push binds the program to the batch, makes room for the worst case, and then goes a vector at a time:
// run the program, turn keys into dense group numbers, fold each argument into its accumulator. What can
// be refused for want of memory is refused before any row is applied; whatever fails later marks the
// operator failed. Results come out by group number.
//
// This file creates and feeds; aggregate-output.ts reads, aggregate-changelog.ts emits changes after each
// push, aggregate-snapshot.ts saves and aggregate-merge.ts restores.

import { Abi, Batch, Type } from "../abi/layout";
import {
  AggregateConfig,
  AggregateEntry,
  AggregateEntryFlag,
  AggregateExpected,
  AggregateFlag,
  AggregateFunction,
  KeyConfig,
  OperatorKind,
  Tail,
} from "../abi/operator";
import { Reason, Status } from "../abi/status";
import { ACCUMULATOR_SIZE, Accumulator, Family, isExtreme, isMultiset } from "../aggregate/accumulator";
import { accumulatorInit, accumulatorUpdate } from "../aggregate/accumulators";
import { distinctProbes } from "../aggregate/distinct";
import { extremePairConsider } from "../aggregate/extreme-pair";
import { sumPairConsider, sumPairCount } from "../aggregate/sum-pair";
import { accumulatorRetract } from "../aggregate/retract";
import { MASK_BYTES } from "../aggregate/argument";
import { powerType } from "../aggregate/moments";
import { MOMENT_SLOTS, isMoment, isPairMoment, momentDegree } from "../aggregate/moments-result";
import { Power } from "../aggregate/power";
import { RESULT_SIZE, Result, isArray, resultType } from "../aggregate/results";
import { tailType } from "../aggregate/tail";
import { topNeedsCount } from "../aggregate/top";
import { outputColumn, outputCreate } from "../column/builder";
import { Vector } from "../column/vector";
import { typeIsKnown } from "../column/type";
import {
  programAhead,
  programHides,
  programBind,
  programCreate,
  programOutput,
  programOutputStep,
  programOutputType,
  programOutputs,
  programPoints,
  programRun,
} from "../expression/program";
import {
  groupsAssign,
  groupsDefer,
  groupsExpect,
  groupsFit,
  groupsInit,
  groupsLoad,
  groupsPrepareFitted,
  groupsProbes,
  groupsSlots,
  groupsSpan,
} from "../group/groups";
import { directMost } from "../group/direct";
import { groupsOccupied } from "../group/list";
import { GROUPS_SIZE, MAX_KEYS, NO_GROUP, Tier, groupsIsOccupied, groupsKey } from "../group/state";
import { KEY_COLUMN_SIZE, KeyColumn } from "../group/key-column";
import { hashBytes } from "../hash/hash";
import { clearError, fail, failMemory, refuseConfig, refuseMemory, scratchMark, scratchReset, scratchTake } from "../memory/context";
import { regionBlock, regionClear, regionCut } from "../memory/region";
import { Aggregation, accumulatorAt, aggregationOf, fedAt, groupsOf, resultAt } from "./aggregation";
import {
  changelogCreate,
  changelogOpen,
  changelogPending,
  changelogReserve,
  changelogTouch,
  changelogTouchFirst,
} from "./aggregate-changelog";
import {
  backlogAppend,
  backlogBegins,
  backlogClose,
  backlogConsider,
  backlogIsOpen,
  backlogOpen,
  backlogReserve,
  backlogReserveKeys,
  backlogRows,
  backlogWork,
} from "./aggregate-backlog";
import {
  groupIsThere,
  isRetracting,
  readsAll,
  retractFamily,
  retractFlagsAreSound,
  retractSplit,
  retractTakes,
  takesDistinct,
} from "./aggregate-retract";
import { aggregateDrained } from "./aggregate-drain";
import {
  aggregateHasRoom,
  aggregateHasRoomAside,
  aggregateHeadroom,
  aggregateWaitsUnseen,
} from "./aggregate-headroom";
import { rowsMayLeave } from "./aggregate-leave";
import {
  aggregateNeed,
  aggregateReserveBatch,
  aggregateReserveSpan,
  aggregateReserveTexts,
  aggregateTrack,
} from "./aggregate-reserve";
import {
  PARTIAL,
  isPartial,
  partialConfig,
  partialConfigBytes,
  partialCreate,
  partialPending,
  partialPushed,
  partialRestarted,
} from "./aggregate-partial";
import {
  rangesAppend,
  rangesClose,
  rangesConsider,
  rangesMayBegin,
  rangesReserve,
  rangesYield,
} from "./aggregate-ranges";
import { byteKeysMark, byteKeysNumber } from "./byte-keys";
import { KEYED_SUM_SIZE, keyedSumAdd, keyedSumAddNew, keyedSumFind, keyedSumReadsBytes } from "./keyed-sums";
import { OPERATOR_BODY, Operator } from "./operator";
import {
  mixedSumsAdd,
  mixedSumsAddNew,
  mixedSumsBegin,
  mixedSumsByKey,
  mixedSumsCreate,
  mixedSumsGroups,
} from "./mixed-sums";
import {
  narrowSumsAdd,
  narrowSumsAddBytes,
  narrowSumsBegin,
  narrowSumsByBytes,
  narrowSumsCreate,
  narrowSumsGroups,
  sumsSettle,
  sumsYield,
} from "./narrow-sums";
import { runsAdd } from "./runs";
import { countsLag, countsWait } from "./tracked-counts";

const ROWS: u32 = Abi.VECTOR_ROWS;
/** Three state columns each at most: a state must fit a program (ProgramLimit.MAX_OUTPUTS). */
const MAX_AGGREGATES: u32 = 256;
/** Most values of TOP and BOTTOM: every group has room for them all. */
const MAX_TOP: u32 = 1024;
const MAX_GROUPS: u64 = 0xfffffff0;

// ---- create

/** Reads the configuration at `config`; false with the error recorded when it is refused. */
export function aggregateCreate(context: usize, operator: usize, config: usize, length: u32): bool {
  const self = aggregationOf(operator);
  if (!checkHeader(config, length)) return refuseConfig(context);
  const keys = load<u32>(config, <usize>AggregateConfig.KEYS);
  const results = load<u32>(config, <usize>AggregateConfig.AGGREGATES);
  const program = load<u32>(config, <usize>AggregateConfig.PROGRAM);
  self.flags = load<u32>(config, <usize>AggregateConfig.FLAGS);
  self.fault = load<u32>(config, <usize>AggregateConfig.FAULT);
  self.seed = load<u32>(config, <usize>AggregateConfig.SEED);
  self.program = programCreate(
    context,
    operator,
    config + <usize>program,
    load<u32>(config, <usize>AggregateConfig.PROGRAM_BYTES),
  );
  if (self.program == 0) return false;
  if (!retractFlagsAreSound(self)) return refuseConfig(context);
  if (isRetracting(self)) self.backlogRefused = 1;
  self.configHash = hashConfig(config, keys, results);
  const keysAt = config + <usize>AggregateConfig.SIZE;
  const entries = keysAt + <usize>keys * <usize>KeyConfig.SIZE;
  const made =
    createGroups(context, operator, keysAt, keys) &&
    createResults(context, operator, entries, results) &&
    createAccumulators(context, operator) &&
    createOutput(context, operator) &&
    createFirstGroup(context, operator) &&
    (partialCreate(context, operator, config, length) || refuseMemory(context));
  if (!made) return false;
  const expected = (self.flags & EXPECTED) >> <u32>AggregateExpected.SHIFT;
  // A partial one hands its groups out long before so many rows have come.
  if (expected != 0 && (self.flags & <u32>AggregateFlag.PARTIAL) == 0) groupsExpect(groupsOf(self), <u32>1 << expected);
  backlogOpen(operator);
  return true;
}

/**
 * Makes an aggregation like the one behind `lender`, from the same configuration, in a fresh head's region; false
 * with the error recorded when out of memory.
 */
export function aggregateCreateLike(context: usize, operator: usize, lender: usize, config: usize): bool {
  return aggregateCreatePart(context, operator, lender, config, true, true);
}

/** The same with only the keys, or only the aggregates, of the configuration. */
export function aggregateCreatePart(
  context: usize,
  operator: usize,
  lender: usize,
  config: usize,
  hasKeys: bool,
  hasValues: bool,
): bool {
  const self = aggregationOf(operator);
  const like = aggregationOf(lender);
  self.like = changetype<usize>(like);
  self.flags = like.flags;
  self.fault = like.fault;
  self.seed = like.seed;
  self.program = like.program;
  self.configHash = like.configHash;
  self.output = like.output;
  self.firstColumn = like.firstColumn;
  const keysAt = config + <usize>AggregateConfig.SIZE;
  const keys = load<u32>(config, <usize>AggregateConfig.KEYS);
  const results = load<u32>(config, <usize>AggregateConfig.AGGREGATES);
  const entries = keysAt + <usize>keys * <usize>KeyConfig.SIZE;
  return (
    createGroups(context, operator, keysAt, hasKeys ? keys : 0) &&
    createResults(context, operator, entries, hasValues ? results : 0) &&
    createAccumulators(context, operator) &&
    createFirstGroup(context, operator)
  );
}

/** The group of an ungrouped aggregation can be read before any row has come. */
function createFirstGroup(context: usize, operator: usize): bool {
  return (
    groupsOf(aggregationOf(operator)).keyCount != 0 ||
    aggregateReserveSpan(operator, 1) ||
    refuseMemory(context)
  );
}

/** Starts a partial aggregation, whose state has left, again. NEED_INPUT, or OUT_OF_MEMORY: then once more. */
export function aggregateRestart(context: usize, operator: usize): i32 {
  empty(operator);
  if (aggregateCreate(context, operator, partialConfig(operator), partialConfigBytes(operator))) {
    partialRestarted(operator);
    return Status.NEED_INPUT;
  }
  empty(operator);
  return failMemory(context, 0);
}

/** Frees all that `aggregateCreate` has made. */
function empty(operator: usize): void {
  regionClear(operator);
  memory.fill(operator + OPERATOR_BODY, 0, PARTIAL - OPERATOR_BODY);
}

function checkHeader(config: usize, length: u32): bool {
  if (config == 0 || (config & 7) != 0 || length < <u32>AggregateConfig.SIZE) return false;
  const keys = load<u32>(config, <usize>AggregateConfig.KEYS);
  const results = load<u32>(config, <usize>AggregateConfig.AGGREGATES);
  const program: u64 = load<u32>(config, <usize>AggregateConfig.PROGRAM);
  const bytes: u64 = load<u32>(config, <usize>AggregateConfig.PROGRAM_BYTES);
  if (load<u32>(config, <usize>AggregateConfig.VERSION) != <u32>Abi.VERSION) return false;
  if (keys > MAX_KEYS || results > MAX_AGGREGATES || keys + results == 0) return false;
  const flags = load<u32>(config, <usize>AggregateConfig.FLAGS) & 0xffff & ~EXPECTED;
  const both = <u32>(AggregateFlag.CHANGELOG | AggregateFlag.PARTIAL);
  if ((flags & ~ALL_FLAGS) != 0 || (flags & both) == both) return false;
  const keeps = <u32>(AggregateFlag.KEEP_RESULTS | AggregateFlag.KEEP_CODES);
  if ((flags & keeps) != 0 && (flags & both) != 0) return false;
  const leaves = (flags & <u32>AggregateFlag.LEAVES) != 0;
  const waits = <u32>(AggregateFlag.ASIDE | AggregateFlag.SAVES);
  if ((flags & (leaves ? both | <u32>AggregateFlag.RETRACT : waits)) != 0 || (flags & waits) == waits) return false;
  const others = both | <u32>AggregateFlag.RETRACT | <u32>AggregateFlag.SHARED;
  if ((flags & <u32>AggregateFlag.DRAINS) != 0 && (flags & others) != 0) return false;
  const end: u64 =
    <u64>AggregateConfig.SIZE + <u64>keys * <u64>KeyConfig.SIZE + <u64>results * <u64>AggregateEntry.SIZE;
  return (program & 7) == 0 && program >= end && program + bytes <= <u64>length;
}

const ALL_FLAGS: u32 = 255 | <u32>(AggregateFlag.KEEP_CODES | AggregateFlag.SAVES);
const EXPECTED: u32 = <u32>AggregateExpected.MOST << <u32>AggregateExpected.SHIFT;
/** Flags that say nothing about the state. */
const IRRELEVANT: u32 = (ALL_FLAGS & ~(<u32>AggregateFlag.RETRACT)) | EXPECTED;

/** What decides whether a state fits: keys, aggregates, program, and whether rows are taken back; not the rest. */
function hashConfig(config: usize, keys: u32, results: u32): u64 {
  const entries = keys * <u32>KeyConfig.SIZE + results * <u32>AggregateEntry.SIZE;
  const program = config + <usize>load<u32>(config, <usize>AggregateConfig.PROGRAM);
  const first = hashBytes(config + <usize>AggregateConfig.SIZE, entries);
  const second = hashBytes(program, load<u32>(config, <usize>AggregateConfig.PROGRAM_BYTES));
  const kind = load<u32>(config, <usize>AggregateConfig.FLAGS) & ~IRRELEVANT;
  return ((first * 31 + second) ^ (((<u64>keys) << 32) | <u64>results)) + <u64>kind * 0x9e3779b97f4a7c15;
}

function createGroups(context: usize, operator: usize, config: usize, count: u32): bool {
  const self = aggregationOf(operator);
  self.groups = regionCut(operator, GROUPS_SIZE);
  const keys = regionCut(operator, max<usize>(1, <usize>count) * KEY_COLUMN_SIZE);
  if (self.groups == 0 || keys == 0) return refuseMemory(context);
  // A key of its own, after those of the lender, makes rows wider than the lender's buffers.
  const last = config + <usize>(count - 1) * <usize>KeyConfig.SIZE;
  const own = self.like != 0 && count != 0 && load<u32>(last, <usize>KeyConfig.OUTPUT) == NO_GROUP;
  if (self.like != 0 && !own) {
    groupsOf(self).like = changetype<Aggregation>(self.like).groups;
    groupsOf(self).small = 1;
  }
  const outputs = programOutputs(self.program);
  const isAlone = changetype<Operator>(operator).kind == <u32>OperatorKind.HASH_AGGREGATE;
  for (let index: u32 = 0; index < count; index++) {
    const key = changetype<KeyColumn>(keys + <usize>index * KEY_COLUMN_SIZE);
    const from = config + <usize>index * <usize>KeyConfig.SIZE;
    key.output = load<u32>(from, <usize>KeyConfig.OUTPUT);
    key.type = load<u32>(from, <usize>KeyConfig.TYPE);
    if (own && index == count - 1) continue;
    if (
      key.output >= outputs ||
      !isValueType(key.type) ||
      programOutputType(self.program, key.output) != key.type
    ) {
      return refuseConfig(context, index);
    }
    if (isAlone) key.step = programOutputStep(self.program, key.output);
  }
  groupsOf(self).looksUp = isRetracting(self) ? 1 : 0;
  if (!groupsInit(groupsOf(self), operator, keys, count, self.fault, self.seed)) return refuseMemory(context);
  if (isAlone) groupsDefer(groupsOf(self));
  return true;
}

function isValueType(type: u32): bool {
  return typeIsKnown(type) && type != <u32>Type.LARGE_BYTES;
}

function createResults(context: usize, operator: usize, config: usize, count: u32): bool {
  const self = aggregationOf(operator);
  self.results = regionCut(operator, max<usize>(1, <usize>count) * RESULT_SIZE);
  // Each result reads at most two accumulators, a moment some more; one more counts rows.
  let accumulators: usize = 1;
  for (let index: u32 = 0; index < count; index++) {
    const entry = config + <usize>index * <usize>AggregateEntry.SIZE;
    accumulators += isMoment(load<u32>(entry, <usize>AggregateEntry.FUNCTION)) ? <usize>MOMENT_SLOTS + 1 : 2;
  }
  self.accumulators = regionCut(operator, accumulators * ACCUMULATOR_SIZE);
  self.fed = regionCut(operator, accumulators * ACCUMULATOR_SIZE);
  if (self.results == 0 || self.accumulators == 0 || self.fed == 0) return refuseMemory(context);
  self.resultCount = count;
  const keys = groupsOf(self.like != 0 ? changetype<Aggregation>(self.like) : self).keyCount;
  for (let index: u32 = 0; index < count; index++) {
    const entry = config + <usize>index * <usize>AggregateEntry.SIZE;
    if (isMoment(load<u32>(entry, <usize>AggregateEntry.FUNCTION)) && !readsLog(self, config, count, entry)) {
      const moments = regionCut(operator, (<usize>MOMENT_SLOTS) << 2);
      if (moments == 0) return refuseMemory(context);
      resultAt(self, index).moments = moments;
    }
    if (!createResult(self, index, entry)) return refuseConfig(context, keys + index);
    resultAt(self, index).column = self.firstColumn + keys + index;
  }
  return true;
}

/**
 * Whether a variance or deviation of floats is computed from values that another result keeps. What it is computed from
 * must not depend on anything but the configuration's hash, as its state does.
 */
function readsLog(self: Aggregation, config: usize, count: u32, entry: usize): bool {
  const fn = load<u32>(entry, <usize>AggregateEntry.FUNCTION);
  const type = load<u32>(entry, <usize>AggregateEntry.TYPE);
  const flags = load<u32>(entry, <usize>AggregateEntry.FLAGS);
  if (isPairMoment(fn) || momentDegree(fn) != 2 || !isFloat(type) || flags != 0 || isRetracting(self)) return false;
  for (let index: u32 = 0; index < count; index++) {
    const other = config + <usize>index * <usize>AggregateEntry.SIZE;
    const keeps = valuesFamily(load<u32>(other, <usize>AggregateEntry.FUNCTION), type, flags) == <u32>Family.LOG;
    if (
      keeps &&
      load<u32>(other, <usize>AggregateEntry.FLAGS) == 0 &&
      load<i32>(other, <usize>AggregateEntry.ARGUMENT) == load<i32>(entry, <usize>AggregateEntry.ARGUMENT) &&
      load<i32>(other, <usize>AggregateEntry.FILTER) == load<i32>(entry, <usize>AggregateEntry.FILTER)
    )
      return true;
  }
  return false;
}

function createResult(self: Aggregation, index: u32, entry: usize): bool {
  const result = resultAt(self, index);
  const fn = load<u32>(entry, <usize>AggregateEntry.FUNCTION);
  const argument = load<i32>(entry, <usize>AggregateEntry.ARGUMENT);
  const filter = load<i32>(entry, <usize>AggregateEntry.FILTER);
  const flags = load<u32>(entry, <usize>AggregateEntry.FLAGS);
  const outputs = <i32>programOutputs(self.program);
  if (filter < -1 || filter >= outputs || argument < -1 || argument >= outputs) return false;
  if (filter >= 0 && programOutputType(self.program, <u32>filter) != <u32>Type.BOOL) return false;
  if (argument < 0 != (fn == <u32>AggregateFunction.COUNT_ROWS)) return false;
  const type: u32 = argument < 0 ? Type.NONE : load<u32>(entry, <usize>AggregateEntry.TYPE);
  if (argument >= 0 && (!isValueType(type) || programOutputType(self.program, <u32>argument) != type))
    return false;
  const distinct = (flags & <u32>AggregateEntryFlag.DISTINCT) != 0;
  if (flags > <u32>AggregateEntryFlag.DISTINCT || (distinct && !takesDistinct(fn))) return false;
  const isQuantile =
    fn == <u32>AggregateFunction.QUANTILE ||
    fn == <u32>AggregateFunction.QUANTILE_DISC ||
    fn == <u32>AggregateFunction.APPROX_QUANTILE;
  result.parameter = load<f64>(entry, <usize>AggregateEntry.PARAMETER);
  const hasParameter = isQuantile || isArray(fn);
  if (!(result.parameter >= 0 && result.parameter <= (hasParameter ? 1.0 : 0.0))) return false;
  const isTop = fn == <u32>AggregateFunction.TOP || fn == <u32>AggregateFunction.BOTTOM;
  const hasSecond = isTop && load<i32>(entry, <usize>AggregateEntry.SECOND) >= 0;
  if (distinct && hasSecond) return false;
  if (isRetracting(self) && !retractTakes(fn, flags, hasSecond)) return false;
  if (fn >= <u32>AggregateFunction.QUANTILE && (flags & <u32>AggregateEntryFlag.FAST) != 0) return false;
  result.fn = fn;
  result.argumentType = type;
  result.type = resultType(fn, type, flags);
  result.scale = load<u32>(entry, <usize>AggregateEntry.SCALE);
  if (!readTail(result, entry, type)) return false;
  if (result.type == <u32>Type.NONE || result.scale > 38) return false;
  if (distinct) self.set = accumulatorFor(self, Family.DISTINCT, argument, filter, type);
  else if (isRetracting(self) && readsAll(fn)) self.set = accumulatorFor(self, Family.MULTISET_ALL, argument, filter, type);
  const created = createValues(self, result, entry, argument, filter, type, flags);
  self.set = 0;
  return created;
}

/** Reads what stands behind the argument's order key, if anything; false when that is malformed. */
function readTail(result: Result, entry: usize, type: u32): bool {
  const fn = result.fn;
  const extreme = fn == <u32>AggregateFunction.MIN || fn == <u32>AggregateFunction.MAX;
  if (!extreme && !isArray(fn)) return true;
  const tail = load<u32>(entry, <usize>AggregateEntry.SECOND_SCALE);
  if (tail == 0) return true;
  const order = (tail >> <u32>Tail.ORDER_SHIFT) & 0xff;
  const flags = tail >> <u32>Tail.FLAGS_SHIFT;
  if (type != <u32>Type.BYTES || !isValueType(tailType(tail)) || !isValueType(order) || flags > 7) return false;
  if (fn == <u32>AggregateFunction.STRING && tailType(tail) != <u32>Type.BYTES) return false;
  result.tail = tail;
  if (extreme) result.type = tailType(tail);
  if (fn != <u32>AggregateFunction.ARRAY) return true;
  result.limit = result.scale;
  result.scale = 0;
  return result.limit <= MAX_TOP;
}

/** Makes what a result reads, of rows or, where there is one, of the set. */
function createValues(
  self: Aggregation,
  result: Result,
  entry: usize,
  argument: i32,
  filter: i32,
  type: u32,
  flags: u32,
): bool {
  const fn = result.fn;
  if (isMoment(fn)) return createMoment(self, result, entry, argument, filter, type, flags);
  if (fn == <u32>AggregateFunction.ARG_MIN || fn == <u32>AggregateFunction.ARG_MAX)
    return createArg(self, result, load<i32>(entry, <usize>AggregateEntry.SECOND), argument, filter, type);
  if (fn == <u32>AggregateFunction.TOP || fn == <u32>AggregateFunction.BOTTOM) {
    const limit = load<u32>(entry, <usize>AggregateEntry.SECOND_SCALE);
    if (limit == 0 || limit > MAX_TOP) return false;
    result.scale = 0;
    const by = load<i32>(entry, <usize>AggregateEntry.SECOND);
    if (by < -1 || by >= <i32>programOutputs(self.program)) return false;
    if (by >= 0 && !isByType(programOutputType(self.program, <u32>by))) return false;
    result.values = topAccumulatorFor(self, topFamily(fn, type, by), argument, by, filter, type, limit);
    if (by >= 0) changetype<Accumulator>(result.values).secondType = programOutputType(self.program, <u32>by);
    else if (topNeedsCount(type)) result.counts = accumulatorFor(self, Family.COUNT, argument, filter, type);
    return true;
  }
  if (fn == <u32>AggregateFunction.STRING && !readSeparator(self, result, entry)) return false;
  result.values = accumulatorFor(self, valuesFamily(fn, type, flags), argument, filter, type);
  if (fn == <u32>AggregateFunction.AVG)
    result.counts = accumulatorFor(self, Family.COUNT, argument, filter, type);
  else if (
    fn == <u32>AggregateFunction.SUM ||
    (fn >= <u32>AggregateFunction.BIT_AND && fn <= <u32>AggregateFunction.BIT_XOR) ||
    ((fn == <u32>AggregateFunction.MIN || fn == <u32>AggregateFunction.MAX) && type != <u32>Type.BYTES)
  ) {
    result.counts = accumulatorFor(self, Family.SEEN, argument, filter, type);
  }
  const scaled = fn == <u32>AggregateFunction.AVG || fn == <u32>AggregateFunction.QUANTILE;
  if (!scaled || type != <u32>Type.I128) result.scale = 0;
  return true;
}

/** ARG_MIN, ARG_MAX: a value and what rows are ordered by. */
function createArg(
  self: Aggregation,
  result: Result,
  second: i32,
  argument: i32,
  filter: i32,
  type: u32,
): bool {
  if (second < 0 || second >= <i32>programOutputs(self.program)) return false;
  const secondType = programOutputType(self.program, <u32>second);
  const family: u32 = result.fn == <u32>AggregateFunction.ARG_MIN ? Family.ARG_MIN : Family.ARG_MAX;
  result.values = pairAccumulatorFor(self, family, argument, second, filter, Power.PLAIN, type);
  changetype<Accumulator>(result.values).secondType = secondType;
  result.scale = 0;
  return true;
}

function isFloat(type: u32): bool {
  return type == <u32>Type.F32 || type == <u32>Type.F64;
}

/** A moment reads a count and the sums of its powers, or (fast) one accumulator of moments, or values that are kept. */
function createMoment(
  self: Aggregation,
  result: Result,
  entry: usize,
  argument: i32,
  filter: i32,
  type: u32,
  flags: u32,
): bool {
  const fn = result.fn;
  const pair = isPairMoment(fn);
  let second: i32 = -1;
  let other: u32 = type;
  if (pair) {
    second = load<i32>(entry, <usize>AggregateEntry.SECOND);
    if (second < 0 || second >= <i32>programOutputs(self.program)) return false;
    other = programOutputType(self.program, <u32>second);
    // Both floats, both decimals, or both integers.
    if (resultType(fn, other, flags) == <u32>Type.NONE) return false;
    if (isFloat(other) != isFloat(type) || (other == <u32>Type.I128) != (type == <u32>Type.I128)) return false;
  }
  const secondScale = pair ? load<u32>(entry, <usize>AggregateEntry.SECOND_SCALE) : result.scale;
  if (secondScale > 38) return false;
  result.scale = type == <u32>Type.I128 ? result.scale + secondScale : 0;
  if (result.moments == 0) {
    result.values = accumulatorFor(self, Family.LOG, argument, filter, type);
    return true;
  }
  result.counts = momentPart(self, Family.COUNT, argument, second, filter, Power.PLAIN, type, other);
  if ((flags & <u32>AggregateEntryFlag.FAST) != 0) {
    result.moments = 0;
    const power: u32 = pair ? Power.PRODUCT : momentDegree(fn);
    result.values = momentPart(self, Family.MOMENTS_FAST, argument, second, filter, power, type, other);
    return true;
  }
  const parts = result.moments;
  result.values = momentSum(self, argument, second, filter, Power.PLAIN, type, other);
  store<u32>(parts, <u32>result.values);
  if (!pair) {
    const degree = momentDegree(fn);
    for (let power: u32 = Power.SQUARE; power <= degree; power++)
      store<u32>(
        parts + ((<usize>(power - 1)) << 2),
        <u32>momentSum(self, argument, second, filter, power, type, other),
      );
    return true;
  }
  store<u32>(parts, <u32>momentSum(self, second, argument, filter, Power.PLAIN, other, type), 4);
  store<u32>(parts, <u32>momentSum(self, argument, second, filter, Power.PRODUCT, type, other), 8);
  if (fn != <u32>AggregateFunction.CORR) return true;
  store<u32>(parts, <u32>momentSum(self, argument, second, filter, Power.SQUARE, type, other), 12);
  store<u32>(parts, <u32>momentSum(self, second, argument, filter, Power.SQUARE, other, type), 16);
  return true;
}

/** The sum of a power of an argument, or of the arguments' products. */
function momentSum(
  self: Aggregation,
  argument: i32,
  second: i32,
  filter: i32,
  power: u32,
  type: u32,
  secondType: u32,
): usize {
  if (isFloat(type)) return momentPart(self, Family.SUM_EXACT, argument, second, filter, power, type, secondType);
  const wide = power != <u32>Power.PLAIN && powerType(power, type, secondType) == <u32>Type.NONE;
  const family: u32 = wide ? Family.SUM_EXACT : Family.SUM_INTEGER;
  return momentPart(self, family, argument, second, filter, power, type, secondType);
}

function momentPart(
  self: Aggregation,
  family: u32,
  argument: i32,
  second: i32,
  filter: i32,
  power: u32,
  type: u32,
  secondType: u32,
): usize {
  let summed = type;
  if (power != <u32>Power.PLAIN && family != <u32>Family.MOMENTS_FAST) {
    if (isFloat(type)) summed = Type.F64;
    // Digits of integers too wide for 128 bits are marked by I128 under SUM_EXACT.
    else summed = family == <u32>Family.SUM_EXACT ? Type.I128 : powerType(power, type, secondType);
  }
  const part = changetype<Accumulator>(pairAccumulatorFor(self, family, argument, second, filter, power, summed));
  part.sourceType = type;
  part.secondType = secondType;
  return changetype<usize>(part);
}

function valuesFamily(fn: u32, type: u32, flags: u32): u32 {
  const text = type == <u32>Type.BYTES;
  switch (fn) {
    case AggregateFunction.COUNT_ROWS:
    case AggregateFunction.COUNT:
      return Family.COUNT;
    case AggregateFunction.COUNT_DISTINCT:
      return Family.DISTINCT;
    case AggregateFunction.MIN:
      return text ? Family.MIN_TEXT : Family.MIN;
    case AggregateFunction.MAX:
      return text ? Family.MAX_TEXT : Family.MAX;
    case AggregateFunction.QUANTILE:
      return Family.LOG;
    case AggregateFunction.QUANTILE_DISC:
    case AggregateFunction.MODE:
    case AggregateFunction.ARRAY:
    case AggregateFunction.STRING:
      return text ? Family.LOG_TEXT : Family.LOG;
    case AggregateFunction.BIT_AND:
      return Family.BIT_AND;
    case AggregateFunction.BIT_OR:
      return Family.BIT_OR;
    case AggregateFunction.BIT_XOR:
      return Family.BIT_XOR;
    case AggregateFunction.APPROX_COUNT_DISTINCT:
      return Family.CARDINALITY;
    case AggregateFunction.APPROX_QUANTILE:
      return Family.SKETCH;
    default:
      if (type != <u32>Type.F32 && type != <u32>Type.F64) return Family.SUM_INTEGER;
      return flags & <u32>AggregateEntryFlag.FAST ? Family.SUM_FAST : Family.SUM_EXACT;
  }
}

/** The accumulator of that description, which is added when new; there is room for every one. */
function accumulatorFor(self: Aggregation, family: u32, argument: i32, filter: i32, type: u32): usize {
  return pairAccumulatorFor(self, family, argument, -1, filter, Power.PLAIN, type);
}

/** The separator is a literal of the program, which is there before any batch. */
function readSeparator(self: Aggregation, result: Result, entry: usize): bool {
  const output = load<i32>(entry, <usize>AggregateEntry.SECOND);
  if (output < 0 || output >= <i32>programOutputs(self.program)) return false;
  const literal = changetype<Vector>(programOutput(self.program, <u32>output));
  if (literal.type != <u32>Type.BYTES || literal.constant == 0 || literal.validity != 0) return false;
  result.separator = load<u32>(literal.values);
  result.separatorLength = load<u32>(literal.values, 4);
  return true;
}

// Accumulators come to be in two lists: those that rows reach, and those that the set at hand feeds.

function createdCount(self: Aggregation): u32 {
  return self.set == 0 ? self.accumulatorCount : self.fedCount;
}

function createdAt(self: Aggregation, index: u32): Accumulator {
  return self.set == 0 ? accumulatorAt(self, index) : fedAt(self, index);
}

function createNext(self: Aggregation): Accumulator {
  const fresh = createdAt(self, createdCount(self));
  if (self.set == 0) self.accumulatorCount++;
  else self.fedCount++;
  fresh.set = self.set;
  return fresh;
}

function topFamily(fn: u32, type: u32, by: i32): u32 {
  const top = fn == <u32>AggregateFunction.TOP;
  if (by >= 0) return top ? Family.TOP_BY : Family.BOTTOM_BY;
  if (type == <u32>Type.BYTES) return top ? Family.TOP_TEXT : Family.BOTTOM_TEXT;
  return top ? Family.TOP : Family.BOTTOM;
}

/** What TOP and BOTTOM can go by. */
function isByType(type: u32): bool {
  return isValueType(type) && type != <u32>Type.BYTES;
}

/** The same for the `limit` greatest or least. */
function topAccumulatorFor(
  self: Aggregation,
  family: u32,
  argument: i32,
  by: i32,
  filter: i32,
  type: u32,
  limit: u32,
): usize {
  for (let index: u32 = 0; index < createdCount(self); index++) {
    const known = createdAt(self, index);
    if (
      known.family == family &&
      known.argument == argument &&
      known.second == by &&
      known.filter == filter &&
      known.set == self.set &&
      known.limit == limit
    )
      return changetype<usize>(known);
  }
  const fresh = createNext(self);
  fresh.family = family;
  fresh.argument = argument;
  fresh.second = by;
  fresh.filter = filter;
  fresh.type = type;
  fresh.limit = limit;
  return changetype<usize>(fresh);
}

/** The same with a second argument and a power of the first. */
function pairAccumulatorFor(
  self: Aggregation,
  family: u32,
  argument: i32,
  second: i32,
  filter: i32,
  power: u32,
  type: u32,
): usize {
  // Sets say how many there are by counting.
  if (self.set != 0) family = family == <u32>Family.SEEN ? Family.COUNT : family;
  else if (isRetracting(self)) family = retractFamily(family);
  for (let index: u32 = 0; index < createdCount(self); index++) {
    const known = createdAt(self, index);
    if (
      known.family == family &&
      known.argument == argument &&
      known.second == second &&
      known.filter == filter &&
      known.set == self.set &&
      known.power == power
    )
      return changetype<usize>(known);
  }
  const fresh = createNext(self);
  fresh.family = family;
  fresh.argument = argument;
  fresh.second = second;
  fresh.filter = filter;
  fresh.power = power;
  fresh.type = type;
  return changetype<usize>(fresh);
}

/**
 * Counts that exist anyway replace "seen", a count of rows is added where the count of an argument relies
 * on it, and each accumulator gets its memory.
 */
function createAccumulators(context: usize, operator: usize): bool {
  const self = aggregationOf(operator);
  for (let index: u32 = 0; index < self.resultCount; index++) replaceSeen(self, index);
  removeUnused(self);
  for (let index: u32 = 0; index < self.resultCount; index++) {
    changetype<Accumulator>(resultAt(self, index).values).presence = resultAt(self, index).counts;
  }
  if (isRetracting(self)) self.rowsCounter = accumulatorFor(self, Family.COUNT, -1, -1, Type.NONE);
  for (let index: u32 = 0; index < self.accumulatorCount && self.rowsCounter == 0; index++) {
    const accumulator = accumulatorAt(self, index);
    if (accumulator.family == <u32>Family.COUNT && accumulator.filter < 0) {
      self.rowsCounter = accumulatorFor(self, Family.COUNT, -1, -1, Type.NONE);
      break;
    }
  }
  let waiting: usize = 0;
  let extreme: usize = 0;
  for (let index: u32 = 0; index < self.accumulatorCount; index++) {
    const accumulator = accumulatorAt(self, index);
    accumulator.retracts = isRetracting(self) ? 1 : 0;
    if (self.like != 0) accumulator.like = changetype<usize>(accumulatorAt(changetype<Aggregation>(self.like), index));
    if (!readyAccumulator(operator, accumulator)) return refuseMemory(context);
    waiting = sumPairConsider(waiting, accumulator);
    extreme = extremePairConsider(extreme, accumulator);
  }
  if (self.rowsCounter != 0) sumPairCount(waiting, changetype<Accumulator>(self.rowsCounter));
  for (let index: u32 = 0; index < self.fedCount; index++) {
    const accumulator = fedAt(self, index);
    if (self.like != 0) accumulator.like = changetype<usize>(fedAt(changetype<Aggregation>(self.like), index));
    if (!readyAccumulator(operator, accumulator)) return refuseMemory(context);
    accumulator.tracking = 1;
  }
  self.keyedSum = regionCut(operator, KEYED_SUM_SIZE);
  if (self.like == 0) markHidden(self);
  if (self.keyedSum == 0 || !mixedSumsCreate(operator) || !narrowSumsCreate(operator)) return refuseMemory(context);
  self.numbers =
    self.like != 0 ? changetype<Aggregation>(self.like).numbers : regionBlock(operator, (<usize>ROWS) << 2);
  return self.numbers != 0 || refuseMemory(context);
}

/**
 * Tells the program which columns go to work that hides the waiting for memory, and nowhere else: exact sums and pairs of
 * extremes. By 100,000 groups three sums take 0.9 of the time, the range of two columns 0.93.
 */
function markHidden(self: Aggregation): void {
  for (let index: u32 = 0; index < self.accumulatorCount; index++) {
    const accumulator = accumulatorAt(self, index);
    if (hides(accumulator)) programHides(self.program, <u32>accumulator.argument, true);
  }
  for (let index: u32 = 0; index < self.accumulatorCount; index++) {
    const accumulator = accumulatorAt(self, index);
    const reads = accumulator.family != <u32>Family.COUNT && accumulator.family != <u32>Family.SEEN && !hides(accumulator);
    if (!reads) continue;
    if (accumulator.argument >= 0) programHides(self.program, <u32>accumulator.argument, false);
    if (accumulator.second >= 0) programHides(self.program, <u32>accumulator.second, false);
  }
  const groups = groupsOf(self);
  for (let index: u32 = 0; index < groups.keyCount; index++) programHides(self.program, groupsKey(groups, index).output, false);
}

function hides(self: Accumulator): bool {
  return self.family == <u32>Family.SUM_EXACT || (isExtreme(self) && self.pair != 0);
}

function readyAccumulator(operator: usize, accumulator: Accumulator): bool {
  const self = aggregationOf(operator);
  accumulator.region = operator;
  accumulator.fault = self.fault;
  accumulator.seed = self.seed;
  return accumulatorInit(accumulator);
}

function replaceSeen(self: Aggregation, index: u32): void {
  const result = resultAt(self, index);
  if (result.counts == 0) return;
  const seen = changetype<Accumulator>(result.counts);
  if (seen.family != <u32>Family.SEEN) return;
  for (let other: u32 = 0; other < self.accumulatorCount; other++) {
    const count = accumulatorAt(self, other);
    if (
      count.family != <u32>Family.COUNT ||
      count.argument != seen.argument ||
      count.second != seen.second ||
      count.filter != seen.filter
    )
      continue;
    result.counts = changetype<usize>(count);
  }
}

/** Whether a moment reads the accumulator at `from`, which is about to be at `to`. */
function movePart(parts: usize, from: usize, to: usize): bool {
  if (parts == 0) return false;
  let found = false;
  for (let slot: usize = 0; slot < (<usize>MOMENT_SLOTS) << 2; slot += 4) {
    if (load<u32>(parts + slot) != <u32>from) continue;
    store<u32>(parts + slot, <u32>to);
    found = true;
  }
  return found;
}

/** Drops accumulators that no result reads; those behind them move up, and results follow. */
function removeUnused(self: Aggregation): void {
  let kept: u32 = 0;
  for (let index: u32 = 0; index < self.accumulatorCount; index++) {
    const from = changetype<usize>(accumulatorAt(self, index));
    const to = changetype<usize>(accumulatorAt(self, kept));
    let used = false;
    for (let other: u32 = 0; other < self.resultCount; other++) {
      const result = resultAt(self, other);
      used = movePart(result.moments, from, to) || used || result.values == from || result.counts == from;
      if (result.values == from) result.values = to;
      if (result.counts == from) result.counts = to;
    }
    for (let other: u32 = 0; other < self.fedCount; other++) {
      const fed = fedAt(self, other);
      if (fed.set != from) continue;
      used = true;
      fed.set = to;
    }
    if (!used) continue;
    if (from != to) memory.copy(to, from, ACCUMULATOR_SIZE);
    kept++;
  }
  memory.fill(
    changetype<usize>(accumulatorAt(self, kept)),
    0,
    <usize>(self.accumulatorCount - kept) * ACCUMULATOR_SIZE,
  );
  self.accumulatorCount = kept;
}

function createOutput(context: usize, operator: usize): bool {
  const self = aggregationOf(operator);
  const keys = groupsOf(self).keyCount;
  const changelog = (self.flags & <u32>AggregateFlag.CHANGELOG) != 0;
  const first = self.firstColumn;
  self.output = outputCreate(operator, first + keys + self.resultCount + (changelog ? 1 : 0));
  if (self.output == 0) return refuseMemory(context);
  for (let index: u32 = 0; index < keys; index++)
    outputColumn(self.output, first + index).type = groupsKey(groupsOf(self), index).type;
  for (let index: u32 = 0; index < self.resultCount; index++) {
    outputColumn(self.output, first + keys + index).type = resultAt(self, index).type;
  }
  if (!changelog) return true;
  outputColumn(self.output, first + keys + self.resultCount).type = Type.I8;
  return changelogCreate(operator) || refuseMemory(context);
}

// ---- push

/** Groups more than these miss the cache so often that nothing hides how long a batch's own rows take. */
const CACHED_GROUPS: u32 = 1 << 14;
/** ... where one sum goes by its keys, these: below, bringing rows ahead takes what it saves. */
const KEYED_GROUPS: u32 = 1 << 17;
/** Rows that are added at once where all that is read lies as it is needed: what is done for each vector is a tenth of that. */
const STRETCH: u32 = ROWS << 3;

/** Applies a batch: all of its rows, or none of them and OUT_OF_MEMORY, or the operator fails. */
export function aggregatePush(context: usize, operator: usize, batch: usize): i32 {
  const self = aggregationOf(operator);
  const rows = load<u32>(batch, <usize>Batch.ROWS);
  const bound = programBind(context, self.program, batch);
  if (bound < 0) return bound;
  programAhead(self.program, aggregateIsLarge(operator));
  const before = groupsOf(self).count;
  mixedSumsBegin(operator, rows);
  narrowSumsBegin(operator, rows);
  if (countsWait(operator, rows)) {
    sumsSettle(operator);
    countsLag(operator);
  }
  let reserved = aggregateReservePush(context, operator, rows);
  while (reserved == <i32>Status.OUT_OF_MEMORY && (sumsYield(operator) || rangesYield(context, operator))) {
    clearError(context);
    reserved = aggregateReservePush(context, operator, rows);
  }
  if (reserved < 0) return reserved;
  if (backlogIsOpen(operator)) return setAside(context, operator, rows);
  const aside = rangesReserve(context, operator, rows);
  if (aside < 0) return aside;
  // Whether rows are to be set aside from now on is seen by their groups' numbers.
  const numbered = aside != 0 || rangesMayBegin(operator);
  let last: u32 = 0;
  if (self.changelog != 0) changelogTouchFirst(operator);
  let way = numbered ? Way.NUMBERS : wayOf(self);
  if ((way == Way.KEYED && before <= KEYED_GROUPS) || way == Way.BYTES) programAhead(self.program, false);
  const added = way != Way.NUMBERS && hasRoom(operator, rows) ? addStretches(context, operator, rows, way) : 0;
  changetype<Operator>(operator).rowsSelected += added;
  let applied = added != 0;
  for (let start = added; start < rows; start += ROWS) {
    const selected = programRun(context, self.program, start, min(ROWS, rows - start));
    let status = selected;
    const isByKey = selected > 0 && way != Way.NUMBERS && (applied || hasRoom(operator, rows - start));
    if (isByKey && addByKey(context, operator, <u32>selected, way)) {
      applied = true;
    } else if (selected > 0) {
      const numbered = way == Way.NUMBERS && numberByBytes(self, <u32>selected);
      status = numbered
        ? aggregateTrack(context, operator)
        : aggregatePrepareVector(context, operator, <u32>selected, rows - start, rows);
      if (status == 0 && !applied && !hasRoom(operator, rows - start)) status = failMemory(context, 0);
      if (status < 0 && !applied) return status;
      if (status == 0) {
        applied = true;
        last = selected;
        status = applyVector(context, operator, <u32>selected, way == Way.KEYED, aside != 0, numbered);
        // A key that is new may not have its place, or its mark, yet.
        if (way != Way.NUMBERS && way != wayOf(self)) way = Way.NUMBERS;
      }
    }
    if (status < 0) {
      changetype<Operator>(operator).failed = 1;
      return status;
    }
    changetype<Operator>(operator).rowsSelected += selected;
  }
  if (isPartial(operator)) return partialPushed(operator);
  if (groupsOf(self).tier == <u32>Tier.HASH) backlogConsider(operator, rows, before);
  else rangesConsider(context, operator, numbered ? last : 0);
  return self.changelog != 0 && changelogOpen(operator) ? Status.HAS_MORE : Status.NEED_INPUT;
}

/** How rows of a push come to what is added up. */
const enum Way {
  /** By numbers of their groups. */
  NUMBERS = 0,
  /** By their keys alone: to one sum (keyed-sums.ts), */
  KEYED = 1,
  /** to sums of different kinds (mixed-sums.ts), */
  MIXED = 2,
  /** or to sums of small integers, all of which lie in bytes (narrow-sums.ts). */
  BYTES = 3,
}

function wayOf(self: Aggregation): Way {
  if (keyedSumFind(self)) return Way.KEYED;
  if (mixedSumsByKey(self)) return Way.MIXED;
  return narrowSumsByBytes(self) ? Way.BYTES : Way.NUMBERS;
}

/** Adds a batch's rows by their keys, from the first on, as long as nobody has to look at them; how many: whole vectors, or all. */
function addStretches(context: usize, operator: usize, rows: u32, way: Way): u32 {
  const self = aggregationOf(operator);
  const program = self.program;
  if (!programPoints(program)) return 0;
  const most = way == Way.KEYED && keyedSumReadsBytes(self) ? rows : STRETCH;
  let start: u32 = 0;
  while (start < rows) {
    const some = min(most, rows - start);
    programRun(context, program, start, some);
    if (!addByKey(context, operator, some, way)) break;
    start += some;
  }
  return start;
}

/** Adds rows by their keys, which nobody has looked at. False where they go by numbers of groups. */
function addByKey(context: usize, operator: usize, rows: u32, way: Way): bool {
  if (!ASC_FEATURE_SIMD) return false;
  if (way == Way.KEYED) return keyedSumAddNew(context, aggregationOf(operator), rows);
  return way == Way.MIXED ? mixedSumsAddNew(context, operator, rows) : narrowSumsAddBytes(context, operator, rows);
}

/** Numbers the rows' groups by bytes (byte-keys.ts); false where keys have to be readied instead. */
function numberByBytes(self: Aggregation, rows: u32): bool {
  if (!ASC_FEATURE_SIMD) return false;
  return byteKeysNumber(self, rows);
}

/** Whether there is room for what `rows` rows may need, where need be without sums side by side. */
function hasRoom(operator: usize, rows: u32): bool {
  return aggregateHasRoom(operator, rows) || (sumsYield(operator) && aggregateHasRoom(operator, rows));
}

/** Whether a batch's rows meet groups that are not in the cache as they come. */
export function aggregateIsLarge(operator: usize): bool {
  return !backlogIsOpen(operator) && groupsOf(aggregationOf(operator)).count > CACHED_GROUPS;
}

/** Room for the worst case of the bound batch's `rows` rows. 0, or OUT_OF_MEMORY with nothing lost. */
export function aggregateReservePush(context: usize, operator: usize, rows: u32): i32 {
  const self = aggregationOf(operator);
  const groups = groupsOf(self);
  if (groups.expected != 0 && groups.tier == <u32>Tier.UNDECIDED)
    groups.bytes = <u32>(aggregateHeadroom(operator, rows) / directMost(groups, rows)) + 1;
  if (<u64>groups.count + <u64>backlogRows(operator) + <u64>rows + 1 > MAX_GROUPS)
    // unreached: four thousand million groups
    return fail(context, Status.OUT_OF_MEMORY, Reason.TOO_MANY_GROUPS);
  // No room to set any aside from the first row on: they are looked up as they come.
  if ((self.flags & <u32>AggregateFlag.ASIDE) != 0 && backlogIsOpen(operator) && !backlogBegins(operator, rows))
    backlogClose(operator);
  const words = backlogReserveKeys(context, operator, rows);
  if (words < 0) return words;
  if (backlogIsOpen(operator)) return reserveAside(context, operator, rows);
  if (self.changelog != 0 && !changelogReserve(operator, rows, aggregateNeed(self, rows)))
    return failMemory(context, 0);
  return aggregateReserveBatch(self, rows) ? 0 : failMemory(context, 0);
}

/** The same where rows are set aside, to be applied later (aggregate-backlog.ts). */
function reserveAside(context: usize, operator: usize, rows: u32): i32 {
  const self = aggregationOf(operator);
  if (!aggregateReserveTexts(self, rows)) return failMemory(context, 0);
  // Whatever waits must find room when it is worked off, or nobody could save what is there: unless it leaves as it is.
  const waiting = backlogRows(operator);
  if (!aggregateHasRoomAside(operator, waiting + rows, waiting != 0) && !rowsMayLeave(operator)) {
    const worked = backlogWork(context, operator, true);
    if (worked < 0) return worked;
    if (!aggregateHasRoom(operator, rows)) return failMemory(context, 0);
  }
  return backlogReserve(context, operator, rows);
}

/** A push whose rows are set aside. */
function setAside(context: usize, operator: usize, rows: u32): i32 {
  const self = aggregationOf(operator);
  let applied = false;
  for (let start: u32 = 0; start < rows; start += ROWS) {
    const selected = programRun(context, self.program, start, min(ROWS, rows - start));
    let status = selected;
    if (selected > 0) {
      if (!backlogAppend(context, operator, selected)) status = failMemory(context, 0);
      if (status < 0 && !applied) return status;
      applied = true;
    }
    if (status < 0) {
      changetype<Operator>(operator).failed = 1;
      return status;
    }
    changetype<Operator>(operator).rowsSelected += selected;
  }
  return Status.NEED_INPUT;
}

/**
 * Applies the `rows` rows that the program's outputs hold, of `left` that are still to come. 0, or an error; what
 * was to be had of memory, `aggregateReserveBatch` and `aggregateHeadroom` have seen to.
 */
export function aggregateApply(context: usize, operator: usize, rows: u32, left: u32): i32 {
  if (!backlogIsOpen(operator)) {
    const status = aggregatePrepareVector(context, operator, rows, left, left);
    if (status < 0) return status;
  }
  return aggregateApplyPrepared(context, operator, rows);
}

/** The same once `aggregatePrepareVector` has readied the keys, which rows that are set aside do not need. */
export function aggregateApplyPrepared(context: usize, operator: usize, rows: u32): i32 {
  changetype<Operator>(operator).rowsSelected += rows;
  if (!backlogIsOpen(operator)) return applyVector(context, operator, rows);
  aggregateWaitsUnseen(operator);
  // Texts of keys have their room, too.
  return backlogAppend(context, operator, rows) ? 0 : failMemory(context, 0);
}

/**
 * Folds the `rows` rows that the program's outputs hold into groups that are numbered from outside: `numbers` (u32
 * each), below `count`. 0, or an error.
 */
export function aggregateApplyValues(context: usize, operator: usize, numbers: usize, rows: u32, count: u32): i32 {
  const self = aggregationOf(operator);
  for (let index: u32 = 0; index < self.accumulatorCount; index++) {
    if (!accumulatorUpdate(accumulatorAt(self, index), context, self.program, numbers, rows, false))
      return failMemory(context, 0);
  }
  groupsOf(self).count = count;
  changetype<Operator>(operator).rowsSelected += rows;
  return 0;
}

/** All that can be refused before a vector's rows, of `left` of the batch, are applied. 0, or OUT_OF_MEMORY. */
export function aggregatePrepareVector(context: usize, operator: usize, rows: u32, left: u32, batchRows: u32): i32 {
  const self = aggregationOf(operator);
  const groups = groupsOf(self);
  if (!groupsLoad(groups, self.program, rows)) return failMemory(context, 0);
  const fit = groupsFit(groups, rows, batchRows);
  // Which groups there are is seen by what accumulators hold.
  if (!fit) {
    sumsSettle(operator);
    const worked = rangesClose(context, operator);
    if (worked < 0) return worked;
  }
  if (
    !groupsPrepareFitted(groups, rows, batchRows, fit) ||
    !aggregateReserveSpan(operator, groupsSpan(groups, left))
  ) {
    return failMemory(context, 0);
  }
  return aggregateTrack(context, operator);
}

/**
 * Applies rows whose keys are ready; `keyed` says that they may go by these alone (keyed-sums.ts), `aside` that there is room
 * to set them aside by ranges of their groups, as long as these are computed, `numbered` that groups are numbered already.
 */
function applyVector(
  context: usize,
  operator: usize,
  rows: u32,
  keyed: bool = false,
  aside: bool = false,
  numbered: bool = false,
): i32 {
  const self = aggregationOf(operator);
  if (ASC_FEATURE_SIMD) {
    if (keyed && keyedSumAdd(context, self, rows)) return 0;
  }
  const mark = scratchMark(context);
  let plus: usize = 0;
  if (isRetracting(self)) {
    plus = scratchTake(context, MASK_BYTES * 2);
    const taken = retractSplit(context, self, rows, plus);
    if (taken < 0) return taken;
    if (taken == 0) plus = 0;
  }
  if (numbered) byteKeysMark(self, rows);
  else if (!groupsAssign(groupsOf(self), rows, self.numbers)) return failMemory(context, 0);
  if (aside && self.ranges != 0) {
    rangesAppend(self, self.numbers, rows);
    return 0;
  }
  if (self.changelog != 0) changelogTouch(operator, self.numbers, rows);
  const one = groupsOf(self).tier == <u32>Tier.NONE;
  const inRuns = one || plus != 0 ? 0 : runsAdd(context, self, rows);
  if (inRuns != 0) {
    scratchReset(context, mark);
    return inRuns > 0 ? 0 : failMemory(context, 0);
  }
  let beside = false;
  if (ASC_FEATURE_SIMD) {
    if (self.mixedSums != 0) beside = mixedSumsAdd(context, operator, rows);
    else if (self.narrowSums != 0) beside = narrowSumsAdd(context, operator, rows);
  }
  for (let index: u32 = 0; index < self.accumulatorCount; index++) {
    const accumulator = accumulatorAt(self, index);
    if (beside && accumulator.beside != 0) continue;
    if (!accumulatorUpdate(accumulator, context, self.program, self.numbers, rows, one, plus))
      return failMemory(context, 0);
    if (
      plus != 0 &&
      !accumulatorRetract(accumulator, context, self.program, self.numbers, rows, plus + MASK_BYTES)
    )
      return failMemory(context, 0);
  }
  scratchReset(context, mark);
  return 0;
}

// ---- what dispatch asks

/** Whether output waits to be pulled before the next push. */
export function aggregatePending(operator: usize): bool {
  return partialPending(operator) || (aggregationOf(operator).changelog != 0 && changelogPending(operator));
}

/** Groups that have rows, those that have left included. */
export function aggregateGroups(operator: usize): u64 {
  const self = aggregationOf(operator);
  const groups = groupsOf(self);
  const beside = mixedSumsGroups(self) + narrowSumsGroups(self);
  if (!isRetracting(self)) return groupsOccupied(groups) + beside + aggregateDrained(operator);
  let count: u64 = 0;
  for (let group: u32 = 0; group < groups.count; group++)
    count += <u64>(groupsIsOccupied(groups, group) && groupIsThere(self, group));
  return count;
}

export function aggregateSlots(operator: usize): u64 {
  return groupsSlots(groupsOf(aggregationOf(operator)));
}

/** Slots that lookups of keys and of distinct values went past because they were another's. */
export function aggregateProbes(operator: usize): u64 {
  const self = aggregationOf(operator);
  let probes = groupsProbes(groupsOf(self));
  for (let index: u32 = 0; index < self.accumulatorCount; index++) {
    const accumulator = accumulatorAt(self, index);
    const pairs = accumulator.family == <u32>Family.DISTINCT || isMultiset(accumulator.family);
    if (pairs) probes += distinctProbes(accumulator);
  }
  return probes;
}

export function aggregateTier(operator: usize): u64 {
  return groupsOf(aggregationOf(operator)).tier;
}
