// Memory that runs out: the story of an operator of each kind, told again and again, with another allocation failing each
// time, until none is left to fail. Whatever fails is OUT_OF_MEMORY; a push or pull that failed goes well when it is made
// again, or the operator says that it has failed for good; in the end memory is as it was.

import { beforeAll, describe, expect, test } from "vitest";
import { Batch } from "../abi/layout.js";
import { OperatorKind } from "../abi/operator.js";
import { Status } from "../abi/status.js";
import {
  CONFIGURATIONS,
  compileBuild,
  copyState,
  Draws,
  distrust,
  END,
  FURTHER_CONFIGURATIONS,
  RAW_BUILDS,
  Raw,
  writeBatch,
  writeConfig,
} from "./testing-raw.js";
import { LASTING, SMALL_TOO } from "./testing-retries.js";

/** Every so-manieth allocation fails, of each operator others; all of them, one after the other: ALLOCATION_STRIDE=1. */
const STRIDE = Number(process.env.ALLOCATION_STRIDE ?? 47);
/** Room for windows far apart, besides what the host has. */
const PAGES = 2400;
const ROWS = 130;
const MANY = 65_536;
/** More pulls than a story gives results. */
const MOST_PULLS = 5000;

/** What a story came to: whether memory ran out in it, and rows that left. */
interface Told {
  readonly refused: number;
  readonly rows: number;
  /** Something was lost on the way: an operator failed, or was not made. */
  readonly isWhole: boolean;
}

class Story {
  readonly #raw: Raw;
  readonly #kind: OperatorKind;
  readonly #config: Uint8Array;
  readonly #batches: Map<number, Uint8Array>;
  #refused = 0;
  #rows = 0;
  #isWhole = true;

  constructor(raw: Raw, kind: OperatorKind, config: Uint8Array, batches: Map<number, Uint8Array>) {
    this.#raw = raw;
    this.#kind = kind;
    this.#config = config;
    this.#batches = batches;
  }

  tell(): Told {
    const handle = this.#make();
    if (handle !== 0) {
      for (let push = 0; push < 4; push++) {
        this.#push(handle, push);
        this.#step(
          "op_watermark",
          handle,
          this.#port(push),
          BigInt(push) * (this.#kind === OperatorKind.JOIN ? 20_000n : 5000n),
        );
        // What a join has found leaves, so that it may let rows go.
        this.#pull(handle, this.#kind === OperatorKind.JOIN ? MOST_PULLS : 3);
      }
      this.#beside(handle);
      this.#finish(handle);
      this.#raw.status("op_destroy", handle);
    }
    return { refused: this.#refused, rows: this.#rows, isWhole: this.#isWhole };
  }

  /** Its state in another operator, both brought together, and one that reads what it has kept. */
  #beside(handle: number): void {
    const other = this.#make();
    if (other === 0) return;
    this.#push(other, 1);
    this.#move(handle, other);
    const restored = this.#make();
    if (restored !== 0) {
      this.#move(handle, restored, 8);
      this.#finish(restored);
      this.#raw.status("op_destroy", restored);
    }
    if (this.#kind === OperatorKind.HASH_AGGREGATE) this.#leave(other);
    if (this.#step("op_combine", other, handle) === Status.HAS_MORE) this.#step("op_combine", other, handle);
    if (this.#step("op_divide", other, 256) >= 0) {
      const whole = this.#make();
      if (whole !== 0) {
        for (let part = 0; part < 3; part++) this.#step("op_combine_part", whole, other, part);
        this.#raw.status("op_destroy", whole);
      }
    }
    this.#raw.status("op_destroy", other);
    if (this.#kind === OperatorKind.SORT) this.#share();
    if (this.#kind !== OperatorKind.JOIN) return;
    const reader = this.#make();
    if (reader === 0) return;
    this.#step("op_watermark", handle, 0, END);
    this.#pull(handle, MOST_PULLS);
    if (this.#step("op_attach", reader, handle, 0) >= 0) {
      this.#step("op_push", reader, 1, this.#batch(9));
      this.#pull(reader, 5);
    }
    this.#raw.status("op_destroy", reader);
  }

  /** Rows that an aggregation has set aside, in another one. */
  #leave(from: number): void {
    const { out, view } = this.#raw;
    const to = this.#make();
    while (this.#step("op_rows_out", from, out) === Status.HAS_MORE) {
      const [rows, at, part] = [Batch.ROWS, Batch.DESCRIPTORS, Batch.PARTITION].map((field) =>
        view.getUint32(out + field, true),
      ) as [number, number, number];
      if (this.#step("op_rows_in", to, at, rows, part, rows, rows) < 0) break;
    }
    this.#raw.status("op_release", from);
    this.#finish(to);
    this.#raw.status("op_destroy", to);
  }

  /** Two sorts, divided and read by another. */
  #share(): void {
    const sorts = [this.#make(), this.#make(), this.#make(), this.#make()];
    const [first, second, leader, target] = sorts as [number, number, number, number];
    for (const [push, sort] of [first, second].entries()) {
      this.#push(sort, push);
      this.#step("op_measure", sort);
    }
    const { out, view } = this.#raw;
    view.setUint32(out, first, true);
    view.setUint32(out + 4, second, true);
    this.#step("op_split", leader, out, 2, 8);
    for (const sort of [first, second]) while (this.#step("op_divide_by", sort, leader) > 0);
    if (this.#step("op_take_parts", target, leader, 1, 7) >= 0) this.#pull(target, 5);
    for (const sort of sorts) this.#raw.status("op_destroy", sort);
  }

  #move(from: number, to: number, parts = 0): void {
    const { out } = this.#raw;
    const name = parts === 0 ? "op_snapshot" : "op_snapshot_parts";
    for (let batch = 0; batch < MOST_PULLS; batch++) {
      const status = this.#step(name, from, out, 64, ...(parts === 0 ? [] : [parts]));
      if (status < 0) break;
      const header = this.#raw.bytes.slice(out, out + Batch.SIZE);
      const columns = this.#raw.view.getUint32(out + Batch.COLUMNS, true);
      if (columns > 0) {
        const state = copyState(this.#raw, header, columns);
        distrust(this.#raw, state);
        if (this.#step("op_merge", to, state) < 0) break;
      }
      if (status !== Status.HAS_MORE) break;
    }
    this.#raw.status("op_release", from);
    this.#raw.status("op_release", to);
  }

  #finish(handle: number): void {
    for (const port of this.#kind === OperatorKind.JOIN ? [0, 1] : [0])
      this.#step("op_watermark", handle, port, END);
    this.#pull(handle, MOST_PULLS);
  }

  #make(): number {
    const raw = this.#raw;
    const make = () =>
      raw.call("op_create", raw.context, this.#kind, writeConfig(raw, this.#config), this.#config.length) >>>
      0;
    const handle = make();
    if (handle !== 0) return handle;
    const record = raw.call("last_error", raw.context) >>> 0;
    expect(raw.view.getInt32(record, true)).toBe(Status.OUT_OF_MEMORY);
    this.#refused++;
    raw.call("mem_fail", raw.context, 0);
    const again = make();
    expect(again).not.toBe(0);
    return again;
  }

  #port(push: number): number {
    return this.#kind === OperatorKind.JOIN ? push % 2 : 0;
  }

  #push(handle: number, push: number): void {
    this.#step("op_push", handle, this.#port(push), this.#batch(push));
  }

  /** The rows of a push at the end of the memory, drawn once. */
  #batch(push: number): number {
    const known = this.#batches.get(push);
    if (known === undefined) {
      const batch = writeBatch(this.#raw, ROWS, new Draws(push, "story"));
      this.#batches.set(push, this.#raw.bytes.slice(batch));
      return batch;
    }
    const at = this.#raw.size - known.length;
    this.#raw.bytes.set(known, at);
    return at;
  }

  #pull(handle: number, most: number): void {
    const { out } = this.#raw;
    for (let pull = 0; pull < most; pull++) {
      this.#raw.view.setUint32(out + Batch.ROWS, 0, true);
      const status = this.#step("op_pull", handle, out, MANY, 0);
      if (status < 0) return;
      this.#rows += this.#raw.view.getUint32(out + Batch.ROWS, true);
      if (status !== Status.HAS_MORE) return;
    }
  }

  /** A call, once more where memory ran out. */
  #step(name: string, ...values: (number | bigint)[]): number {
    const status = this.#raw.status(name, ...values);
    if (status !== Status.OUT_OF_MEMORY) {
      if (status === Status.FAILED) this.#isWhole = false;
      return status;
    }
    this.#refused++;
    this.#raw.call("mem_fail", this.#raw.context, 0);
    const again = this.#raw.status(name, ...values);
    expect([name, again]).not.toEqual([name, Status.OUT_OF_MEMORY]);
    if (again < 0) this.#isWhole = false;
    return again;
  }
}

describe.each(RAW_BUILDS)("allocations that fail, %s build", (_build, file, shared, base) => {
  let module: WebAssembly.Module;
  beforeAll(async () => {
    module = await compileBuild(file);
  });

  test.each(
    [...CONFIGURATIONS, ...FURTHER_CONFIGURATIONS].map(([kind, config], index) => ({ kind, config, index })),
  )("operator $index of kind $kind", { timeout: 900_000 }, ({ kind, config, index }) => {
    const raw = new Raw(module, shared, base, PAGES);
    const batches = new Map<number, Uint8Array>();
    const tell = () => new Story(raw, kind, config, batches).tell();
    const idle = raw.used;
    const undisturbed = tell();
    expect(undisturbed.refused).toBe(0);
    expect(raw.used).toEqual(idle);
    let failures = 0;
    for (let nth = 1 + (index % STRIDE); ; nth += STRIDE) {
      const lasting = failures % 2 === 1 ? LASTING : 0;
      raw.call("mem_fail", raw.context, (nth | SMALL_TOO | lasting) >>> 0);
      const told = tell();
      const isOver = !raw.hasFailed;
      raw.call("mem_fail", raw.context, 0);
      expect([nth, raw.used]).toEqual([nth, idle]);
      if (told.isWhole) expect([nth, told.rows]).toEqual([nth, undisturbed.rows]);
      if (isOver) break;
      failures++;
    }
    expect(failures).toBeGreaterThan(0);
  });
});
