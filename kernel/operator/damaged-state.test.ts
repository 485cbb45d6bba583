// States in which one column is not what it was: nulls where there are none, codes of a dictionary in place of values,
// other values, another type, other rows. Each is merged up to the damage: refused as a damaged state, or, where it says
// the same in another way, taken to the same results; and what is taken by chance gives results without a trap.

import { createHash } from "node:crypto";
import { beforeAll, describe, expect, test } from "vitest";
import { Batch, Column, ColumnFlag, ErrorRecord, Type } from "../abi/layout.js";
import type { OperatorKind } from "../abi/operator.js";
import { Reason, Status } from "../abi/status.js";
import {
  compileBuild,
  copyState,
  Draws,
  distrust,
  END,
  RAW_BUILDS,
  Raw,
  STATES,
  writeBatch,
  writeConfig,
} from "./testing-raw.js";

const ROWS = 40;
const PAGES = 1600;
const DICTIONARY_ID = 7;
/** Above the configuration, in the host's memory. */
const RESULTS = 16_384;

/** Values may be such that no result holds them. */
const REFUSALS = [Status.CORRUPT_STATE, Status.BAD_ARGUMENT, Status.MALFORMED, Status.OVERFLOW];

/** A batch of a state, as it lay at the end of the memory. */
interface Kept {
  readonly at: number;
  readonly bytes: Uint8Array;
  readonly columns: number;
  readonly section: number;
  readonly rows: number;
}

class States {
  readonly raw: Raw;
  readonly #kind: OperatorKind;
  readonly #config: Uint8Array;
  /** Zeros, and the numbers from 0 on: for bitmaps, values and codes. */
  readonly #zeros: number;
  readonly #codes: number;

  constructor(
    module: WebAssembly.Module,
    shared: boolean,
    base: number,
    kind: OperatorKind,
    config: Uint8Array,
  ) {
    this.raw = new Raw(module, shared, base, PAGES);
    this.#kind = kind;
    this.#config = config;
    this.#zeros = this.#words(() => 0);
    this.#codes = this.#words((at) => at);
  }

  #words(word: (at: number) => number): number {
    const { raw } = this;
    const at = raw.call("mem_alloc", raw.context, 4096) >>> 0;
    for (let i = 0; i < 1024; i++) raw.view.setUint32(at + 4 * i, word(i), true);
    return at;
  }

  create(): number {
    const { raw } = this;
    const at = writeConfig(raw, this.#config);
    const handle = raw.call("op_create", raw.context, this.#kind, at, this.#config.length) >>> 0;
    expect(handle).not.toBe(0);
    return handle;
  }

  /** The state of an operator that has had a few rows. */
  save(): Kept[] {
    const { raw } = this;
    const handle = this.create();
    for (const push of [0, 1]) {
      expect(
        raw.status("op_push", handle, 0, writeBatch(raw, ROWS, new Draws(push, "state"))),
      ).toBeGreaterThanOrEqual(0);
      this.drain(handle);
    }
    const kept: Kept[] = [];
    for (let status: number = Status.HAS_MORE; status === Status.HAS_MORE; ) {
      status = raw.status("op_snapshot", handle, raw.out, 1000);
      expect(status).toBeGreaterThanOrEqual(0);
      const header = raw.bytes.slice(raw.out, raw.out + Batch.SIZE);
      const columns = raw.view.getUint32(raw.out + Batch.COLUMNS, true);
      if (columns === 0) continue;
      const at = copyState(raw, header, columns);
      distrust(raw, at);
      const section = raw.view.getUint32(at + Batch.SECTION, true);
      kept.push({ at, bytes: raw.bytes.slice(at), columns, section, rows: this.rows(at) });
    }
    expect(raw.status("op_destroy", handle)).toBe(0);
    return kept;
  }

  put({ at, bytes }: Kept): number {
    this.raw.bytes.set(bytes, at);
    return at;
  }

  /** Everything that leaves, batch by batch. */
  drain(handle: number): string[] {
    const { raw } = this;
    const left: string[] = [];
    for (let status: number = Status.HAS_MORE; status === Status.HAS_MORE; ) {
      raw.view.setUint32(raw.out + Batch.COLUMNS, 0, true);
      status = raw.status("op_pull", handle, raw.out, 65536, 0);
      if (status < 0) break;
      const header = raw.bytes.slice(raw.out, raw.out + Batch.SIZE);
      const columns = raw.view.getUint32(raw.out + Batch.COLUMNS, true);
      if (raw.view.getUint32(raw.out + Batch.ROWS, true) === 0) continue;
      // What lies between buffers is no result.
      raw.bytes.fill(0, raw.host + RESULTS, raw.size);
      const bytes = raw.bytes.subarray(copyState(raw, header, columns));
      left.push(createHash("sha256").update(bytes).digest("hex"));
    }
    return left;
  }

  /** What leaves after the merge of all batches, of which `damage` changes the last of `count`; null: refused. */
  merged(kept: readonly Kept[], count: number, damage: (batch: number) => void): string[] | null {
    const { raw } = this;
    const idle = raw.used;
    const handle = this.create();
    let status = 0;
    for (const [index, state] of kept.entries()) {
      const at = this.put(state);
      if (index === count - 1) damage(at);
      status = raw.status("op_merge", handle, at);
      if (status < 0) break;
    }
    let left: string[] | null = null;
    if (status >= 0) {
      raw.status("op_watermark", handle, 0, END);
      left = this.drain(handle);
    } else {
      expect(REFUSALS).toContain(status);
      const record = raw.call("last_error", raw.context) >>> 0;
      const reason = raw.view.getUint32(record + ErrorRecord.REASON, true);
      if (status === Status.CORRUPT_STATE) {
        expect(reason).toBeGreaterThanOrEqual(Reason.STATE_VERSION);
        expect(reason).toBeLessThanOrEqual(Reason.STATE_VALUE);
      }
    }
    expect(raw.status("op_destroy", handle)).toBe(0);
    expect(raw.used).toEqual(idle);
    return left;
  }

  column(batch: number, index: number): number {
    return this.raw.view.getUint32(batch + Batch.DESCRIPTORS, true) + index * Column.SIZE;
  }

  rows(batch: number): number {
    return this.raw.view.getUint32(batch + Batch.ROWS, true);
  }

  /** No row of the column has a value. */
  nulls(batch: number, index: number): void {
    const { view } = this.raw;
    const column = this.column(batch, index);
    view.setUint32(column + Column.VALIDITY, this.#zeros, true);
    view.setUint32(column + Column.VALIDITY_BYTES, 4096, true);
    view.setInt32(column + Column.NULL_COUNT, -1, true);
  }

  /** The column's values become those of a dictionary, and each row the code of its own. */
  codes(batch: number, index: number): void {
    const { raw } = this;
    const column = this.column(batch, index);
    const dictionary = this.#zeros + 2048;
    raw.bytes.copyWithin(dictionary, column, column + Column.SIZE);
    const { view } = raw;
    view.setUint32(dictionary + Column.VALIDITY, 0, true);
    view.setUint32(dictionary + Column.VALIDITY_BYTES, 0, true);
    view.setUint32(column + Column.TYPE, Type.U32, true);
    view.setUint32(column + Column.FLAGS, ColumnFlag.DICTIONARY, true);
    view.setUint32(column + Column.VALUES, this.#codes, true);
    view.setUint32(column + Column.VALUES_BYTES, 4096, true);
    view.setUint32(column + Column.OFFSETS, 0, true);
    view.setUint32(column + Column.OFFSETS_BYTES, 0, true);
    view.setUint32(column + Column.DICTIONARY, dictionary, true);
    view.setUint32(column + Column.DICTIONARY_ID, DICTIONARY_ID, true);
  }

  /** Codes that the dictionary does not have. */
  wildCodes(batch: number, index: number): void {
    this.codes(batch, index);
    this.raw.view.setUint32(this.#zeros + 2048 + Column.LENGTH, 0, true);
  }

  /** Texts without a byte. */
  empty(batch: number, index: number): void {
    const { raw } = this;
    const [at, bytes] = [Column.OFFSETS, Column.OFFSETS_BYTES].map((field) =>
      raw.view.getUint32(this.column(batch, index) + field, true),
    );
    raw.bytes.fill(0, at!, at! + bytes!);
  }

  /** All bytes of the column's values are this. */
  fill(batch: number, index: number, value: number): void {
    const { raw } = this;
    const column = this.column(batch, index);
    const [at, bytes] = [Column.VALUES, Column.VALUES_BYTES].map((field) =>
      raw.view.getUint32(column + field, true),
    );
    raw.bytes.fill(value, at!, at! + bytes!);
  }

  /** All values of the column are this small number. */
  number(batch: number, index: number, value: number): void {
    const { raw } = this;
    const column = this.column(batch, index);
    const bytes = raw.view.getUint32(column + Column.VALUES_BYTES, true);
    const width = bytes / Math.max(1, this.rows(batch));
    this.fill(batch, index, 0);
    if (!Number.isInteger(width)) return;
    for (let row = 0; row < this.rows(batch); row++)
      raw.bytes[raw.view.getUint32(column + Column.VALUES, true) + row * width] = value;
  }
}

describe.each(RAW_BUILDS)("damaged states, %s build", (_build, file, shared, base) => {
  let module: WebAssembly.Module;
  beforeAll(async () => {
    module = await compileBuild(file);
  });

  test.each(STATES.map(([kind, config], index) => ({ kind, config, index })))(
    "of operator $index, kind $kind",
    ({ kind, config }) => {
      const states = new States(module, shared, base, kind, config);
      const { raw } = states;
      const kept = states.save();
      expect(kept.length).toBeGreaterThan(1);
      const sound = states.merged(kept, kept.length, () => {});
      expect(sound).not.toBeNull();
      const damaged = (count: number, damage: (batch: number) => void) => states.merged(kept, count, damage);
      const seen = new Set<string>();
      for (const [at, { columns, section, rows }] of kept.entries()) {
        // Sections of the same columns are read by the same code: windows have them once for each part.
        if (seen.has(`${section} ${columns}`)) continue;
        seen.add(`${section} ${columns}`);
        const count = at + 1;
        const set = (batch: number, field: Batch, value: number) =>
          raw.view.setUint32(batch + field, value, true);
        expect(damaged(count, (batch) => set(batch, Batch.COLUMNS, columns - 1))).toBeNull();
        expect(damaged(count, (batch) => set(batch, Batch.SECTION, section + 1))).toBeNull();
        expect(damaged(count, (batch) => set(batch, Batch.ROWS, states.rows(batch) + 1))).toBeNull();
        if (section === 0) expect(damaged(count, (batch) => set(batch, Batch.ROWS, 0))).toBeNull();
        else damaged(count, (batch) => set(batch, Batch.ROWS, 0));
        for (let column = 0; column < columns; column++) {
          const other = (batch: number) =>
            raw.view.setUint32(states.column(batch, column) + Column.TYPE, Type.LARGE_BYTES, true);
          expect(damaged(count, other)).toBeNull();
          const nulls = damaged(count, (batch) => states.nulls(batch, column));
          if (section === 0) expect(nulls).toBeNull();
          const coded = damaged(count, (batch) => states.codes(batch, column));
          if (coded !== null) expect(coded).toEqual(sound);
          const wild = damaged(count, (batch) => states.wildCodes(batch, column));
          // Without a value there is no code.
          if (rows !== 0 && nulls?.join() !== sound?.join()) expect(wild).toBeNull();
          damaged(count, (batch) => states.empty(batch, column));
          damaged(count, (batch) => states.fill(batch, column, 0xff));
          for (const value of [0, 1, 2]) damaged(count, (batch) => states.number(batch, column, value));
        }
      }
    },
  );
});
