// The TypeScript types that a plan carries: which columns a row has, and which JavaScript value each gives.
//
// Best effort, never load-bearing: what is right at run time is decided by typing.ts. A plan whose source
// is known by name only has rows of `any`.

import type { DataType } from "../type/data-type.js";

/** The JavaScript value that apache-arrow gives for a column of type `T` (nulls apart). */
export type ValueOf<T extends DataType> = T extends { kind: "dictionary"; value: infer V }
  ? ScalarOf<V>
  : ScalarOf<T>;

type ScalarOf<T> = T extends { kind: "bool" }
  ? boolean
  : T extends { kind: "int"; bits: 64 }
    ? bigint
    : T extends { kind: "int" } | { kind: "float" } | { kind: "date" } | { kind: "timestamp" }
      ? number
      : T extends { kind: "utf8" } | { kind: "largeUtf8" }
        ? string
        : T extends { kind: "binary" } | { kind: "largeBinary" }
          ? Uint8Array
          : T extends { kind: "decimal" }
            ? Uint32Array
            : T extends { kind: "time"; unit: "s" | "ms" }
              ? number
              : T extends { kind: "time" } | { kind: "duration" }
                ? bigint
                : T extends { kind: "list"; item: infer I extends DataType }
                  ? ListOf<ScalarOf<I>>
                  : unknown;

/** Result of an expression that is just the column `N`: looked up once the row is known. */
export interface ColumnResult<N extends string> {
  readonly column: N;
}

/** Result of `sum` over something of result `R`. */
export interface SumResult<R> {
  readonly sum: R;
}

/** `R` where null may come of it as well. */
export interface NullableResult<R> {
  readonly nullable: R;
}

/** A list of results `R`. */
export interface ListResult<R> {
  readonly list: R;
}

/** A list as apache-arrow gives it: a vector. */
export interface ListOf<V> extends Iterable<V> {
  readonly length: number;
  get(index: number): V | null;
}

/** Result of arithmetic: which of the two depends on the column types. */
export type Numeric = number | bigint;

/** A source whose columns are not known when the plan is written. */
// biome-ignore lint/suspicious/noExplicitAny: anything may be in such a row
export type AnyRow = Record<string, any>;

/** The value of result `R` in a plan whose rows are `Row`. */
export type Resolve<Row, R> =
  R extends ColumnResult<infer N>
    ? N extends keyof Row
      ? Row[N]
      : unknown
    : R extends NullableResult<infer Inner>
      ? Resolve<Row, Inner> | null
      : R extends SumResult<infer Inner>
        ? Sum<Resolve<Row, Inner>>
        : R extends ListResult<infer Inner>
          ? ListOf<NonNullable<Resolve<Row, Inner>>>
          : R;

/** Decimals sum to decimals, 64-bit integers to bigint, small integers to bigint and floats to number. */
type Sum<V> = [NonNullable<V>] extends [bigint]
  ? bigint
  : [NonNullable<V>] extends [Uint32Array]
    ? Uint32Array
    : [NonNullable<V>] extends [number]
      ? Numeric
      : Numeric | Uint32Array;

/** The names of a row's columns. */
export type NamesOf<Row> = keyof Row & string;

/** Flattens an intersection, so that editors show the columns. */
export type Flat<T> = { -readonly [K in keyof T]: T[K] };
