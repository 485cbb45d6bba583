// Time zones as tables: from which second of UTC on which offset holds.
//
// The tables come from the host's own zone data (Intl), so no copy of it ships here. Offsets are probed
// once a week between 1900 and 2100 and each change is found by bisection; before the first the first
// offset holds, after the last the last one. Two changes within one week that cancel each other would be
// missed (a probe a month would be faster, but misses summer times that pause for Ramadan). A table is built
// once per zone and process: some 100 ms.

import { PlanError } from "../type/error.js";
import { floorDivide, parseOffset } from "./calendar.js";

/** Ascending by `from`; the first entry holds since ever. */
export interface ZoneTable {
  /** Seconds of UTC since 1970 from which the offset holds. */
  readonly from: readonly bigint[];
  /** Seconds east of UTC. */
  readonly offset: readonly bigint[];
}

const I64_MIN = -(2n ** 63n);
const FIRST = Date.UTC(1900, 0, 1) / 1000;
const LAST = Date.UTC(2100, 0, 1) / 1000;
const PROBE_SECONDS = 7 * 86_400;

const tables = new Map<string, ZoneTable>();

/** The table of an IANA zone name (`Europe/Berlin`) or a fixed offset (`+02:00`). Throws PlanError for others. */
export function zoneTable(zone: string): ZoneTable {
  let table = tables.get(zone);
  if (table === undefined) {
    table = buildTable(zone);
    tables.set(zone, table);
  }
  return table;
}

/** Whether the host knows the zone; the cheap part of `zoneTable`. */
export function checkZone(zone: string): void {
  if (parseOffset(zone) === null && !tables.has(zone)) zoneFormat(zone);
}

function buildTable(zone: string): ZoneTable {
  const fixed = parseOffset(zone);
  if (fixed !== null) return { from: [I64_MIN], offset: [fixed] };
  const offsetAt = offsetReader(zone);
  const from = [I64_MIN];
  let current = offsetAt(FIRST);
  const offset = [BigInt(current)];
  for (let start = FIRST; start < LAST; start += PROBE_SECONDS) {
    let low = start;
    const end = Math.min(start + PROBE_SECONDS, LAST);
    const next = offsetAt(end);
    while (current !== next) {
      const change = firstChange(offsetAt, low, end, current);
      current = offsetAt(change);
      low = change;
      from.push(BigInt(change));
      offset.push(BigInt(current));
    }
  }
  return { from, offset };
}

/** First second in (low, high] whose offset is not `offset`. */
function firstChange(
  offsetAt: (second: number) => number,
  low: number,
  high: number,
  offset: number,
): number {
  while (high - low > 1) {
    const middle = Math.floor((low + high) / 2);
    if (offsetAt(middle) === offset) low = middle;
    else high = middle;
  }
  return high;
}

function zoneFormat(zone: string): Intl.DateTimeFormat {
  try {
    return new Intl.DateTimeFormat("en-US", {
      timeZone: zone,
      calendar: "gregory",
      numberingSystem: "latn",
      hourCycle: "h23",
      year: "numeric",
      month: "numeric",
      day: "numeric",
      hour: "numeric",
      minute: "numeric",
      second: "numeric",
    });
  } catch (cause) {
    throw new PlanError(
      `unknown time zone "${zone}": use an IANA name such as Europe/Berlin or an offset such as +02:00`,
      { value: zone, expected: "an IANA time zone or an offset", cause },
    );
  }
}

/** Seconds east of UTC at a second of UTC. */
function offsetReader(zone: string): (second: number) => number {
  const format = zoneFormat(zone);
  return (second) => {
    // "month/day/year, hour:minute:second"
    const parts = format
      .format(second * 1000)
      .match(/\d+/g)!
      .map(Number) as [number, number, number, number, number, number];
    const local = Date.UTC(parts[2], parts[0] - 1, parts[1], parts[3], parts[4], parts[5]) / 1000;
    return local - second;
  };
}

/** Offset in seconds that holds at a second of UTC. */
export function offsetAtUtc(table: ZoneTable, second: bigint): bigint {
  let index = table.from.length - 1;
  while (index > 0 && table.from[index]! > second) index--;
  return table.offset[index]!;
}

/**
 * Offset to subtract from a local second. A local time that occurs twice is the first of the two; one that
 * is skipped keeps the offset from before the gap, so it lands after it, later by the gap's length.
 */
export function offsetAtLocal(table: ZoneTable, local: bigint): bigint {
  for (let index = 0; index < table.from.length; index++) {
    const next = table.from[index + 1];
    const offset = table.offset[index]!;
    if (next === undefined) return offset;
    // Times in a gap belong to the offset before it, times that occur twice to the first one.
    const after = table.offset[index + 1]!;
    if (local < next + offset || local < next + after) return offset;
  }
  return 0n;
}

/** Ticks of UTC as ticks of local time. */
export function toLocal(table: ZoneTable, ticks: bigint, ticksASecond: bigint): bigint {
  return ticks + offsetAtUtc(table, floorDivide(ticks, ticksASecond)) * ticksASecond;
}

/** Ticks of local time as ticks of UTC. */
export function fromLocal(table: ZoneTable, ticks: bigint, ticksASecond: bigint): bigint {
  return ticks - offsetAtLocal(table, floorDivide(ticks, ticksASecond)) * ticksASecond;
}
