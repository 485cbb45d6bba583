// Abuse of the ABI: the exports called with nothing but WebAssembly, on configurations, programs, batches,
// state and arguments in which bytes were changed at random. Whatever comes must be a status (with an error
// record that says the same) or a result; never a trap, never a byte written outside the kernel's own
// memory, and after the operator is destroyed no byte in use more than before.
//
// Inputs lie at the very end of the memory, so that a read past a buffer traps. The draws are seeded and
// each round's are independent: a failure names its round, and ABUSE_FROM replays it.

import { beforeAll, describe, expect, test } from "vitest";
import { encodeProjectConfig } from "../../bindings/ts/kernel/config.js";
import { Batch, Column, Type } from "../abi/layout.js";
import { OperatorKind } from "../abi/operator.js";
import {
  CODED,
  CONFIGURATIONS,
  compileBuild,
  copyState,
  Draws,
  distrust,
  END,
  GUARD,
  PAGE,
  program,
  RAW_BUILDS,
  Raw,
  writeBatch,
  writeConfig,
} from "./testing-raw.js";

/**
 * Rounds of each build; more of them, or others, for a soak: ABUSE_ROUNDS=100000 ABUSE_FROM=5000 ABUSE_SECONDS=1200,
 * with vitest's `--testTimeout` above.
 */
const ROUNDS = Number(process.env.ABUSE_ROUNDS ?? 3000);
const FROM = Number(process.env.ABUSE_FROM ?? 0);
/** A busy machine does fewer rounds. */
const MOST_MS = 1000 * Number(process.env.ABUSE_SECONDS ?? 3);

/** A sort's rows divided and read by others, in any order and with any numbers. */
function shareSort(raw: Raw, draws: Draws, handle: number, sound: Uint8Array): void {
  const make = () =>
    raw.call("op_create", raw.context, OperatorKind.SORT, writeConfig(raw, sound), sound.length) >>> 0;
  const sorts = [handle, make(), make(), make()];
  const any = () => (draws.chance(90) ? draws.pick(sorts) : draws.word(raw));
  for (const sort of sorts.slice(1, 3)) {
    const batch = writeBatch(raw, draws.pick([0, 7, 130]), draws);
    distrust(raw, batch);
    raw.status("op_push", sort, 0, batch);
  }
  const [, first, second, leader] = sorts;
  const list = (...handles: number[]) => {
    for (const [index, one] of handles.entries()) raw.view.setUint32(raw.out + 4 * index, one, true);
    return draws.chance(95) ? raw.out : draws.word(raw);
  };
  if (draws.chance(70)) {
    raw.status("op_split", leader!, list(first!, second!), 2, 8);
    for (const sort of [first, second]) {
      for (let step = 0; step < 40; step++) if (raw.status("op_divide_by", sort!, leader!) <= 0) break;
    }
  }
  const wild = draws.chance(70) ? 0 : 12;
  for (let step = 0; step < wild; step++) {
    const calls = [
      () => raw.status("op_measure", any()),
      () =>
        raw.status("op_split", any(), list(any(), any()), draws.below(4), draws.pick([2, 8, 7, 1024, 2048])),
      () => raw.status("op_divide_by", any(), any()),
      () => raw.status("op_take_parts", any(), any(), draws.below(9), draws.below(9)),
      () => raw.status("op_combine", any(), any()),
      () => raw.status("op_pull", any(), raw.out, 65536, 0),
    ];
    draws.pick(calls)();
  }
  const target = make();
  raw.status("op_take_parts", target, leader!, draws.below(4), draws.chance(80) ? 4 : draws.word(raw));
  if (draws.chance(30)) raw.status("op_destroy", draws.pick(sorts.slice(1)));
  raw.status("op_pull", target, raw.out, 65536, 0);
  for (const sort of [...sorts.slice(1), target]) raw.status("op_destroy", sort);
}

/** A projection and this operator, and perhaps another one, pushed together: by lists that are sound, or by any words. */
function pushTogether(raw: Raw, draws: Draws, handle: number, config: Uint8Array): void {
  const make = (kind: OperatorKind, bytes: Uint8Array) =>
    raw.call("op_create", raw.context, kind, writeConfig(raw, bytes), bytes.length) >>> 0;
  const outputs = 18;
  const leader = make(OperatorKind.PROJECT, encodeProjectConfig(program(draws.chance(50)), outputs));
  const other = make(OperatorKind.HASH_AGGREGATE, config);
  const members = [handle, draws.chance(80) ? other : draws.pick([handle, leader, 0, draws.word(raw)])];
  const list = raw.out + 64;
  for (let step = 0; step < 2; step++) {
    const batch = writeBatch(raw, draws.pick([1, 64, 130]), draws);
    if (draws.chance(40)) draws.damage(raw, raw.bytes.subarray(batch, raw.size), 4);
    distrust(raw, batch);
    for (const [index, member] of members.entries()) {
      raw.view.setUint32(list + 8 * index, member, true);
      raw.view.setUint32(list + 8 * index + 4, draws.chance(90) ? list + 64 : draws.word(raw), true);
    }
    for (let output = 0; output < outputs; output++)
      raw.view.setUint32(list + 64 + 4 * output, draws.chance(99) ? output : draws.word(raw), true);
    const count = draws.chance(90) ? draws.below(3) : draws.word(raw);
    raw.status("op_push_together", leader, batch, draws.chance(95) ? list : draws.word(raw), count);
    for (const member of members) raw.status("op_pull", member, raw.out, 65536, 0);
  }
  for (const operator of [leader, other]) raw.status("op_destroy", operator);
}

/** One round: an operator of damaged making, fed with damaged batches, asked in any order, destroyed. */
function abuse(raw: Raw, round: number): void {
  const draws = new Draws(round, "abuse");
  const idle = raw.used;
  const hostBytes = () => raw.bytes.subarray(raw.host, raw.size);
  hostBytes().fill(GUARD);
  const { out } = raw;
  const [kind, sound] = draws.pick(CONFIGURATIONS);
  const config = sound.slice();
  if (draws.chance(60)) draws.damage(raw, config, 3);
  const at = draws.chance(95) ? raw.size - config.length : draws.word(raw);
  if (at === raw.size - config.length) raw.bytes.set(config, at);
  const length = draws.chance(95) ? config.length : draws.word(raw);
  const handle =
    raw.call("op_create", raw.context, draws.chance(98) ? kind : draws.below(9), at, length) >>> 0;
  const states: { header: Uint8Array; copy: number }[] = [];
  for (let step = 0; step < 6; step++) {
    hostBytes().fill(GUARD);
    const wild = draws.chance(95) ? out : draws.word(raw);
    // To write results over the kernel's own memory is the one thing that a host may not ask for.
    const target = wild >= raw.base && wild < raw.host ? out : wild;
    const before = target === out ? null : hostBytes().slice();
    const many = draws.chance(80) ? 65536 : draws.word(raw);
    switch (draws.below(8)) {
      case 0:
      case 1:
      case 2:
      case 3: {
        const rows = draws.pick([0, 1, 7, 64, 100, 130]);
        const batch = writeBatch(raw, rows, draws);
        if (draws.chance(60)) draws.damage(raw, raw.bytes.subarray(batch, raw.size), 4);
        if (draws.chance(50)) draws.damage(raw, raw.bytes.subarray(batch, batch + 10 * Column.SIZE), 2);
        distrust(raw, batch);
        const held = hostBytes().slice();
        raw.status(
          "op_push",
          handle,
          draws.chance(97) ? draws.below(kind === OperatorKind.JOIN ? 2 : 1) : draws.word(raw),
          draws.chance(97) ? batch : draws.word(raw),
        );
        expect(Buffer.compare(hostBytes(), held)).toBe(0);
        break;
      }
      case 4:
        raw.status("op_pull", handle, target, many, draws.chance(70) ? 0 : draws.word(raw));
        break;
      case 5: {
        const divided = draws.chance(20) ? [draws.chance(80) ? 8 : draws.word(raw)] : [];
        const leave = divided.length === 0 ? "op_snapshot" : "op_snapshot_parts";
        if (raw.status(leave, handle, target, many, ...divided) < 0 || target !== out) break;
        states.push({ header: raw.bytes.slice(out, out + Batch.SIZE), copy: 0 });
        const state = states.at(-1)!;
        const columns = raw.view.getUint32(out + Batch.COLUMNS, true);
        const batch = copyState(raw, state.header, columns);
        if (draws.chance(60)) draws.damage(raw, raw.bytes.subarray(batch, raw.size), 3);
        distrust(raw, batch);
        const other = raw.call("op_create", raw.context, kind, writeConfig(raw, sound), sound.length) >>> 0;
        if (other !== 0) {
          raw.status("op_merge", other, batch);
          if (draws.chance(50)) raw.status("op_combine", draws.chance(50) ? handle : other, other);
          if (draws.chance(50)) raw.status("op_combine", other, handle);
          if (draws.chance(30))
            raw.status(
              "op_divide",
              other,
              draws.chance(80) ? 256 : draws.word(raw),
              draws.pick([0, 0, other, handle, draws.word(raw)]),
            );
          if (draws.chance(50)) raw.status("op_combine_part", handle, other, draws.below(300));
          raw.status("op_watermark", other, 0, END);
          if (draws.chance(50)) raw.status("op_ready", draws.chance(80) ? other : handle);
          if (draws.chance(50)) raw.status("op_ready_part", other, draws.below(70));
          raw.status("op_pull", other, out, 65536, 0);
          raw.status("op_destroy", other);
        }
        if (draws.chance(30)) raw.status("op_merge", handle, batch);
        if (draws.chance(30)) raw.status("op_combine", handle, draws.chance(50) ? handle : draws.word(raw));
        if (draws.chance(5)) raw.status("op_divide", handle, 256, draws.chance(50) ? 0 : handle);
        if (draws.chance(30)) leaveRows(raw, draws, handle);
        if (kind === OperatorKind.SORT) shareSort(raw, draws, handle, sound);
        break;
      }
      case 6:
        raw.status("op_watermark", handle, draws.below(2), draws.chance(50) ? END : 0n);
        if (draws.chance(30)) attach(raw, draws, handle, draws.pick(CONFIGURATIONS), [kind, sound]);
        if (draws.chance(30)) pushTogether(raw, draws, handle, sound);
        break;
      default:
        // Answers a time, and no status.
        if (draws.chance(20)) raw.call("op_time", raw.context, draws.chance(50) ? handle : draws.word(raw));
        raw.status(
          draws.pick(["op_release", "op_stats", "op_late"]),
          ...(draws.chance(50) ? [handle, target] : [draws.word(raw), target]),
        );
    }
    if (before !== null && target < raw.host)
      expect(Buffer.compare(hostBytes().subarray(0, 32), before.subarray(0, 32))).toBe(0);
  }
  if (handle !== 0) expect(raw.status("op_destroy", handle)).toBe(0);
  expect(raw.used).toEqual(idle);
}

/** Rows that were set aside leave, and rows that never were come back. */
function leaveRows(raw: Raw, draws: Draws, handle: number): void {
  const { out } = raw;
  raw.status("op_rows_out", handle, out);
  if (draws.chance(50)) raw.status("op_release", handle);
  const at = draws.chance(80) ? out : draws.word(raw);
  const rows = draws.chance(80) ? draws.below(30) : draws.word(raw);
  const part = draws.chance(90) ? draws.below(256) : draws.word(raw);
  raw.status("op_rows_in", handle, at, rows, part, draws.below(100), draws.below(100));
}

/** Another operator, mostly of the same configuration, that reads what this one has kept. */
function attach(
  raw: Raw,
  draws: Draws,
  handle: number,
  any: readonly [OperatorKind, Uint8Array],
  same: readonly [OperatorKind, Uint8Array],
): void {
  const [kind, config] = draws.chance(90) ? same : any;
  const reader = raw.call("op_create", raw.context, kind, writeConfig(raw, config), config.length) >>> 0;
  if (reader === 0) return;
  const { out } = raw;
  const port = draws.chance(95) ? draws.below(2) : draws.word(raw);
  const owner = draws.chance(90) ? handle : draws.pick([reader, 0, draws.word(raw)]);
  raw.status("op_attach", reader, owner, port);
  for (let step = 0; step < 3; step++) {
    const batch = writeBatch(raw, draws.pick([1, 64, 130]), draws);
    if (draws.chance(40)) draws.damage(raw, raw.bytes.subarray(batch, raw.size), 4);
    distrust(raw, batch);
    raw.status("op_push", reader, draws.chance(80) ? 1 - port : port, batch);
    raw.status("op_pull", reader, out, 65536, 0);
  }
  raw.status("op_watermark", reader, draws.below(2), END);
  raw.status("op_destroy", reader);
}

describe.each(RAW_BUILDS)("abuse of the ABI, %s build", (_build, file, shared, base) => {
  let module: WebAssembly.Module;
  beforeAll(async () => {
    module = await compileBuild(file);
  });

  test("sound configurations are taken", () => {
    const raw = new Raw(module, shared, base);
    for (const [kind, config] of CONFIGURATIONS) {
      const handle = raw.call("op_create", raw.context, kind, writeConfig(raw, config), config.length) >>> 0;
      expect(handle).not.toBe(0);
      const batch = writeBatch(raw, 130, new Draws(1, "sound"));
      expect(raw.status("op_push", handle, 0, batch)).toBeGreaterThanOrEqual(0);
      expect(raw.status("op_destroy", handle)).toBe(0);
    }
  });

  test("a heap must lie inside the memory", () => {
    const memory = new WebAssembly.Memory({ initial: 32, maximum: 65536, shared });
    const { exports } = new WebAssembly.Instance(module, { env: { memory } });
    const init = exports.ctx_init as (base: number, length: number, flags: number) => number;
    const size = 32 * PAGE;
    expect(init(1024, size, 2)).toBe(0);
    expect(init(1024, size - 1023, 2)).toBe(0);
    expect(init(size, 2 * PAGE, 2)).toBe(0);
    expect(init(0xffff_ffc0, 2 * PAGE, 2)).toBe(0);
    expect(init(0xffff_ffc0, 0, 1)).toBe(0);
    expect(init(1024, 0, 1)).toBe(0);
    expect(init(1024, size - 1024, 2)).not.toBe(0);
    expect(init(1024, 0, 1)).not.toBe(0);
  });

  test("a dictionary of the same id is checked again when its descriptor says something else", () => {
    const raw = new Raw(module, shared, base);
    const config = encodeProjectConfig(program(false), 18);
    const idle = raw.used;
    const fields: [Column, number, number][] = [
      [Column.OFFSET, 0x0800_0000, -9],
      [Column.BASE, 0x4000_0000, -9],
      [Column.VALUES_BYTES, 0, -9],
      [Column.OFFSETS_BYTES, 4, -9],
      [Column.TYPE, Type.LARGE_BYTES, -9],
      [Column.LENGTH, 0, -9],
    ];
    for (const [field, value, status] of fields) {
      const handle =
        raw.call("op_create", raw.context, OperatorKind.PROJECT, writeConfig(raw, config), config.length) >>>
        0;
      const batch = writeBatch(raw, 64, new Draws(3, "dictionary"));
      const columns = raw.view.getUint32(batch + Batch.DESCRIPTORS, true);
      const dictionary = raw.view.getUint32(columns + CODED * Column.SIZE + Column.DICTIONARY, true);
      expect(raw.status("op_push", handle, 0, batch)).toBe(1);
      raw.status("op_pull", handle, raw.host + 64, 65536, 0);
      raw.view.setUint32(dictionary + field, value, true);
      expect([field, raw.status("op_push", handle, 0, batch)]).toEqual([field, status]);
      expect(raw.status("op_destroy", handle)).toBe(0);
    }
    expect(raw.used).toEqual(idle);
  });

  test("addresses outside the memory, unaligned or null", () => {
    const raw = new Raw(module, shared, base);
    const [kind, config] = CONFIGURATIONS[0]!;
    const at = writeConfig(raw, config);
    const idle = raw.used;
    for (const bad of [0, 4, raw.size, raw.size - 8, 0xffff_fff8]) {
      expect(raw.call("op_create", raw.context, kind, bad, config.length)).toBe(0);
    }
    expect(raw.call("op_create", raw.context, kind, at, 0xffff_fff0)).toBe(0);
    expect(raw.used).toEqual(idle);
    const handle = raw.call("op_create", raw.context, kind, at, config.length) >>> 0;
    for (const bad of [0, raw.host + 4, raw.size, raw.size - 8, raw.size - 24, 0xffff_fff8]) {
      expect(raw.status("op_push", handle, 0, bad)).toBe(-1);
      expect(raw.status("op_merge", handle, bad)).toBe(-1);
      expect(raw.status("op_pull", handle, bad, 1, 0)).toBe(-1);
      expect(raw.status("op_snapshot", handle, bad, 1)).toBe(-1);
      expect(raw.status("op_stats", handle, bad)).toBe(-1);
    }
    expect(raw.status("op_stats", handle, raw.size - 128)).toBe(-1);
    expect(raw.status("op_stats", handle, raw.size - 136)).toBe(0);
    expect(raw.status("op_destroy", handle)).toBe(0);
    for (const stale of [handle, 0, 0xffff_ffff, handle ^ 0x400])
      expect(raw.status("op_destroy", stale)).toBe(-1);
    expect(raw.used).toEqual(idle);
  });

  test("damaged bytes and arguments get a status, and the memory back", () => {
    const raw = new Raw(module, shared, base);
    const until = performance.now() + MOST_MS;
    let round = FROM;
    for (; round < FROM + ROUNDS && performance.now() < until; round++) {
      try {
        abuse(raw, round);
      } catch (error) {
        throw new Error(`round ${round}`, { cause: error });
      }
    }
    if (ROUNDS > 3000) console.log(`rounds ${FROM} to ${round - 1}`);
  });
});
