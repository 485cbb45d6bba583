// What a worker does where memory does not do for all aggregations of a push, on a kernel that is made to say so.

import { afterEach, describe, expect, it, vi } from "vitest";
import { ErrorRecord } from "../../../kernel/abi/layout.js";
import { Status } from "../../../kernel/abi/status.js";
import { Job } from "./job.js";
import { LAYOUT, RECORD_BYTES, SET_BYTES } from "./pool.js";
import { runWorker, type ToWorker } from "./worker.js";

const SETS = 4096;
const RECORD = 512;
const OWN_RECORD = 8192;
const LEADER = 77;

type Push = (address: number, count: number) => Status;

/** Lets a worker push the morsel at 1000 together, to three sets; `push` is the kernel, whose record has its status. */
function pushed(push: Push) {
  const memory = new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true });
  const view = new DataView(memory.buffer);
  const exports = {
    ctx_init: () => 64,
    last_error: () => RECORD,
    op_push_together: (_context: number, leader: number, batch: number, sets: number, count: number) => {
      expect([leader, batch]).toEqual([LEADER, 1000]);
      const status = push(sets, count);
      if (status < 0) view.setInt32(RECORD + ErrorRecord.STATUS, status, true);
      return status;
    },
  };
  const Instance = class {
    readonly exports = exports;
  };
  vi.stubGlobal("WebAssembly", { Memory: WebAssembly.Memory, Instance });
  let receive: (message: ToWorker) => void = () => {};
  runWorker({
    post: () => {},
    listen: (listener) => {
      receive = listener;
    },
    close: () => {},
    end: () => {},
  });
  const share = { build: "threads", module: null, memory, base: 0 } as never;
  receive({ kind: "open", share, worker: 1, layout: LAYOUT, jitter: 0, spins: false });
  const job = new Job(2, 4);
  job.offer(1000);
  receive({
    kind: "job",
    words: job.buffer,
    task: { kind: "pushTogether", sets: [0, SETS], count: 3 },
    handle: LEADER,
    record: OWN_RECORD,
    endAt: -1,
    trace: null,
  });
  expect(OWN_RECORD + RECORD_BYTES).toBeLessThan(memory.buffer.byteLength);
  return { job, kept: view.getInt32(OWN_RECORD + ErrorRecord.STATUS, true) };
}

describe("a morsel for several aggregations", () => {
  afterEach(() => {
    vi.unstubAllGlobals();
  });

  it("goes to all of them at once", () => {
    const calls: number[][] = [];
    const { job } = pushed((...call) => {
      calls.push(call);
      return Status.NEED_INPUT;
    });
    expect(calls).toEqual([[SETS, 3]]);
    expect([job.completed, job.isStopped]).toEqual([1, false]);
  });

  it("goes to one after the other where there is no memory for that", () => {
    const calls: number[][] = [];
    const { job } = pushed((...call) => {
      calls.push(call);
      return call[1] > 1 ? Status.OUT_OF_MEMORY : Status.NEED_INPUT;
    });
    const each = [0, 1, 2].map((set) => [SETS + SET_BYTES * set, 1]);
    expect(calls).toEqual([[SETS, 3], ...each]);
    expect([job.completed, job.isStopped]).toEqual([1, false]);
  });

  it.each([
    ["there is none for one of them either", Status.OUT_OF_MEMORY, SETS + SET_BYTES, 3],
    ["it ended in the midst of the rows", Status.FAILED, SETS, 2],
    ["one of them fails otherwise", Status.OVERFLOW, SETS + SET_BYTES, 3],
  ] as const)("fails where %s, and says why", (_why, status, at, times) => {
    let calls = 0;
    const { job, kept } = pushed((address, count) => {
      calls++;
      if (count > 1) return Status.OUT_OF_MEMORY;
      return address === at ? status : Status.NEED_INPUT;
    });
    expect(calls).toBe(times);
    expect([job.completed, job.isStopped, job.failed(1)]).toEqual([0, true, 0]);
    expect(kept).toBe(status === Status.OVERFLOW ? Status.OVERFLOW : Status.OUT_OF_MEMORY);
  });
});
