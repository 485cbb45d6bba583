import { afterAll, describe, expect, test } from "vitest";
import { encodeProjectConfig } from "../../bindings/ts/kernel/config.js";
import type { BatchDescriptor, ColumnDescriptor } from "../../bindings/ts/kernel/descriptor.js";
import { writeBatch, writeColumn as writeDescriptor } from "../../bindings/ts/kernel/descriptor.js";
import { readFailure } from "../../bindings/ts/kernel/failure.js";
import { Kernel } from "../../bindings/ts/kernel/kernel.js";
import { type Operation, ProgramBuilder } from "../../bindings/ts/kernel/program.js";
import * as types from "../../bindings/ts/type/data-type.js";
import { MemoryLimitError } from "../../bindings/ts/type/error.js";
import { writeColumn } from "../../twin/values.js";
import { Instruction, Opcode, ProgramHeader, ProgramLimit, TimePart } from "../abi/instruction.js";
import { Type } from "../abi/layout.js";
import { OperatorKind } from "../abi/operator.js";
import { Reason, Status } from "../abi/status.js";
import { BUILDS, batchOf, runProgram } from "./testing.js";

const NONE: number = ProgramLimit.NO_REGISTER;

/** A sound program to damage: two loads, their sum, a filter, a load and a literal as outputs. */
function soundProgram(): ProgramBuilder {
  const program = new ProgramBuilder();
  const [a, b, text] = [program.column(Type.I64), program.column(Type.I64), program.column(Type.BYTES)] as [
    number,
    number,
    number,
  ];
  const sum = program.emit(Opcode.ADD, Type.I64, { a: program.load(a), b: program.load(b) });
  program.filter(
    program.emit(Opcode.LESS, Type.I64, { target: Type.BOOL, a: sum, b: program.literal(Type.I64, 10n) }),
  );
  program.output(program.load(a));
  program.output(program.literal(Type.BYTES, "constant"));
  program.output(
    program.emit(Opcode.IN, Type.BYTES, {
      target: Type.BOOL,
      a: program.load(text),
      arg0: program.list(Type.BYTES, ["x", "yy"]),
    }),
  );
  return program;
}

/** Offset of the literal pool of a program with three outputs. */
function poolStart(view: DataView, instructions: number): number {
  return (
    (instructions + view.getUint32(ProgramHeader.INSTRUCTIONS, true) * Instruction.SIZE + 3 * 4 + 7) & ~7
  );
}

describe.each(BUILDS)("programs, %s build", async (build) => {
  const kernel = await Kernel.open({ build });
  const blocks = kernel.blocks;
  afterAll(() => expect(kernel.blocks).toBe(blocks));

  /** Creates a PROJECT from program bytes: 0 and the record, or the handle. */
  const create = (bytes: Uint8Array, outputs: number) => {
    const config = encodeProjectConfig(bytes, outputs);
    const address = kernel.allocate(config.length);
    kernel.memory.bytes.set(config, address);
    const handle =
      kernel.call((exports, context) =>
        exports.op_create(context, OperatorKind.PROJECT, address, config.length),
      ) >>> 0;
    const failure = readFailure(
      kernel.memory,
      kernel.call((exports, context) => exports.last_error(context)) >>> 0,
    );
    kernel.free(address);
    return { handle, failure };
  };
  const destroy = (handle: number) => kernel.call((exports, context) => exports.op_destroy(context, handle));

  test("a sound program is taken", () => {
    const { handle } = create(soundProgram().encode(), 3);
    expect(handle).not.toBe(0);
    destroy(handle);
  });

  const instructionBase = (bytes: Uint8Array) => {
    const view = new DataView(bytes.buffer);
    const types_ =
      view.getUint32(ProgramHeader.COLUMNS, true) + view.getUint32(ProgramHeader.REGISTERS, true);
    return (ProgramHeader.SIZE + types_ * 4 + 7) & ~7;
  };

  test.each<[string, number | null, (view: DataView, at: (index: number) => number) => void]>([
    ["another version", null, (view) => view.setUint32(ProgramHeader.VERSION, 99, true)],
    ["too many columns", null, (view) => view.setUint32(ProgramHeader.COLUMNS, 1e6, true)],
    ["too many registers", null, (view) => view.setUint32(ProgramHeader.REGISTERS, 5000, true)],
    ["more instructions than bytes", null, (view) => view.setUint32(ProgramHeader.INSTRUCTIONS, 4000, true)],
    ["a pool past the end", null, (view) => view.setUint32(ProgramHeader.LITERAL_BYTES, 0xfffffff0, true)],
    ["an unknown column type", null, (view) => view.setUint32(ProgramHeader.SIZE, 77, true)],
    ["an unknown opcode", 2, (view, at) => view.setUint16(at(2) + Instruction.OPCODE, 999, true)],
    ["an opcode between families", 2, (view, at) => view.setUint16(at(2) + Instruction.OPCODE, 29, true)],
    ["a column that is not there", 0, (view, at) => view.setUint32(at(0) + Instruction.ARG0, 3, true)],
    ["a load of another type", 1, (view, at) => view.setUint16(at(1) + Instruction.TYPE, Type.I32, true)],
    ["an operand that is not there", 2, (view, at) => view.setUint16(at(2) + Instruction.B, NONE, true)],
    ["an operand too many", 2, (view, at) => view.setUint16(at(2) + Instruction.C, 0, true)],
    ["an operand past the registers", 2, (view, at) => view.setUint16(at(2) + Instruction.A, 4000, true)],
    ["an operand written later", 2, (view, at) => view.setUint16(at(2) + Instruction.A, 4, true)],
    ["an operand of another type", 4, (view, at) => view.setUint16(at(4) + Instruction.TYPE, Type.F64, true)],
    ["a target written before", 2, (view, at) => view.setUint16(at(2) + Instruction.TARGET, 0, true)],
    ["a target past the registers", 2, (view, at) => view.setUint16(at(2) + Instruction.TARGET, 4000, true)],
    ["a target of another type", 4, (view, at) => view.setUint16(at(4) + Instruction.TARGET, 5, true)],
    ["a mask that is no boolean", 2, (view, at) => view.setUint16(at(2) + Instruction.MASK, 0, true)],
    ["a filter by a number", 5, (view, at) => view.setUint16(at(5) + Instruction.A, 2, true)],
    ["a literal outside the pool", 3, (view, at) => view.setUint32(at(3) + Instruction.ARG0, 4096, true)],
    ["a literal off its alignment", 3, (view, at) => view.setUint32(at(3) + Instruction.ARG0, 4, true)],
    ["a list outside the pool", 9, (view, at) => view.setUint32(at(9) + Instruction.ARG0, 0xfffffff8, true)],
    [
      "a list longer than the pool",
      9,
      (view, at) =>
        view.setUint32(poolStart(view, at(0)) + view.getUint32(at(9) + Instruction.ARG0, true), 500, true),
    ],
  ])("%s is refused", (_name, instruction, damage) => {
    const bytes = soundProgram().encode();
    const base = instructionBase(bytes);
    const view = new DataView(bytes.buffer);
    damage(view, (index) => base + index * Instruction.SIZE);
    const { handle, failure } = create(bytes, 3);
    expect(handle).toBe(0);
    expect(failure).toMatchObject({ status: Status.BAD_ARGUMENT, reason: Reason.BAD_PROGRAM });
    if (instruction !== null) expect(failure.detail).toBe(instruction);
  });

  /** One column of each of these types, loaded into the registers 0 to 5. */
  const OPERANDS = [Type.I64, Type.F64, Type.BYTES, Type.BOOL, Type.I128, Type.I8] as const;
  const [whole, float, text, flag, decimal, narrow] = [0, 1, 2, 3, 4, 5];
  const DAY = 86_400n;
  type Draft = [opcode: number, type: Type, operation: Operation, pool?: readonly number[]];
  const drafted = ([opcode, type, operation, pool]: Draft) => {
    const program = new ProgramBuilder();
    for (const column of OPERANDS) program.load(program.column(column));
    const arg0 =
      pool === undefined ? operation.arg0 : program.pool(new Uint8Array(Int32Array.from(pool).buffer));
    program.output(program.emit(opcode, type, { ...operation, ...(arg0 === undefined ? {} : { arg0 }) }));
    return create(program.encode(), 1);
  };
  const I64_MIN_WORDS = [0, -0x80000000];

  test.each<[string, Draft, Draft]>([
    [
      "ADD of a type to compute with",
      [Opcode.ADD, Type.I64, { a: whole, b: whole }],
      [Opcode.ADD, Type.I8, { a: narrow, b: narrow }],
    ],
    [
      "ADD of numbers",
      [Opcode.ADD, Type.F64, { a: float, b: float }],
      [Opcode.ADD, Type.BOOL, { a: flag, b: flag }],
    ],
    ["FLOOR of floats", [Opcode.FLOOR, Type.F64, { a: float }], [Opcode.FLOOR, Type.I64, { a: whole }]],
    [
      "CEIL to a digit that there is",
      [Opcode.CEIL, Type.I128, { a: decimal, arg0: 38 }],
      [Opcode.CEIL, Type.I128, { a: decimal, arg0: 39 }],
    ],
    [
      "ROUND of a scale that there is",
      [Opcode.ROUND, Type.I128, { a: decimal, arg1: 38 }],
      [Opcode.ROUND, Type.I128, { a: decimal, arg1: 39 }],
    ],
    ["ROUND of floats", [Opcode.ROUND, Type.F64, { a: float }], [Opcode.ROUND, Type.I64, { a: whole }]],
    [
      "AND to a boolean",
      [Opcode.AND, Type.BOOL, { a: flag, b: flag }],
      [Opcode.AND, Type.BOOL, { a: flag, b: flag, target: Type.I64 }],
    ],
    ["a known logical operation", [Opcode.IS_TRUE, Type.BOOL, { a: flag }], [49, Type.BOOL, { a: flag }]],
    [
      "a known conversion",
      [Opcode.CAST, Type.I64, { a: whole, target: Type.F64 }],
      [55, Type.I64, { a: whole, target: Type.F64 }],
    ],
    [
      "CAST of texts to something else",
      [Opcode.CAST, Type.BYTES, { a: text, target: Type.I64 }],
      [Opcode.CAST, Type.BYTES, { a: text }],
    ],
    [
      "CASE_MAP to a text",
      [Opcode.CASE_MAP, Type.BYTES, { a: text }, [0, 0]],
      [Opcode.CASE_MAP, Type.BYTES, { a: text, target: Type.I64 }, [0, 0]],
    ],
    [
      "CASE_MAP by a table of the pool",
      [Opcode.CASE_MAP, Type.BYTES, { a: text }, [1, 0, 97, 65]],
      [Opcode.CASE_MAP, Type.BYTES, { a: text, arg0: 8 }],
    ],
    [
      "CASE_MAP by a table that ends in it",
      [Opcode.CASE_MAP, Type.BYTES, { a: text }, [1, 0, 97, 65]],
      [Opcode.CASE_MAP, Type.BYTES, { a: text }, [2, 0, 97, 65]],
    ],
    [
      "CASE_MAP from code points",
      [Opcode.CASE_MAP, Type.BYTES, { a: text }, [1, 0, 0x10ffff, 65]],
      [Opcode.CASE_MAP, Type.BYTES, { a: text }, [1, 0, 0x110000, 65]],
    ],
    [
      "CASE_MAP to code points",
      [Opcode.CASE_MAP, Type.BYTES, { a: text }, [1, 0, 97, 0x10ffff]],
      [Opcode.CASE_MAP, Type.BYTES, { a: text }, [1, 0, 97, -1]],
    ],
    [
      "CASE_MAP by an ascending table",
      [Opcode.CASE_MAP, Type.BYTES, { a: text }, [2, 0, 97, 65, 98, 66]],
      [Opcode.CASE_MAP, Type.BYTES, { a: text }, [2, 0, 97, 65, 97, 66]],
    ],
    [
      "TRIM of a side",
      [Opcode.TRIM, Type.BYTES, { a: text, arg0: 3 }],
      [Opcode.TRIM, Type.BYTES, { a: text, arg0: 4 }],
    ],
    [
      "a known operation of texts",
      [Opcode.CONCAT, Type.BYTES, { a: text, b: text }],
      [71, Type.BYTES, { a: text, b: text }],
    ],
    [
      "TIME_PART of a part",
      [Opcode.TIME_PART, Type.I64, { a: whole, arg0: TimePart.EPOCH, immediate: DAY }],
      [Opcode.TIME_PART, Type.I64, { a: whole, arg0: 16, immediate: DAY }],
    ],
    [
      "TIME_PART of ticks",
      [Opcode.TIME_PART, Type.I64, { a: whole, arg0: 1, immediate: 1n }],
      [Opcode.TIME_PART, Type.I64, { a: whole, arg0: 1, immediate: 3600n }],
    ],
    [
      "TIME_TRUNCATE to a part",
      [Opcode.TIME_TRUNCATE, Type.I64, { a: whole, arg0: TimePart.WEEK, immediate: DAY }],
      [Opcode.TIME_TRUNCATE, Type.I64, { a: whole, arg0: TimePart.EPOCH, immediate: DAY }],
    ],
    [
      "a known operation of times",
      [Opcode.ADD_MONTHS, Type.I64, { a: whole, b: whole, immediate: DAY }],
      [85, Type.I64, { a: whole, b: whole, immediate: DAY }],
    ],
    [
      "TO_LOCAL of ticks a second",
      [Opcode.TO_LOCAL, Type.I64, { a: whole, immediate: 1n }, [1, 0, ...I64_MIN_WORDS, 60, 0]],
      [Opcode.TO_LOCAL, Type.I64, { a: whole, immediate: 60n }, [1, 0, ...I64_MIN_WORDS, 60, 0]],
    ],
    [
      "TO_LOCAL by a table of the pool",
      [Opcode.TO_LOCAL, Type.I64, { a: whole, immediate: 1n }, [1, 0, ...I64_MIN_WORDS, 60, 0]],
      [Opcode.TO_LOCAL, Type.I64, { a: whole, immediate: 1n, arg0: 0 }],
    ],
    [
      "TO_LOCAL by a table with entries",
      [Opcode.TO_LOCAL, Type.I64, { a: whole, immediate: 1n }, [1, 0, ...I64_MIN_WORDS, 60, 0]],
      [Opcode.TO_LOCAL, Type.I64, { a: whole, immediate: 1n }, [0, 0, ...I64_MIN_WORDS, 60, 0]],
    ],
    [
      "FROM_LOCAL from the beginning of time",
      [Opcode.FROM_LOCAL, Type.I64, { a: whole, immediate: 1n }, [1, 0, ...I64_MIN_WORDS, 60, 0]],
      [Opcode.FROM_LOCAL, Type.I64, { a: whole, immediate: 1n }, [1, 0, 0, 0, 60, 0]],
    ],
    [
      "FROM_LOCAL by offsets within two days",
      [Opcode.FROM_LOCAL, Type.I64, { a: whole, immediate: 1n }, [1, 0, ...I64_MIN_WORDS, 172_800, 0]],
      [Opcode.FROM_LOCAL, Type.I64, { a: whole, immediate: 1n }, [1, 0, ...I64_MIN_WORDS, 172_801, 0]],
    ],
    [
      "FROM_LOCAL by an ascending table",
      [Opcode.FROM_LOCAL, Type.I64, { a: whole, immediate: 1n }, [2, 0, ...I64_MIN_WORDS, 0, 0, 5, 0, 60, 0]],
      [
        Opcode.FROM_LOCAL,
        Type.I64,
        { a: whole, immediate: 1n },
        [2, 0, ...I64_MIN_WORDS, 0, 0, ...I64_MIN_WORDS, 60, 0],
      ],
    ],
  ])("%s is taken, another is not", (_, sound, unsound) => {
    const { handle } = drafted(sound);
    expect(handle).not.toBe(0);
    destroy(handle);
    const refused = drafted(unsound);
    expect(refused.handle).toBe(0);
    expect(refused.failure).toMatchObject({
      status: Status.BAD_ARGUMENT,
      reason: Reason.BAD_PROGRAM,
      detail: OPERANDS.length,
    });
  });

  test("a register read after a filter is refused, a literal is not", () => {
    const program = new ProgramBuilder();
    const a = program.load(program.column(Type.I64));
    const literal = program.literal(Type.BOOL, true);
    program.filter(literal);
    program.output(literal);
    const { handle } = create(program.encode(), 1);
    expect(handle).not.toBe(0);
    destroy(handle);
    program.output(a);
    expect(create(program.encode(), 2).handle).toBe(0);
  });

  test("every truncation and any single wrong byte is refused or runs, and never traps", () => {
    const bytes = soundProgram().encode();
    for (let length = 0; length < bytes.length; length++) {
      expect(create(bytes.slice(0, length), 3).handle).toBe(0);
    }
    const columns = [
      writeColumn(types.int64, [1n, null, 30n]),
      writeColumn(types.int64, [2n, 3n, 4n]),
      writeColumn(types.utf8, ["x", "y", null]),
    ];
    for (let at = 0; at < bytes.length; at++) {
      for (const value of [0, 1, 0x7f, 0xff]) {
        const damaged = bytes.slice();
        if (damaged[at] === value) continue;
        damaged[at] = value;
        const { handle } = create(damaged, 3);
        if (handle === 0) continue;
        destroy(handle);
        const operator = kernel.project({
          program: damaged,
          columns: [0, 1, 2],
          output: {
            fields: Array.from({ length: 3 }, (_value, i) => ({
              name: `o${i}`,
              type: types.int64,
              nullable: true,
            })),
          },
        });
        try {
          operator.push(batchOf(columns));
        } catch {
          expect(kernel.isAlive).toBe(true);
        }
        operator.destroy();
      }
    }
    expect(kernel.isAlive).toBe(true);
  });

  test("registers share buffers, literals and outputs do not", () => {
    // A long chain: were buffers not shared, 1000 registers of 16 KiB would pass the budget.
    const program = new ProgramBuilder();
    let sum = program.load(program.column(Type.I64));
    for (let step = 0; step < 1000; step++)
      sum = program.emit(Opcode.ADD, Type.I64, { a: sum, b: program.literal(Type.I64, BigInt(step % 3)) });
    program.output(sum);
    const small = kernel.budgetBytes;
    kernel.setBudget(kernel.usedBytes + 2 ** 20);
    const { handle } = create(program.encode(), 1);
    kernel.setBudget(small);
    expect(handle).not.toBe(0);
    destroy(handle);
  });

  test("an output may be any register, twice, and a literal beside it", () => {
    const rows = 2100;
    const values = Array.from({ length: rows }, (_value, row) => BigInt(row));
    const [one, two, yes, no] = runProgram(
      kernel,
      [writeColumn(types.int64, values)],
      [types.int64, types.int64, types.bool, types.bool],
      (program, a) => {
        const literal = program.literal(Type.BOOL, true);
        return [a!, a!, literal, program.emit(Opcode.NOT, Type.BOOL, { a: literal })];
      },
    );
    expect([one, two, yes, no]).toEqual([values, values, values.map(() => true), values.map(() => false)]);
  });

  test("every allocation of a large program's creation may fail, and nothing leaks", () => {
    // More registers, and more tables of case mapping, than the first pieces of memory hold.
    const program = new ProgramBuilder();
    const arg0 = program.caseTable([[0x61, 0x41]]);
    let a = program.load(program.column(Type.BYTES));
    for (let step = 0; step < 600; step++) a = program.emit(Opcode.CASE_MAP, Type.BYTES, { a, arg0 });
    program.output(a);
    const config = encodeProjectConfig(program.encode(), 1);
    const address = kernel.allocate(config.length);
    kernel.memory.bytes.set(config, address);
    const before = kernel.blocks;
    let failures = 0;
    for (let handle = 0; handle === 0; ) {
      kernel.failAllocation(failures + 1);
      handle =
        kernel.call((exports, context) =>
          exports.op_create(context, OperatorKind.PROJECT, address, config.length),
        ) >>> 0;
      kernel.failAllocation(0);
      if (handle === 0) failures++;
      else destroy(handle);
      expect(kernel.blocks).toBe(before);
    }
    kernel.free(address);
    expect(failures).toBeGreaterThan(20);
  });

  test("every allocation of create and push may fail, and nothing leaks", () => {
    const program = new ProgramBuilder();
    const text = program.load(program.column(Type.BYTES));
    const twice = program.emit(Opcode.CONCAT, Type.BYTES, { a: text, b: text });
    program.output(
      program.emit(Opcode.CASE_MAP, Type.BYTES, { a: twice, arg0: program.caseTable([[0x61, 0x41]]) }),
    );
    program.output(
      program.emit(Opcode.EQUAL, Type.BYTES, {
        target: Type.BOOL,
        a: text,
        b: program.literal(Type.BYTES, "a7"),
      }),
    );
    program.output(
      program.emit(Opcode.IN, Type.BYTES, {
        target: Type.BOOL,
        a: twice,
        arg0: program.list(Type.BYTES, ["a1a1"]),
      }),
    );
    const bytes = program.encode();
    const type = types.dictionary(types.utf8, types.int32);
    const texts = Array.from({ length: 5000 }, (_value, row) => `a${row % 1500}`);
    const column = writeColumn(type, texts);
    const fields = [types.utf8, types.bool, types.bool].map((output, i) => ({
      name: `o${i}`,
      type: output,
      nullable: true,
    }));
    const expected = [
      texts.map((value) => (value + value).toUpperCase()),
      texts.map((value) => value === "a7"),
    ];
    const before = kernel.blocks;
    let failures = 0;
    for (let nth = 1; nth < 60; nth++) {
      kernel.failAllocation(nth);
      let operator: ReturnType<Kernel["project"]> | undefined;
      try {
        operator = kernel.project({ program: bytes, columns: [0], output: { fields } });
        operator.push(batchOf([column]));
      } catch (error) {
        expect(error).toBeInstanceOf(MemoryLimitError);
        failures++;
      }
      kernel.failAllocation(0);
      if (operator !== undefined) {
        // A push that did not happen may be repeated.
        const pending = operator.pull();
        const batches = pending === null ? [...operator.process(batchOf([column]))] : [pending];
        expect(batches[0]!.columns[0]!.length).toBe(5000);
        expect(new TextDecoder().decode(batches[0]!.columns[0]!.values)).toBe(expected[0]!.join(""));
        operator.destroy();
      }
      expect(kernel.blocks).toBe(before);
    }
    expect(failures).toBeGreaterThan(15);
  });
});

describe.each(BUILDS)("malformed batches, %s build", async (build) => {
  const kernel = await Kernel.open({ build });
  const area = kernel.allocate(65536);
  const batch = area;
  const descriptors = area + 64;
  const dictionaryAt = area + 256;
  const buffers = area + 1024;

  const plain: ColumnDescriptor = {
    type: Type.I32,
    trusted: false,
    length: 100,
    offset: 0,
    nullCount: -1,
    validity: 0,
    validityBytes: 0,
    values: buffers,
    valuesBytes: 4096,
    offsets: 0,
    offsetsBytes: 0,
    base: 0,
    dictionary: 0,
    dictionaryId: 0,
  };
  const text: ColumnDescriptor = {
    ...plain,
    type: Type.BYTES,
    values: buffers + 8192,
    valuesBytes: 200,
    offsets: buffers,
    offsetsBytes: 404,
  };
  const coded: ColumnDescriptor = {
    ...plain,
    type: Type.I8,
    valuesBytes: 100,
    dictionary: dictionaryAt,
    dictionaryId: 5,
  };
  const dictionary: ColumnDescriptor = { ...text, length: 10, offsets: buffers + 4096, offsetsBytes: 44 };

  /** Offsets that rise by two a row, in both places; codes 0 to 9. */
  const fill = () => {
    const view = kernel.memory.view;
    for (let row = 0; row <= 100; row++) view.setInt32(buffers + row * 4, row * 2, true);
    for (let row = 0; row <= 10; row++) view.setInt32(buffers + 4096 + row * 4, row * 2, true);
  };
  const fillCodes = () => {
    for (let row = 0; row < 100; row++) kernel.memory.view.setInt8(buffers + row, row % 10);
  };

  const push = (
    type: Type,
    column: ColumnDescriptor,
    options: { rows?: number; batch?: Partial<BatchDescriptor>; dictionary?: ColumnDescriptor } = {},
  ) => {
    const program = new ProgramBuilder();
    program.output(program.load(program.column(type)));
    const operator = kernel.operator({
      kind: OperatorKind.PROJECT,
      config: encodeProjectConfig(program.encode(), 1),
      columns: [0],
      output: { fields: [{ name: "o", type: types.int32, nullable: true }] },
    });
    const view = kernel.memory.view;
    writeDescriptor(view, descriptors, column);
    writeDescriptor(view, dictionaryAt, options.dictionary ?? dictionary);
    writeBatch(view, batch, {
      rows: options.rows ?? 100,
      offset: 0,
      columns: 1,
      descriptors,
      section: 0,
      ...options.batch,
    });
    const input = {
      kernel,
      rows: 100,
      schema: { fields: [{ name: "c", type: types.int32, nullable: true }] },
      describe: () => batch,
      source: () => null,
      view: () => null,
      bytesOf: () => 0,
    };
    let failed = false;
    try {
      operator.push(input);
    } catch {
      failed = true;
    }
    const failure = readFailure(
      kernel.memory,
      kernel.call((exports, context) => exports.last_error(context)) >>> 0,
    );
    operator.destroy();
    expect(kernel.isAlive).toBe(true);
    return failed ? failure : null;
  };

  test("sound ones pass", () => {
    fill();
    expect(push(Type.I32, plain)).toBe(null);
    expect(push(Type.BYTES, text)).toBe(null);
    expect(push(Type.I32, { ...plain, validity: buffers, validityBytes: 13 })).toBe(null);
    expect(push(Type.BYTES, { ...text, length: 0, offsets: 0, offsetsBytes: 0 }, { rows: 0 })).toBe(null);
    fillCodes();
    expect(push(Type.BYTES, coded)).toBe(null);
  });

  const malformed = (reason: Reason, row: number | null = null) => ({
    status: Status.MALFORMED,
    reason,
    column: 0,
    row,
  });

  test("buffers too short", () => {
    fill();
    expect(push(Type.I32, { ...plain, valuesBytes: 399 })).toMatchObject(malformed(Reason.VALUES_TOO_SHORT));
    expect(push(Type.I32, { ...plain, length: 200, offset: 950 })).toMatchObject(
      malformed(Reason.VALUES_TOO_SHORT),
    );
    expect(push(Type.I32, { ...plain, values: 0xfffffff0 })).toMatchObject(
      malformed(Reason.VALUES_TOO_SHORT),
    );
    expect(push(Type.BOOL, { ...plain, type: Type.BOOL, valuesBytes: 12 })).toMatchObject(
      malformed(Reason.VALUES_TOO_SHORT),
    );
    expect(push(Type.I32, { ...plain, validity: buffers, validityBytes: 12 })).toMatchObject(
      malformed(Reason.VALIDITY_TOO_SHORT),
    );
    expect(push(Type.I32, { ...plain, validity: buffers, validityBytes: 13, offset: 5 })).toMatchObject(
      malformed(Reason.VALIDITY_TOO_SHORT),
    );
    expect(push(Type.BYTES, { ...text, offsetsBytes: 400 })).toMatchObject(
      malformed(Reason.VALUES_TOO_SHORT),
    );
    expect(push(Type.BYTES, { ...text, offsets: 0 })).toMatchObject(malformed(Reason.VALUES_TOO_SHORT));
  });

  test.each([0, 1, 37, 98, 99])("offsets that decrease, or pass the end, at row %i", (row) => {
    fill();
    const at = buffers + (row + 1) * 4;
    kernel.memory.view.setInt32(at, row * 2 - 1, true);
    const decreasing = push(Type.BYTES, text);
    expect(decreasing).toMatchObject(malformed(Reason.OFFSET_DECREASES, row));
    fill();
    for (let later = row + 1; later <= 100; later++)
      kernel.memory.view.setInt32(buffers + later * 4, 201, true);
    expect(push(Type.BYTES, text)).toMatchObject(malformed(Reason.OFFSET_PAST_END, row));
    fill();
    kernel.memory.view.setInt32(buffers, -4, true);
    expect(push(Type.BYTES, text)).toMatchObject(malformed(Reason.OFFSET_PAST_END, 0));
    fill();
    expect(push(Type.BYTES, { ...text, base: 1 })).toMatchObject(malformed(Reason.OFFSET_PAST_END, 0));
  });

  test("64-bit offsets are checked in full", () => {
    const view = kernel.memory.view;
    const large = { ...text, type: Type.LARGE_BYTES, offsetsBytes: 808 };
    for (let row = 0; row <= 100; row++) view.setBigInt64(buffers + row * 8, BigInt(row * 2), true);
    expect(push(Type.BYTES, large)).toBe(null);
    view.setBigInt64(buffers + 51 * 8, 2n ** 32n + 102n, true);
    expect(push(Type.BYTES, large)).toMatchObject(malformed(Reason.OFFSET_DECREASES, 51));
    view.setBigInt64(buffers + 51 * 8, 102n, true);
    view.setBigInt64(buffers + 100 * 8, 2n ** 32n, true);
    expect(push(Type.BYTES, large)).toMatchObject(malformed(Reason.OFFSET_PAST_END, 99));
  });

  test.each([-1, 10, 127])("a dictionary index of %i", (code) => {
    fill();
    fillCodes();
    kernel.memory.view.setInt8(buffers + 63, code);
    const failure = push(Type.BYTES, coded);
    expect(failure).toMatchObject({ ...malformed(Reason.DICTIONARY_INDEX, 63), detail: 10 });
    expect(new DataView(failure!.value.buffer).getBigInt64(0, true)).toBe(BigInt(code));
    // Where the row is null, the index may be anything.
    kernel.memory.bytes.fill(0xff, buffers + 512, buffers + 525);
    kernel.memory.view.setUint8(buffers + 512 + 7, 0x7f);
    expect(push(Type.BYTES, { ...coded, validity: buffers + 512, validityBytes: 13 })).toBe(null);
  });

  test.each<[Type, number]>([
    [Type.I16, 2],
    [Type.U16, 2],
    [Type.I32, 4],
    [Type.U64, 8],
  ])("a dictionary index of type %i, all bits set, is named as it reads", (type, width) => {
    fill();
    kernel.memory.bytes.fill(0, buffers, buffers + 100 * width);
    kernel.memory.bytes.fill(0xff, buffers + 5 * width, buffers + 6 * width);
    const failure = push(Type.BYTES, { ...coded, type, valuesBytes: 100 * width });
    expect(failure).toMatchObject(malformed(Reason.DICTIONARY_INDEX, 5));
    const signed = type === Type.I16 || type === Type.I32 || type === Type.U64;
    expect(new DataView(failure!.value.buffer).getBigInt64(0, true)).toBe(signed ? -1n : 0xffffn);
  });

  test("dictionaries that are missing, damaged or of another type", () => {
    fill();
    fillCodes();
    expect(push(Type.BYTES, { ...coded, dictionary: 0xfffffff0 })).toMatchObject(
      malformed(Reason.DICTIONARY_MISSING),
    );
    kernel.memory.view.setInt32(buffers + 4096 + 3 * 4, 1, true);
    expect(push(Type.BYTES, coded)).toMatchObject({ ...malformed(Reason.OFFSET_DECREASES), detail: 2 });
    fill();
    fillCodes();
    expect(push(Type.I32, coded)).toMatchObject({
      status: Status.TYPE_MISMATCH,
      reason: Reason.COLUMN_TYPE,
      detail: Type.I32,
    });
    expect(push(Type.BYTES, { ...coded, type: Type.F64 })).toMatchObject({
      status: Status.TYPE_MISMATCH,
      column: 0,
    });
    expect(push(Type.BYTES, coded, { dictionary: { ...dictionary, offset: 0xffffffff } })).toMatchObject({
      status: Status.BAD_ARGUMENT,
      reason: Reason.BAD_BATCH,
      column: 0,
    });
    expect(push(Type.BYTES, coded, { dictionary: { ...dictionary, length: 0 } })).toMatchObject(
      malformed(Reason.DICTIONARY_INDEX, 0),
    );
  });

  test("another type, another number of columns, more rows than there are", () => {
    fill();
    expect(push(Type.I64, plain)).toMatchObject({
      status: Status.TYPE_MISMATCH,
      reason: Reason.COLUMN_TYPE,
      column: 0,
      detail: Type.I64,
    });
    expect(push(Type.I32, plain, { batch: { columns: 2 } })).toMatchObject({
      status: Status.BAD_ARGUMENT,
      reason: Reason.BAD_BATCH,
      detail: 1,
    });
    expect(push(Type.I32, plain, { batch: { columns: 0 } })).toMatchObject({
      status: Status.BAD_ARGUMENT,
      reason: Reason.BAD_BATCH,
    });
    expect(push(Type.I32, plain, { batch: { descriptors: 0xffffffe0 } })).toMatchObject({
      reason: Reason.BAD_BATCH,
    });
    expect(push(Type.I32, plain, { rows: 101 })).toMatchObject({
      status: Status.BAD_ARGUMENT,
      reason: Reason.BAD_BATCH,
      column: 0,
    });
    expect(push(Type.I32, plain, { rows: 50, batch: { offset: 51 } })).toMatchObject({
      reason: Reason.BAD_BATCH,
      column: 0,
    });
    expect(push(Type.I32, { ...plain, offset: 0xffffffff })).toMatchObject({
      reason: Reason.BAD_BATCH,
      column: 0,
    });
    expect(push(Type.I32, plain, { rows: 70000 })).toMatchObject({ reason: Reason.TOO_MANY_ROWS });
  });
});
