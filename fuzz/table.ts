// Random tables: a few columns of any types, and rows whose values come from a small pool a column.
//
// A pool gives duplicates, groups and matches of joins; what is in it has broken kernels before (`valuesOf`). A cell
// is an index into the pool, so that a small case has the pool's first value, a zero or the empty text.

import fc from "fast-check";
import {
  bool,
  type DataType,
  date32,
  decimal,
  dictionary,
  type Field,
  float64,
  int16,
  int32,
  int64,
  physicalType,
  timestamp,
  typeName,
  utf8,
  valueType,
} from "../bindings/ts/type/data-type.js";
import { ALL_TYPES } from "../bindings/ts/type/testing.js";
import { Type } from "../kernel/abi/layout.js";
import { valuesOf } from "../kernel/operator/testing.js";
import type { Value } from "../twin/values.js";
import type { Draw } from "./draw.js";

export interface TableCase {
  readonly columns: readonly Field[];
  readonly rows: readonly (readonly Value[])[];
}

/** What most columns are; the others are of any type. */
const COMMON: readonly DataType[] = [
  int32,
  int64,
  float64,
  utf8,
  bool,
  timestamp("us"),
  date32,
  decimal(12, 2),
  dictionary(utf8, int16),
];

const LONG_TEXTS = [
  "x".repeat(40),
  `${"x".repeat(39)}y`,
  "\u{1f600}é".repeat(30),
  " a b ",
  "12",
  "-0.5",
  "100%",
];

const DAY_MS = 86_400_000n;
const POOLS = 32;
const POOL_SIZE = 24;
const pools = new Map<string, Value[]>();

/** One of a few fixed pools of a type: all of it, or (tame) no large numbers. */
function poolOf(type: DataType, number: number, tame: boolean): Value[] {
  const name = `${typeName(type)} ${number} ${tame}`;
  const known = pools.get(name);
  if (known !== undefined) return known;
  const drawn = fc
    .sample(valuesOf(type), { numRuns: POOL_SIZE, seed: number })
    .filter((value) => value !== null);
  const value = valueType(type);
  if (value.kind === "utf8" || value.kind === "largeUtf8") drawn.push(...LONG_TEXTS.slice(number % 4));
  const zero = zeroOf(value);
  const pool = [zero, ...drawn.map((one) => allowed(tame ? tamed(one, value, number) : one, value))];
  pools.set(name, pool);
  return pool;
}

function zeroOf(type: DataType): Value {
  switch (physicalType(type)) {
    case Type.BOOL:
      return false;
    case Type.F32:
    case Type.F64:
      return 0;
    case Type.BYTES:
    case Type.LARGE_BYTES:
      return type.kind === "utf8" || type.kind === "largeUtf8" ? "" : new Uint8Array();
    default:
      return 0n;
  }
}

/** Times a few steps of some length apart, and whole numbers that can be added up. */
function tamed(value: Value, type: DataType, number: number): Value {
  if (typeof value !== "bigint") return value;
  if (type.kind === "date" && type.unit === "ms") return (value % 50n) * DAY_MS;
  if (type.kind === "timestamp" || type.kind === "duration") {
    return (value % 50n) * [1n, 1000n, 3_600_000n, 86_400_000_000n][number % 4]!;
  }
  return value % (number % 2 === 0 ? 5n : 1000n);
}

/** What Arrow lets a column hold: decimals of no more digits than the precision, dates in milliseconds of whole days. */
function allowed(value: Value, type: DataType): Value {
  if (typeof value !== "bigint") return value;
  if (type.kind === "decimal") return value % 10n ** BigInt(type.precision);
  return type.kind === "date" && type.unit === "ms" ? value - (value % DAY_MS) : value;
}

/** @param meanRows how many rows there are on average in a small table; large ones have more */
export function drawTable(draw: Draw, meanRows = 12): TableCase {
  const columns = [drawColumn(draw), ...draw.list(5, 3, () => drawColumn(draw))];
  const mean = draw.pick([meanRows, meanRows, 3, 4 * meanRows]);
  const rows = draw.list(400, mean, () => columns.map(({ cell }) => cell()));
  // Past the kernel's vectors of 2,048 rows, with what is there already.
  const times = draw.chance(3) ? draw.pick([2, 9, 70]) : 1;
  const all = times === 1 ? rows : Array.from({ length: times }, () => rows).flat();
  const fields = columns.map(({ type, nullable }, at) => ({ name: `c${at}`, type, nullable }));
  return { columns: fields, rows: all };
}

interface DrawnColumn {
  readonly type: DataType;
  readonly nullable: boolean;
  readonly cell: () => Value;
}

function drawColumn(draw: Draw): DrawnColumn {
  const type = draw.pick(draw.chance(35) ? ALL_TYPES : COMMON);
  const tame = !draw.chance(25);
  const pool = poolOf(type, draw.below(POOLS), tame).slice(0, draw.pick([4, 1, 2, POOL_SIZE]));
  const nulls = draw.pick([0, 1, 1, 4]);
  const nullable = nulls > 0 || draw.chance(50);
  return { type, nullable, cell: () => pool[draw.below(pool.length + nulls)] ?? null };
}
