// What the tests of joins share: a join operator over plain columns, ways to feed it, and its twin.

import fc from "fast-check";
import { encodeJoinConfig, type JoinTimeSpec } from "../../bindings/ts/kernel/config.js";
import type { Kernel } from "../../bindings/ts/kernel/kernel.js";
import type { Operator } from "../../bindings/ts/kernel/operator.js";
import { ProgramBuilder } from "../../bindings/ts/kernel/program.js";
import type { ResidentBatch, ResidentTable } from "../../bindings/ts/kernel/resident.js";
import type { BatchData } from "../../bindings/ts/type/column.js";
import {
  type DataType,
  dictionary,
  float64,
  int8,
  int16,
  int32,
  int64,
  largeUtf8,
  physicalType,
  utf8,
  valueType,
} from "../../bindings/ts/type/data-type.js";
import { consolidate } from "../../test/testing-result.js";
import { asOfTwin, type JoinHow, joinTwin, type TwinSide } from "../../twin/join.js";
import type { Value } from "../../twin/values.js";
import { Opcode } from "../abi/instruction.js";
import { Type } from "../abi/layout.js";
import { JoinTime, JoinType, OperatorKind } from "../abi/operator.js";
import { Status } from "../abi/status.js";
import { batchOf, pulled, slice, type Table, TYPES, valuesOf } from "./testing.js";

const TYPES_OF: Record<JoinHow, JoinType> = {
  inner: JoinType.INNER,
  left: JoinType.LEFT,
  right: JoinType.RIGHT,
  full: JoinType.FULL,
  semi: JoinType.SEMI,
  anti: JoinType.ANTI,
};

const DIRECTIONS = {
  [JoinTime.BACKWARD]: "backward",
  [JoinTime.FORWARD]: "forward",
  [JoinTime.NEAREST]: "nearest",
} as const;

export interface JoinQuery {
  /** Per side; the first columns are the keys. */
  readonly types: readonly [readonly DataType[], readonly DataType[]];
  readonly keys: number;
  readonly how: JoinHow;
  readonly nullsEqual?: boolean | undefined;
  readonly nullAware?: boolean | undefined;
  /** Per side a column, both int64 or texts: the left one must be less than or equal to the right one. */
  readonly residual?: readonly [number, number] | undefined;
  readonly buildFirst?: boolean | undefined;
  /** Results stay where they are made until the end, with the codes of texts that came by dictionary. */
  readonly kept?: boolean | undefined;
  /** Per side whether its last column is an int8 row kind. */
  readonly changes?: readonly [boolean, boolean] | undefined;
  /** Rows without a match leave at once; results are changes. */
  readonly corrects?: boolean | undefined;
  /** The column after the keys is an int64 time on both sides then. */
  readonly time?: JoinTimeSpec | undefined;
  /** Kept rows can leave. */
  readonly keepOutputs?: boolean | undefined;
  /** Per side whether its last column is a bool that tells which rows have had a match before; the twin knows no such rows. */
  readonly matched?: readonly [boolean, boolean] | undefined;
  /** Per side whether its rows lie in a loaded table. */
  readonly loaded?: readonly [boolean, boolean] | undefined;
  readonly faults?: number | undefined;
}

/** Columns of a side without its row kind, or what tells of matches. */
const width = ({ types, changes, matched }: JoinQuery, port: 0 | 1) =>
  types[port].length - Number(changes?.[port] ?? false) - Number(matched?.[port] ?? false);

const filters = ({ how }: JoinQuery) => how === "semi" || how === "anti";

function loads(types: readonly DataType[]): Uint8Array {
  const program = new ProgramBuilder();
  for (const type of types) program.output(program.load(program.column(physicalType(valueType(type)))));
  return program.encode();
}

function residualProgram(type: Type): Uint8Array {
  const program = new ProgramBuilder();
  const a = program.load(program.column(type));
  const b = program.load(program.column(type));
  // Texts are made, as they are, to be compared.
  const made =
    type === Type.BYTES ? program.emit(Opcode.CONCAT, type, { a, b: program.literal(type, "") }) : a;
  program.filter(program.emit(Opcode.LESS_EQUAL, type, { target: Type.BOOL, a: made, b }));
  program.output(program.emit(Opcode.ROW_INDEX, Type.U32));
  return program.encode();
}

export function openJoin(kernel: Kernel, query: JoinQuery): Operator {
  const [left, right] = query.types;
  const side = (port: 0 | 1) => Array.from({ length: width(query, port) }, (_, output) => ({ port, output }));
  const outputs = [...side(0), ...(filters(query) ? [] : side(1))];
  const fields = outputs.map(({ port, output }, i) => ({
    name: `c${i}`,
    type: valueType(query.types[port as 0 | 1][output]!),
    nullable: true,
  }));
  const kinds = query.changes?.map((changes, port) => (changes ? width(query, port as 0 | 1) : null));
  if (kinds !== undefined || query.corrects) fields.push({ name: "row_kind", type: int8, nullable: true });
  return kernel.operator({
    kind: OperatorKind.JOIN,
    config: encodeJoinConfig({
      type: TYPES_OF[query.how],
      keys: query.keys,
      nullsEqual: query.nullsEqual,
      nullAware: query.nullAware,
      buildFirst: query.buildFirst,
      keepResults: query.kept,
      keepCodes: query.kept,
      left: loads(left),
      right: loads(right),
      outputs,
      residual: query.residual && {
        program: residualProgram(physicalType(valueType(left[query.residual[0]]!))),
        columns: query.residual.map((output, port) => ({ port, output })),
      },
      time: query.time,
      kinds: kinds as [number | null, number | null] | undefined,
      corrects: query.corrects,
      keepOutputs: query.keepOutputs,
      matched: query.matched,
      loaded: query.loaded,
      faults: query.faults,
    }),
    columns: left.map((_, i) => i),
    second: { columns: right.map((_, i) => i) },
    output: { fields },
    emitsPerPush: true,
  });
}

/** Rows to push on a port, or (rows -1) its end. */
export interface Feed {
  readonly port: number;
  readonly rows: number;
}

/** Runs the feeds, then pushes what is left of both sides (the right one first) and ends both. */
export function* runJoin(
  operator: Operator,
  query: JoinQuery,
  tables: readonly [Table, Table],
  feeds: readonly Feed[] = [],
  maxRows = 65536,
  maxBytes = 0,
): Generator<BatchData> {
  const at = [0, 0];
  const ended = [false, false];
  const loaded = tables.map((table, port) =>
    query.loaded?.[port] ? loadedTable(operator.kernel, query.types[port as 0 | 1], table) : null,
  );
  let step = 0;
  const kept: ResidentBatch[] = [];
  function* drain() {
    for (let more = query.kept === true; more; ) {
      const pulled = operator.tryPullResident(maxRows, maxBytes);
      more = pulled.more;
      if (pulled.batch !== null) kept.push(pulled.batch);
    }
    if (query.kept) return;
    yield* pulled(operator, maxRows, maxBytes);
  }
  function* feed({ port, rows }: Feed): Generator<BatchData> {
    if (ended[port]) return;
    const table = tables[port as 0 | 1];
    if (rows < 0 && at[port]! >= (table[0]?.length ?? 0)) {
      ended[port] = true;
      operator.watermark(2n ** 63n - 1n, port);
      yield* drain();
      return;
    }
    const end = Math.min(table[0]?.length ?? 0, at[port]! + Math.max(rows, 0));
    const start = at[port]!;
    at[port] = end;
    const lies = loaded[port]!;
    const status =
      lies !== null
        ? operator.push(lies.batches[0]!, start, end - start, 0, port)
        : operator.push(
            batchOf(query.types[port as 0 | 1], slice(table, start, end), step % 9, step++ % 2 === 1),
            0,
            undefined,
            0,
            port,
          );
    if (status === Status.HAS_MORE) yield* drain();
  }
  for (const one of feeds) yield* feed(one);
  for (const port of [1, 0]) {
    while (at[port]! < (tables[port as 0 | 1][0]?.length ?? 0)) yield* feed({ port, rows: 65536 });
    yield* feed({ port, rows: -1 });
  }
  for (const batch of kept) {
    yield batch.toHost();
    batch.free();
  }
  for (const table of loaded) table?.free();
}

/** A table in kernel memory that outlasts its operators. */
export function loadedTable(kernel: Kernel, types: readonly DataType[], table: Table): ResidentTable {
  const loaded = kernel.load([batchOf(types, table, 3, true)]);
  for (const batch of loaded.batches) batch.outlive();
  return loaded;
}

export function expectedJoin(query: JoinQuery, tables: readonly [Table, Table]): Value[][] {
  const [left, right] = tables.map((table, port) => {
    const rows = Array.from({ length: table[0]?.length ?? 0 }, (_, row) =>
      table.map((column) => column[row]!),
    );
    const left = query.changes?.[port] === true ? consolidate(rows) : rows;
    return {
      rows: left,
      keys: left.map((row) => row.slice(0, query.keys)),
      width: width(query, port as 0 | 1),
    };
  }) as unknown as [TwinSide, TwinSide];
  const { residual, time } = query;
  const times = [left, right].map(({ rows }) => rows.map((row) => row[query.keys] as bigint | null));
  if (time !== undefined && time.mode !== JoinTime.WITHIN) {
    return asOfTwin(
      { ...left, times: times[0]! },
      { ...right, times: times[1]! },
      {
        direction: DIRECTIONS[time.mode],
        how: query.how as "inner" | "left",
        tolerance: time.tolerance,
        strict: time.strict,
        nullsEqual: query.nullsEqual,
      },
    );
  }
  const isWithin = (l: readonly Value[], r: readonly Value[]) => {
    if (time === undefined || time.mode !== JoinTime.WITHIN) return true;
    const [a, b] = [l[query.keys], r[query.keys]] as (bigint | null)[];
    return a !== null && b !== null && b! - a! >= time.low && b! - a! <= time.high;
  };
  return joinTwin(left, right, {
    how: query.how,
    nullsEqual: query.nullsEqual,
    nullAware: query.nullAware,
    residual: (l, r) => {
      if (residual === undefined) return isWithin(l, r);
      const a = l[residual[0]] as bigint | null;
      const b = r[residual[1]] as bigint | null;
      return a !== null && b !== null && a <= b && isWithin(l, r);
    },
  });
}

export const HOWS: readonly JoinHow[] = ["inner", "left", "right", "full", "semi", "anti"];

export const feedsOf: fc.Arbitrary<readonly Feed[]> = fc.array(
  fc.record({
    port: fc.nat(1),
    rows: fc.oneof({ weight: 4, arbitrary: fc.nat(20) }, { weight: 1, arbitrary: fc.constant(-1) }),
  }),
  { maxLength: 10 },
);

// ---- arbitrary joins

/** Types whose keys are equal on both sides, whatever the encoding. */
const ENCODINGS: readonly (readonly [DataType, DataType])[] = [
  ...TYPES.filter(({ kind }) => kind !== "dictionary").map((type) => [type, type] as const),
  [utf8, dictionary(utf8, int16)],
  [dictionary(utf8, int32), dictionary(utf8, int8)],
  [largeUtf8, utf8],
  [int64, dictionary(int64, int16)],
  [dictionary(float64, int32), float64],
];

export interface JoinCase {
  readonly query: JoinQuery;
  readonly tables: readonly [Table, Table];
  readonly feeds: readonly Feed[];
  readonly maxRows: number;
}

const faults = fc.oneof(
  { weight: 3, arbitrary: fc.constant(0) },
  { weight: 2, arbitrary: fc.constantFrom(1, 2, 4, 8, 16) },
  { weight: 1, arbitrary: fc.nat(31) },
);

/** Any join of any sides of at most `most` rows, and ways to feed it. */
export function joinCases(most: number): fc.Arbitrary<JoinCase> {
  return (
    fc
      .record({
        keys: fc.array(fc.constantFrom(...ENCODINGS), { maxLength: 3 }),
        payload: fc.tuple(
          fc.array(fc.constantFrom(...TYPES), { maxLength: 3 }),
          fc.array(fc.constantFrom(...TYPES), { maxLength: 3 }),
        ),
        rows: fc.tuple(fc.nat(most), fc.nat(most)),
      })
      .chain(({ keys, payload, rows }) => {
        const types = [0, 1].map((side) => [
          ...keys.map((pair) => pair[side as 0 | 1]),
          int64,
          ...payload[side as 0 | 1],
        ]) as [DataType[], DataType[]];
        const table = (side: 0 | 1) =>
          fc.tuple(
            ...types[side].map((type) =>
              fc.array(valuesOf(type), { minLength: rows[side], maxLength: rows[side] }),
            ),
          );
        return fc.record({
          tables: fc.tuple(table(0), table(1)),
          feeds: feedsOf,
          maxRows: fc.constantFrom(1, 3, 7, 65536),
          query: fc
            .record({
              how: fc.constantFrom(...HOWS),
              nullsEqual: fc.boolean(),
              buildFirst: fc.boolean(),
              kept: fc.boolean(),
              loaded: fc.tuple(fc.boolean(), fc.boolean()),
              residual: fc.option(fc.constant([keys.length, keys.length] as const), {
                nil: undefined,
                freq: 2,
              }),
              faults,
            })
            .map((options): JoinQuery => ({ types, keys: keys.length, ...options })),
        });
      })
      .map((one) => {
        const { query, tables } = one;
        if (query.how !== "anti" || query.keys !== 1 || one.maxRows === 7) return one;
        const keyed = tables[1][0]!.map((value) => value !== null);
        const right =
          one.maxRows === 3 ? tables[1] : tables[1].map((column) => column.filter((_, row) => keyed[row]));
        const aware = { ...query, nullAware: true, nullsEqual: false, residual: undefined };
        return { ...one, query: aware, tables: [tables[0], right] as const };
      })
      // Keys of the sides come from the same few values, so that there are matches.
      .map((one) => {
        const [left, right] = one.tables;
        const shared = right.map((column, at) =>
          at >= one.query.keys || left[at]!.length === 0
            ? column
            : column.map((value, row) => (row % 3 === 0 ? value : left[at]![(row * 7) % left[at]!.length]!)),
        );
        return { ...one, tables: [left, shared] as const };
      })
  );
}
