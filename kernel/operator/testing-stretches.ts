// Tables of stretches: rows that are alike in what an aggregation may trip over, each stretch shorter or longer than a
// vector, so that some vectors have rows of one kind and others of several.

import type { DataType } from "../../bindings/ts/type/data-type.js";
import { bool, float32, float64, int32, int64, uint32, utf8 } from "../../bindings/ts/type/data-type.js";
import type { Value } from "../../twin/values.js";
import type { Table } from "./testing.js";

export const [INT_KEY, TEXT_KEY, FLAG_KEY, FLOAT, SMALL, LARGE, OTHER, NARROW, FILTER, UNSIGNED_KEY] = [
  0, 1, 2, 3, 4, 5, 6, 7, 8, 9,
] as const;
export const TYPES: readonly DataType[] = [
  int32,
  utf8,
  bool,
  float64,
  int32,
  int64,
  float64,
  float32,
  bool,
  uint32,
];

/** What a stretch of rows is like; a stretch is shorter than a vector, so that most vectors have some of several. */
export type Kind =
  | "plain"
  | "nulls"
  | "lone nulls"
  | "huge"
  | "special"
  | "tiny"
  | "fine"
  | "zeros"
  | "least"
  | "most"
  | "wide"
  | "new"
  | "far"
  | "null keys";

export const KINDS: readonly Kind[] = [
  "plain",
  "nulls",
  "lone nulls",
  "huge",
  "special",
  "tiny",
  "fine",
  "zeros",
  "least",
  "most",
  "wide",
  "new",
  "far",
  "null keys",
];
const SPECIAL = [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 1e308, -1e308];

function rowOf(kind: Kind, row: number): Value[] {
  const key = kind === "far" ? 1_000_000_000 + (row % 3) : kind === "new" ? 40 + (row % 9) : row % 7;
  const isNull = kind === "nulls" && row % 5 === 0;
  const plain = ((row * 7919) % 10_007) / 63 - 50;
  const float =
    kind === "huge"
      ? plain * 2 ** ((row % 40) * 20)
      : kind === "special" && row % 11 === 0
        ? SPECIAL[row % 5]!
        : kind === "tiny"
          ? plain * 2 ** -1060
          : kind === "zeros"
            ? row % 2 === 0
              ? 0
              : -0
            : kind === "fine"
              ? ((row % 17) - 8) * 2 ** -45
              : plain;
  const small =
    kind === "least" ? -(1n << 31n) : kind === "most" ? (1n << 31n) - 1n : BigInt(row % 3000) - 1500n;
  const large =
    kind === "wide" ? ((1n << 50n) - BigInt(row)) * (row % 2 === 0 ? 1n : -1n) : BigInt(row % 1000) - 500n;
  const isKeyNull = kind === "null keys" && row % 2 === 0;
  return [
    isKeyNull ? null : BigInt(key - 3),
    isKeyNull ? null : `key ${key}`,
    row % 3 === 0,
    isNull ? null : float,
    isNull ? null : small,
    row % 13 === 0 && kind === "nulls" ? null : large,
    kind === "lone nulls" && row % 5 === 0 ? null : plain / 3,
    Math.fround(plain),
    row % 4 !== 0,
    isKeyNull ? null : BigInt(key + 3_000_000_000),
  ];
}

export function tableOf(kinds: readonly Kind[], stretch: number): Table {
  const rows = kinds.flatMap((kind, at) =>
    Array.from({ length: stretch }, (_, row) => rowOf(kind, at * stretch + row)),
  );
  return TYPES.map((_, column) => rows.map((row) => row[column]!));
}
