// Rows that leave a join which has no memory for them, and come to another one: what leaves is held against what was
// pushed, and two joins between which rows went, at whatever moment, against the twin. Whoever joins rows by pieces trusts
// that nothing is given twice, or by none of the pieces.

import fc from "fast-check";
import { afterAll, describe, expect, test } from "vitest";
import { Kernel } from "../../bindings/ts/kernel/kernel.js";
import type { Operator } from "../../bindings/ts/kernel/operator.js";
import type { StateBatch } from "../../bindings/ts/kernel/state.js";
import type { BatchData } from "../../bindings/ts/type/column.js";
import {
  bool,
  type DataType,
  dictionary,
  int16,
  int32,
  int64,
  utf8,
  valueType,
} from "../../bindings/ts/type/data-type.js";
import { MemoryLimitError } from "../../bindings/ts/type/error.js";
import type { JoinHow } from "../../twin/join.js";
import type { Value } from "../../twin/values.js";
import { JoinFault } from "../abi/operator.js";
import { Status } from "../abi/status.js";
import { BUILDS, batchOf, multiset, rowsOf, slice, type Table } from "./testing.js";
import {
  expectedJoin,
  type Feed,
  HOWS,
  type JoinCase,
  type JoinQuery,
  joinCases,
  openJoin,
} from "./testing-join.js";
import { failEach, Retries, SMALL_TOO } from "./testing-retries.js";

type Port = 0 | 1;
const PORTS = [0, 1] as const;
const END = 2n ** 63n - 1n;
/** Bits of a section: see join-leave.ts. */
const [PORT, SOME, NULLS] = [1, 2, 4] as const;
const ALL_ROWS = 2 ** 32 - 1;
const MORSEL = 65_536;
const BUSY = /output waiting/;
const NO_STATE = /another kind/;

const preserves = (how: JoinHow, port: Port) => how === "full" || how === (port === 0 ? "left" : "right");
const filters = (how: JoinHow) => how === "semi" || how === "anti";

/** What has left, as columns of the types that the side has, and whether each row has had a match. */
function typed(types: readonly DataType[], batch: StateBatch): BatchData {
  const all = [...types.map((type) => (type.kind === "largeUtf8" ? utf8 : valueType(type))), bool];
  const fields = all.map((type, at) => ({ name: `c${at}`, type, nullable: true }));
  const columns = batch.columns.map((column, at) => ({ ...column, type: all[at]! }));
  return { ...batch, schema: { fields }, columns };
}

/** Rows of a port that have left, each with whether it has had a match. */
function leftOn(port: Port, types: readonly DataType[], batches: readonly StateBatch[]): Value[][] {
  return rowsOf(
    batches.filter(({ section }) => (section & PORT) === port).map((batch) => typed(types, batch)),
  );
}

const marked = (rows: readonly (readonly Value[])[], mark: boolean) => rows.map((row) => [...row, mark]);
const appended = (table: Table, more: Table): Table => table.map((column, at) => [...column, ...more[at]!]);
const rowsIn = (table: Table) =>
  Array.from({ length: table[0]!.length }, (_, row) => table.map((column) => column[row]!));

/** Those of some rows that others are not, or not as often. */
function missing(rows: readonly string[], of: readonly string[]): string[] {
  const times = new Map<string, number>();
  for (const row of of) times.set(row, (times.get(row) ?? 0) + 1);
  return rows.filter((row) => {
    const left = times.get(row) ?? 0;
    times.set(row, left - 1);
    return left <= 0;
  });
}

/** How rows leave one join and come to another. */
interface Move {
  /** The number of feeds before. */
  readonly after: number;
  /** At the first moment that they can, instead of when all results have left. */
  readonly isEarly: boolean;
  readonly maxRows: number;
  /** Texts come by dictionary again, where they did. */
  readonly encodes: boolean;
  readonly first: Port;
}

/** A join, what it has given, and how far its sides have come. */
class Fed {
  readonly operator: Operator;
  readonly rows: Value[][] = [];
  readonly at = [0, 0];
  readonly ended = [false, false];
  readonly #kernel: Kernel;
  readonly #case: JoinCase;
  /** Sides whose rows say whether they have had a match. */
  readonly #marks: readonly [boolean, boolean];
  /** Whether rows of another join have come. */
  #hasMoved = false;
  #pushes = 0;

  constructor(kernel: Kernel, one: JoinCase, marks: readonly [boolean, boolean] = [false, false]) {
    const { query } = one;
    const types = PORTS.map((port) => [...query.types[port], ...(marks[port] ? [bool] : [])]);
    const whole = {
      ...query,
      types: types as [DataType[], DataType[]],
      matched: marks,
      keepOutputs: true,
      // Rows that can leave are copied.
      loaded: undefined,
    };
    this.operator = openJoin(kernel, whole);
    this.#kernel = kernel;
    this.#case = one;
    this.#marks = marks;
  }

  /** Pushes the next rows of a port, or ends it; results wait. */
  feed({ port, rows }: Feed): void {
    if (this.ended[port]) return;
    const { query, tables } = this.#case;
    const table = tables[port as Port];
    const length = table[0]!.length;
    if (rows < 0 && this.at[port]! >= length) {
      this.ended[port] = true;
      this.operator.watermark(END, port);
      return;
    }
    const end = Math.min(length, this.at[port]! + Math.max(0, rows));
    const types = [...query.types[port as Port], ...(this.#marks[port] ? [bool] : [])];
    const some = slice(table, this.at[port]!, end);
    const push = this.#pushes++;
    this.at[port] = end;
    const columns = this.#marks[port] ? [...some, some[0]!.map(() => false)] : some;
    this.operator.push(batchOf(types, columns, push % 9, push % 2 === 1), 0, undefined, 0, port);
  }

  /** Whether there is more to pull. */
  pull(): boolean {
    const { query, maxRows } = this.#case;
    if (!query.kept) {
      const { batch, more } = this.operator.tryPull(maxRows);
      if (batch !== null) this.rows.push(...rowsOf([batch]));
      return more;
    }
    const { batch, more } = this.operator.tryPullResident(maxRows);
    if (batch !== null) this.rows.push(...rowsOf([batch.toHost()]));
    batch?.free();
    return more;
  }

  drain(): void {
    while (this.pull()) {}
  }

  /** What is left of both sides, the right one first, and their ends. */
  finish(): string[] {
    for (const port of [1, 0]) {
      this.feed({ port, rows: MORSEL });
      this.drain();
      this.feed({ port, rows: -1 });
      this.drain();
    }
    this.operator.destroy();
    return multiset(this.rows);
  }

  leave({ isEarly, maxRows }: Move): StateBatch[] {
    while (isEarly) {
      try {
        return [...this.operator.snapshot(maxRows)];
      } catch (error) {
        expect((error as Error).message).toMatch(BUSY);
        this.pull();
      }
    }
    this.drain();
    return [...this.operator.snapshot(maxRows)];
  }

  /** Another join to which what this one keeps has come, and which has given what this one has. */
  moved(move: Move): Fed {
    const { query, tables } = this.#case;
    const batches = this.leave(move);
    const ports = batches.map(({ section }) => section & PORT);
    expect([...new Set(ports)]).toEqual(PORTS);
    expect(ports).toEqual([...ports].sort());
    for (const { length } of batches) expect(length).toBeLessThanOrEqual(move.maxRows);
    const facts = new Set(batches.map(({ section }) => section & ~PORT));
    const aware = query.nullAware === true;
    const keys = aware ? tables[1][0]!.slice(0, this.at[1]) : [];
    const wanted = (keys.length > 0 ? SOME : 0) | (keys.includes(null) ? NULLS : 0);
    if (!this.#hasMoved) expect([...facts]).toEqual([wanted]);
    // Right rows that were not kept are told of by these alone.
    const leaves = (row: readonly Value[]) =>
      !(aware && this.ended[0]) || wanted === 0 || (wanted === SOME && row[0] !== null);
    const { how } = query;
    const next = new Fed(this.#kernel, this.#case, [preserves(how, 0), preserves(how, 1)]);
    next.#hasMoved = true;
    next.at.splice(0, 2, ...this.at);
    for (const port of [move.first, 1 - move.first] as Port[]) {
      for (const [index, batch] of batches.entries())
        if (ports[index] === port) next.#take(port, batch, this.#marks[port], move.encodes, leaves);
    }
    // Pairs of rows that have met already.
    const again = multiset(next.rows.splice(0));
    expect(filters(how) ? again : missing(again, multiset(this.rows))).toEqual([]);
    next.rows.push(...this.rows);
    for (const port of PORTS) {
      if (this.ended[port]) next.feed({ port, rows: -1 });
      next.drain();
    }
    return next;
  }

  /** Rows that have left another join; `wasMarked`: which were told of matches, too. */
  #take(
    port: Port,
    batch: StateBatch,
    wasMarked: boolean,
    encodes: boolean,
    leaves: (row: readonly Value[]) => boolean,
  ): void {
    const types = this.#case.query.types[port];
    const whole = typed(wasMarked ? [...types, bool] : types, batch);
    const columns = [...types.keys(), ...(this.#marks[port] ? [whole.columns.length - 1] : [])];
    const kept: BatchData = {
      ...whole,
      schema: { fields: columns.map((at) => whole.schema.fields[at]!) },
      columns: columns.map((at) => whole.columns[at]!),
    };
    const rows = rowsOf([kept]).filter((row) => port === 1 || leaves(row));
    const table = columns.map((_, at) => rows.map((row) => row[at]!));
    const asIs = !encodes && rows.length === batch.length;
    const input = asIs ? kept : batchOf([...types, ...(this.#marks[port] ? [bool] : [])], table);
    this.operator.push(input, 0, undefined, 0, port);
    this.drain();
  }
}

describe.each(BUILDS)("rows that leave a join, %s build", async (build) => {
  const kernel = await Kernel.open({ build, budget: "512 MiB" });
  const start = { used: kernel.usedBytes, blocks: kernel.blocks };
  afterAll(() => expect({ used: kernel.usedBytes, blocks: kernel.blocks }).toEqual(start));

  const TYPES = [int64, dictionary(utf8, int16), utf8] as const;
  const both = (how: JoinHow, change: Partial<JoinQuery> = {}): JoinQuery => ({
    types: [TYPES, TYPES],
    keys: 1,
    how,
    keepOutputs: true,
    ...change,
  });
  /** Keys from `first` on, every fifth null; texts by dictionary, and such as fit into a row or do not. */
  const side = (rows: number, first: number): Table => [
    Array.from({ length: rows }, (_, row) => (row % 5 === 4 ? null : BigInt(first + row))),
    Array.from({ length: rows }, (_, row) => (row % 4 === 3 ? null : `text ${row % 3}`)),
    Array.from({ length: rows }, (_, row) => (row % 6 === 5 ? null : `é ${"x".repeat(row)}`)),
  ];
  const hasMatch = (table: Table, other: Table) =>
    table[0]!.map((key) => key !== null && other[0]!.includes(key));

  function push(operator: Operator, port: Port, table: Table, types: readonly DataType[] = TYPES): Status {
    return operator.push(batchOf(types, table), 0, undefined, 0, port);
  }
  const pulled = (operator: Operator) => {
    const rows: Value[][] = [];
    for (let batch = operator.pull(); batch !== null; batch = operator.pull()) rows.push(...rowsOf([batch]));
    return rows;
  };
  const pushed = (operator: Operator, port: Port, table: Table, types?: readonly DataType[]) => {
    push(operator, port, table, types);
    return pulled(operator);
  };
  const ended = (operator: Operator, port: Port) => {
    operator.watermark(END, port);
    return pulled(operator);
  };

  test.each(HOWS)(
    "%s: all columns of both sides, and of rows that may leave alone who was matched",
    (how) => {
      const tables = [side(30, 0), side(25, 17)] as const;
      const operator = openJoin(kernel, both(how));
      const rows = PORTS.flatMap((port) => pushed(operator, port, tables[port]));
      for (const maxRows of [1, 7, MORSEL]) {
        const batches = [...operator.snapshot(maxRows)];
        for (const port of PORTS) {
          const matched = hasMatch(tables[port], tables[1 - port]!);
          const whole = rowsIn(tables[port]).map((row, at) => [...row, preserves(how, port) && matched[at]!]);
          // Nothing comes of a left row that has had its match.
          const kept = filters(how) && port === 0 ? whole.filter((_, at) => !matched[at]) : whole;
          expect(multiset(leftOn(port, TYPES, batches))).toEqual(multiset(kept));
          const sizes = batches
            .filter(({ section }) => (section & PORT) === port)
            .map(({ length }) => length)
            .filter((length) => length > 0);
          expect(sizes.slice(0, -1)).toEqual(sizes.slice(0, -1).map(() => maxRows));
          expect(sizes.at(-1)).toBeLessThanOrEqual(maxRows);
        }
      }
      rows.push(...pushed(operator, 0, side(9, 20)), ...pushed(operator, 1, side(12, 3)));
      const whole = [
        tables[0].map((column, at) => [...column, ...side(9, 20)[at]!]),
        tables[1].map((column, at) => [...column, ...side(12, 3)[at]!]),
      ] as const;
      rows.push(...ended(operator, 1), ...ended(operator, 0));
      expect(multiset(rows)).toEqual(multiset(expectedJoin(both(how), whole)));
      operator.destroy();
    },
  );

  test("any join whose rows leave at any moment, and the one that they come to", () => {
    const moves = fc.array(
      fc.record<Move>({
        after: fc.nat(12),
        isEarly: fc.boolean(),
        maxRows: fc.constantFrom(1, 5, MORSEL),
        encodes: fc.boolean(),
        first: fc.constantFrom(...PORTS),
      }),
      { minLength: 1, maxLength: 2 },
    );
    fc.assert(
      fc.property(joinCases(60), moves, (one, moves) => {
        const wanted = multiset(expectedJoin(one.query, one.tables));
        const feeds = [...one.feeds, { port: 1, rows: MORSEL }, { port: 1, rows: -1 }];
        let fed = new Fed(kernel, one);
        /** Joins whose rows have left go on as if nothing were. */
        const others: Fed[] = [];
        for (const [step, feed] of [...feeds, null].entries()) {
          for (const move of moves.filter(({ after }) => Math.min(after, feeds.length) === step)) {
            others.push(fed);
            fed = fed.moved(move);
          }
          for (const each of [...others, fed]) {
            each.drain();
            if (feed !== null) each.feed(feed);
          }
        }
        expect(others.length).toBe(moves.length);
        for (const each of [...others, fed]) expect(each.finish()).toEqual(wanted);
      }),
      { numRuns: 120 },
    );
  });

  test("a port without rows has a batch all the same, and a long one several", () => {
    const types = [int64];
    const operator = openJoin(kernel, both("inner", { types: [types, types] }));
    expect([...operator.snapshot(3)].map(({ section, length }) => [section, length])).toEqual([
      [0, 0],
      [1, 0],
    ]);
    const keys = Array.from({ length: 70_000 }, (_, row) => BigInt(row));
    pushed(operator, 1, [keys.slice(0, 35_000)], types);
    pushed(operator, 1, [keys.slice(35_000)], types);
    const batches = [...operator.snapshot(ALL_ROWS)];
    expect(batches.map(({ section, length }) => [section, length])).toEqual([
      [0, 0],
      [1, MORSEL],
      [1, 70_000 - MORSEL],
    ]);
    expect(leftOn(1, types, batches)).toEqual(keys.map((key) => [key, false]));
    operator.destroy();
  });

  test("what leaves takes no more room than a batch", () => {
    const types = [int64, int64, int64, int64];
    const operator = openJoin(kernel, both("inner", { types: [types, types] }));
    const column = Array.from({ length: 60_000 }, (_, row) => BigInt(row));
    const table = types.map(() => column);
    for (let at = 0; at < 4; at++) pushed(operator, 0, table, types);
    const { stateBytes } = operator.stats();
    let rows = 0;
    for (const { length } of operator.snapshot(ALL_ROWS)) rows += length;
    expect(rows).toBe(240_000);
    expect(operator.stats().stateBytes - stateBytes).toBeLessThan(MORSEL * 4 * 8 * 1.5);
    operator.destroy();
  });

  test("rows of a port whose other port has closed stay behind", () => {
    for (const closed of PORTS) {
      const other = (1 - closed) as Port;
      const operator = openJoin(kernel, both("full"));
      pushed(operator, closed, side(20, 0));
      ended(operator, closed);
      pushed(operator, other, side(15, 6));
      const batches = [...operator.snapshot()];
      expect(leftOn(other, TYPES, batches)).toEqual([]);
      const matched = hasMatch(side(20, 0), side(15, 6));
      expect(leftOn(closed, TYPES, batches)).toEqual(
        rowsIn(side(20, 0)).map((row, at) => [...row, matched[at]!]),
      );
      ended(operator, other);
      expect(leftOn(closed, TYPES, [...operator.snapshot()])).toEqual([]);
      operator.destroy();
    }
  });

  test.each([0, JoinFault.SMALL_STEPS])(
    "rows that have left alone do not leave again, faults %i",
    (faults) => {
      const table = side(20, 0);
      for (let gone = 0; gone <= 20; gone++) {
        const operator = openJoin(kernel, both("left", { faults }));
        pushed(operator, 0, table);
        operator.watermark(END, 1);
        const rows: Value[][] = [];
        while (rows.length < gone) {
          const { batch } = operator.tryPull(Math.min(3, gone - rows.length));
          if (batch !== null) rows.push(...rowsOf([batch]));
        }
        let left: Value[][] | null = null;
        while (left === null) {
          try {
            left = leftOn(0, TYPES, [...operator.snapshot(4)]);
          } catch (error) {
            // Of a step that was found, some rows wait.
            expect((error as Error).message).toMatch(BUSY);
            rows.push(...rowsOf([operator.tryPull(1).batch!]));
          }
        }
        const alone = rows.map((row) => row.slice(0, TYPES.length));
        expect(multiset([...marked(alone, false), ...left])).toEqual(multiset(marked(rowsIn(table), false)));
        rows.push(...pulled(operator));
        expect(rows.length).toBe(20);
        operator.destroy();
      }
    },
  );

  test("NOT IN: whether a right row has come, and one without a key", () => {
    const types = [int32];
    const query = both("anti", { types: [types, types], nullAware: true });
    for (const [keys, facts] of [
      [[], 0],
      [[7n, 8n], SOME],
      [[7n, null, 8n], SOME | NULLS],
    ] as const) {
      for (const isLast of [false, true]) {
        const operator = openJoin(kernel, query);
        pushed(operator, 0, [[1n, null, 7n]], types);
        if (isLast) ended(operator, 0);
        // Of right rows that come last no row is kept.
        pushed(operator, 1, [keys], types);
        const batches = [...operator.snapshot(1)];
        expect(new Set(batches.map(({ section }) => section & ~PORT))).toEqual(new Set([facts]));
        expect(leftOn(1, types, batches).length).toBe(isLast ? 0 : keys.length);
        operator.destroy();
      }
    }
    // They mean nothing elsewhere.
    const operator = openJoin(kernel, { ...query, nullAware: false });
    pushed(operator, 1, [[null, 7n]], types);
    expect([...operator.snapshot()].map(({ section }) => section)).toEqual([0, 1]);
    operator.destroy();
  });

  test("nothing leaves while results wait, and nothing else is done while rows leave", () => {
    const table = side(20, 0);
    const operator = openJoin(kernel, both("left"));
    push(operator, 0, table);
    expect(push(operator, 1, table)).toBe(Status.HAS_MORE);
    // Pairs that are not found yet, those that are, and none.
    expect(() => [...operator.snapshot()]).toThrow(BUSY);
    operator.tryPull(5);
    expect(() => [...operator.snapshot()]).toThrow(BUSY);
    pulled(operator);
    const leaving = operator.snapshot(8);
    expect(leaving.next().done).toBe(false);
    for (const call of [
      () => push(operator, 0, table),
      () => operator.pull(),
      () => operator.watermark(END, 1),
    ])
      expect(call).toThrow(BUSY);
    // One that is given up begins anew.
    leaving.return(undefined);
    expect(leftOn(0, TYPES, [...operator.snapshot()]).length).toBe(20);
    // Rows that leave alone.
    ended(operator, 1);
    push(operator, 0, side(20, 100));
    operator.tryPull(5);
    expect(() => [...operator.snapshot()]).toThrow(BUSY);
    expect(pulled(operator).length).toBe(15);
    expect(leftOn(0, TYPES, [...operator.snapshot()])).toEqual([]);
    operator.destroy();
  });

  test("rows leave only a join that was made for it and keeps them itself, and undivided", () => {
    const query = both("inner");
    const plain = openJoin(kernel, { ...query, keepOutputs: false });
    expect(() => [...plain.snapshot()]).toThrow(NO_STATE);
    const owner = openJoin(kernel, query);
    expect(() => [...owner.snapshotParts(8)]).toThrow(NO_STATE);
    pushed(owner, 1, side(20, 0));
    ended(owner, 1);
    const reader = openJoin(kernel, query);
    reader.attach(owner, 1);
    expect(() => [...reader.snapshot()]).toThrow(NO_STATE);
    expect(leftOn(1, TYPES, [...owner.snapshot()]).length).toBe(20);
    for (const operator of [reader, owner, plain]) operator.destroy();
  });

  describe("rows that had a match elsewhere", () => {
    const types = [...TYPES, bool];
    const query = (how: JoinHow, matched: readonly [boolean, boolean]): JoinQuery =>
      both(how, {
        types: [matched[0] ? types : TYPES, matched[1] ? types : TYPES],
        matched,
        // Nor need they leave from here.
        keepOutputs: false,
      });
    const nulls = TYPES.map(() => null);
    const marks = Array.from({ length: 24 }, (_, row) => row % 3 !== 0);
    const table = side(24, 0);
    const other = side(9, 12);

    const beside = (port: Port, mine: readonly Value[], theirs: readonly Value[]) =>
      port === 0 ? [...mine, ...theirs] : [...theirs, ...mine];
    /** Pairs, and rows of the port that nobody has matched. */
    const wanted = (how: JoinHow, port: Port, isMarked: readonly boolean[]) => {
      const plain = both(how);
      const tables = port === 0 ? ([table, other] as const) : ([other, table] as const);
      const spared = rowsIn(table)
        .filter((_, row) => isMarked[row] && !hasMatch(table, other)[row])
        .map((row) => beside(port, row, nulls));
      const all = multiset(expectedJoin(plain, tables));
      const left = missing(all, multiset(spared));
      expect(left.length).toBe(all.length - spared.length);
      return left;
    };

    test.each([
      ["left", 0],
      ["right", 1],
      ["full", 0],
      ["full", 1],
    ] as const)("do not leave alone, but with each further match: %s, port %i", (how, port) => {
      const turned = (1 - port) as Port;
      const matched = [port === 0, port === 1] as const;
      for (const order of [
        [port, turned],
        [turned, port],
      ] as const) {
        // Before the other side ends, and after it: there rows that have no mark leave with their push.
        for (const endsFirst of [false, true]) {
          const operator = openJoin(kernel, query(how, matched));
          const rows: Value[][] = [];
          for (const one of order) {
            const mine = one === port;
            rows.push(...pushed(operator, one, mine ? [...table, marks] : other, mine ? types : TYPES));
            if (endsFirst) rows.push(...ended(operator, one));
          }
          if (!endsFirst) for (const one of order) rows.push(...ended(operator, one));
          operator.destroy();
          expect(multiset(rows)).toEqual(wanted(how, port, marks));
        }
      }
    });

    test("one that does not know has had none, whatever lies under the null", () => {
      const operator = openJoin(kernel, query("left", [true, false]));
      const batch = batchOf(types, [...table, marks.map(() => true)]);
      const known = new Uint8Array(3);
      marks.forEach((mark, row) => {
        if (mark) known[row >> 3]! |= 1 << (row & 7);
      });
      const columns = batch.columns.map((column, at) =>
        at === TYPES.length
          ? { ...column, validity: known, nullCount: marks.filter((mark) => !mark).length }
          : column,
      );
      operator.push({ ...batch, columns }, 0, undefined, 0, 0);
      const rows = [...pushed(operator, 1, other), ...ended(operator, 0), ...ended(operator, 1)];
      operator.destroy();
      expect(multiset(rows)).toEqual(wanted("left", 0, marks));
    });
  });

  test("every allocation may fail while rows leave: the join is as it was, and all leave the second time", () => {
    const tables = [side(90, 0), side(70, 30)] as const;
    const more = [side(5, 20), side(5, 88)] as const;
    const query = both("full", { kept: true });
    const whole = [appended(tables[0], more[0]), appended(tables[1], more[1])] as const;
    const wanted = multiset(expectedJoin(query, whole));
    const fed = () => {
      const one = new Fed(kernel, { query, tables, feeds: [], maxRows: MORSEL });
      for (const port of PORTS) {
        one.feed({ port, rows: MORSEL });
        one.drain();
      }
      return one;
    };
    const calm = fed();
    const batches = [...calm.operator.snapshot(40)];
    const rows = PORTS.map((port) => leftOn(port, TYPES, batches));
    expect(rows.map(({ length }) => length)).toEqual([90, 70]);
    calm.operator.destroy();
    let failures = 0;
    const story = (nth: number) => {
      kernel.failAllocation(0);
      const one = fed();
      const { operator } = one;
      const retries = new Retries(kernel);
      kernel.failAllocation((nth | SMALL_TOO) >>> 0);
      const left = retries.again(() => [...operator.snapshot(40)]);
      expect(PORTS.map((port) => leftOn(port, TYPES, left))).toEqual(rows);
      failures += retries.failures;
      if (retries.failures > 0) {
        for (const port of PORTS) {
          push(operator, port, more[port]);
          one.drain();
        }
        expect(one.finish()).toEqual(wanted);
      } else operator.destroy();
    };
    failEach(kernel, 1, 1, story);
    expect(failures).toBeGreaterThan(10);
  });

  test("rows too large for what memory is left leave in smaller batches", () => {
    const types = [int64, utf8];
    const operator = openJoin(kernel, both("inner", { types: [types, types] }));
    const table: Table = [
      Array.from({ length: 400 }, (_, row) => BigInt(row)),
      Array.from({ length: 400 }, (_, row) => `${row}`.padEnd(10_000, "x")),
    ];
    pushed(operator, 0, table, types);
    kernel.setBudget(kernel.usedBytes + 2 ** 20);
    try {
      expect(() => [...operator.snapshot(400)]).toThrow(MemoryLimitError);
      expect(leftOn(0, types, [...operator.snapshot(20)])).toEqual(marked(rowsIn(table), false));
    } finally {
      kernel.setBudget("512 MiB");
    }
    operator.destroy();
  });
});
