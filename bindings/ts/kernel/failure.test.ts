// The sentences that people read, from the numbers that the kernel leaves.

import { beforeAll, describe, expect, test } from "vitest";
import { Type } from "../../../kernel/abi/layout.js";
import { Reason, Status } from "../../../kernel/abi/status.js";
import { writeColumn } from "../../../twin/values.js";
import { type DataType, decimal, float64, int32, int64, timestamp, uint64, utf8 } from "../type/data-type.js";
import * as errors from "../type/error.js";
import { decodeValue, type Failure, type FailureContext, failureError, formatValue } from "./failure.js";
import { Kernel } from "./kernel.js";

let kernel: Kernel;
beforeAll(async () => {
  kernel = await Kernel.open({ budget: "64 MiB" });
});

const field = (name: string, type: DataType) => ({ name, type, nullable: true });
const context: FailureContext = {
  inputs: [field("id", int32), field("price", decimal(10, 2)), field("name", utf8)],
  outputs: [field("k", utf8), field("total", int64), field("money", decimal(38, 2))],
  labels: ['key "k"', 'sum "total"', 'sum "money"'],
  instruction: (index) => (index === 3 ? "price * quantity" : undefined),
  firstRow: 1000,
};

function bytesOf(type: DataType, value: number | bigint): Uint8Array {
  const bytes = new Uint8Array(16);
  bytes.set(writeColumn(type, [value]).values);
  return bytes;
}

function pair(a: bigint, b: bigint): Uint8Array {
  return new Uint8Array(BigInt64Array.of(a, b).buffer);
}

function errorOf(failure: Partial<Failure>): errors.MillraceError {
  const none: Failure = {
    status: Status.OVERFLOW,
    reason: Reason.NONE,
    column: -1,
    isOutput: false,
    row: null,
    type: Type.NONE,
    value: new Uint8Array(16),
    detail: 0,
  };
  return failureError({ ...none, ...failure }, kernel.memory, context);
}

describe("sentences", () => {
  const cases: readonly (readonly [
    string,
    Partial<Failure>,
    { code: errors.ErrorCode; [key: string]: unknown },
  ])[] = [
    [
      'sum "total" overflows int64: 9223372036854775808',
      {
        reason: Reason.SUM_OVERFLOW,
        isOutput: true,
        column: 1,
        type: Type.I128,
        value: bytesOf(decimal(38, 0), 2n ** 63n),
      },
      { code: "OVERFLOW", column: "total", value: 2n ** 63n },
    ],
    [
      `sum "money" needs more than 38 digits: ${"9".repeat(36)}.99`,
      {
        reason: Reason.DECIMAL_OVERFLOW,
        isOutput: true,
        column: 2,
        type: Type.I128,
        value: bytesOf(decimal(38, 0), 10n ** 38n - 1n),
      },
      { code: "OVERFLOW", column: "money" },
    ],
    [
      "price * quantity, row 1017: the result does not fit int64 (operands 9223372036854775807 and 2)",
      {
        reason: Reason.INTEGER_OVERFLOW,
        row: 17,
        detail: 3,
        type: Type.I64,
        value: pair(2n ** 63n - 1n, 2n),
      },
      { code: "OVERFLOW", row: 1017, value: 2n ** 63n - 1n },
    ],
    [
      "row 1000: the result does not fit int32 (operand -2147483648)",
      { reason: Reason.INTEGER_OVERFLOW, row: 0, detail: 4, type: Type.I32, value: pair(-(2n ** 31n), 0n) },
      { code: "OVERFLOW", row: 1000 },
    ],
    [
      'column "name", row 1002: dictionary index 9 is out of range, the dictionary has 1 value',
      {
        status: Status.MALFORMED,
        reason: Reason.DICTIONARY_INDEX,
        column: 2,
        row: 2,
        type: Type.I64,
        value: pair(9n, 0n),
        detail: 1,
      },
      { code: "MALFORMED_ARROW", column: "name", row: 1002, value: 9n },
    ],
    [
      'column "name", row 1001: offset 7 lies outside the values',
      {
        status: Status.MALFORMED,
        reason: Reason.OFFSET_PAST_END,
        column: 2,
        row: 1,
        type: Type.I64,
        value: pair(7n, 0n),
      },
      { code: "MALFORMED_ARROW" },
    ],
    [
      "price * quantity, row 1001: 1e+300 is out of range for the target type",
      {
        status: Status.INVALID_CAST,
        reason: Reason.CAST_RANGE,
        row: 1,
        detail: 3,
        type: Type.F64,
        value: bytesOf(float64, 1e300),
      },
      { code: "CAST", value: 1e300 },
    ],
    [
      'row 1001: "abc" is not a value of the target type',
      {
        status: Status.INVALID_CAST,
        reason: Reason.CAST_TEXT,
        row: 1,
        type: Type.BYTES,
        value: new TextEncoder().encode("abc"),
      },
      { code: "CAST" },
    ],
    [
      'column "id": the batch has int32 where the operator takes texts or bytes',
      { status: Status.TYPE_MISMATCH, reason: Reason.COLUMN_TYPE, column: 0, detail: Type.BYTES },
      { code: "SCHEMA_MISMATCH", column: "id", expected: "texts or bytes" },
    ],
    [
      "the state belongs to an operator with another configuration",
      { status: Status.CORRUPT_STATE, reason: Reason.STATE_CONFIG },
      { code: "CORRUPT_STATE" },
    ],
    [
      "the operator's program is malformed",
      { status: Status.BAD_ARGUMENT, reason: Reason.BAD_PROGRAM },
      { code: "ARGUMENT" },
    ],
  ];

  test.each(cases)("%s", (message, failure, properties) => {
    const error = errorOf(failure);
    expect(error.message).toBe(message);
    expect(error).toMatchObject(properties);
  });

  test("memory says how much is asked for, in use, and allowed", () => {
    const error = errorOf({ status: Status.OUT_OF_MEMORY, reason: Reason.MEMORY_LIMIT, detail: 3 * 2 ** 20 });
    expect(error).toBeInstanceOf(errors.MemoryLimitError);
    expect(error.message).toBe(
      "memory limit: 3 MiB more do not fit, 512.19 KiB of the budget of 64 MiB are in use",
    );
  });

  test("no reason and no status is left without words", () => {
    for (let reason = 0; reason <= Reason.TEXT_TOO_LONG; reason++) {
      for (let status: number = Status.MALFORMED; status < 0; status++) {
        const { message, code } = errorOf({ reason, status, column: 0, row: 1 });
        expect(message).not.toMatch(/undefined|null|NaN| {2}/);
        expect(message.length).toBeGreaterThan(10);
        expect(code).toBeTruthy();
      }
    }
  });
});

test("values of the record", () => {
  expect(decodeValue(Type.U64, bytesOf(uint64, 2n ** 64n - 1n))).toBe(2n ** 64n - 1n);
  expect(decodeValue(Type.I128, bytesOf(decimal(38, 0), -5n))).toBe(-5n);
  expect(decodeValue(Type.I64, bytesOf(timestamp("us"), -1n))).toBe(-1n);
  expect(decodeValue(Type.BOOL, new Uint8Array(16))).toBe(false);
  expect(formatValue(-5n, decimal(10, 3))).toBe("-0.005");
  expect(formatValue(12345n, decimal(10, 2))).toBe("123.45");
  expect(formatValue(7n, decimal(10, -2))).toBe("700");
  expect(formatValue(Uint8Array.of(1, 255), { kind: "binary" })).toBe("0x01ff");
  expect(formatValue(new TextEncoder().encode("é".repeat(100)), utf8)).toMatch(/^"é+.*"\.\.\.$/);
});
