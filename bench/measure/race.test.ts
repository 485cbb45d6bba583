import { describe, expect, test } from "vitest";
import { canonicalResult } from "../result/canonical.js";
import { checksum } from "../result/checksum.js";
import type { Mode } from "../suite/case.js";
import type { Contender } from "./contender.js";
import { race, together } from "./race.js";
import { verify } from "./verify.js";

interface FakeOptions {
  mode?: Mode;
  value?: number;
  ms?: number;
  failOn?: "open" | "run" | "check";
}

const log: string[] = [];

function fake(engine: string, options: FakeOptions = {}): Contender {
  const { mode = "batch", value = 1, ms = 1, failOn } = options;
  const result = canonicalResult([{ name: "v", kind: "float" }], {
    rows: 1,
    columns: { v: { values: [value] } },
  });
  const act = <T>(step: string, answer: T): Promise<T> => {
    log.push(`${engine} ${step}`);
    return step === failOn ? Promise.reject(new Error("broken")) : Promise.resolve(answer);
  };
  return {
    spec: { engine, case: "s/c", files: {}, options: { mode, threads: 1, build: "simd" } } as never,
    open: () => act("open", { version: "1", threads: 1, inputRows: 10, inputBytes: null }),
    run: () => act("run", { ms, outputRows: 1, copyMs: 0.5 }),
    warmUp: () => act("warm-up", undefined),
    peakRssMiB: async () => 1,
    check: () => act("check", { rows: 1, checksum: checksum(result), ownMs: 0.001 }),
    table: async () => result,
    close: () => act("close", undefined),
  };
}

async function verdicts(...contenders: Contender[]) {
  return verify(await race(contenders, [], { runs: 1 }));
}

describe("race", () => {
  test("engines take turns: cold, warm-up, then the runs that count", async () => {
    log.length = 0;
    const outcomes = await race([fake("a"), fake("b")], [fake("twin")], { runs: 3 });
    const runs = log.filter((line) => /run|warm-up/.test(line));
    const round = ["a run", "b run"];
    expect(runs).toEqual([...round, "a warm-up", "b warm-up", ...round, ...round, ...round]);
    expect(outcomes[0]!.runMs).toEqual([1, 1, 1]);
    expect(outcomes[0]!.copyMs).toEqual([0.5, 0.5, 0.5]);
    expect(outcomes[2]!.runMs).toEqual([]);
    expect(outcomes[2]!.checked).not.toBeNull();
  });

  test("a repeat runs nothing cold, and looks at no result", async () => {
    log.length = 0;
    const [a] = await race([fake("a")], [], { runs: 2, isRepeat: true });
    expect(log).toEqual(["a open", "a warm-up", "a run", "a run"]);
    expect(a!.runRows).toBe(1);
    expect(a!.checked).toBeNull();
  });

  test("short runs are repeated more often, unless the user says how often", async () => {
    const [a] = await race([fake("a")], [], { runs: null });
    expect(a!.runMs.length).toBe(25);
    const [brief] = await race([fake("a")], [], { runs: null, roundsMs: 0 });
    expect(brief!.runMs.length).toBe(5);
  });

  test("peers out of reach of the fastest one rest after the rounds that they need", async () => {
    const outcomes = await race(
      [fake("millrace", { ms: 9 }), fake("a", { ms: 2 }), fake("b", { ms: 2.5 }), fake("c", { ms: 3 })],
      [],
      { runs: null },
    );
    expect(outcomes.map(({ runMs }) => runMs.length)).toEqual([25, 25, 25, 5]);
    const asked = await race([fake("a"), fake("c", { ms: 3 })], [], { runs: 7 });
    expect(asked.map(({ runMs }) => runMs.length)).toEqual([7, 7]);
  });

  test("two races of one contender count as one", async () => {
    const [first] = await race([fake("a")], [], { runs: 2 });
    const [second] = await race([fake("a", { ms: 2 })], [], { runs: 1 });
    expect(together(first!, second!)).toMatchObject({
      runMs: [1, 1, 2],
      calls: [1, 1, 1],
      copyMs: [0.5, 0.5, 0.5],
      checked: first!.checked,
    });
  });

  test.each(["open", "run", "check"] as const)(
    "an engine that fails on %s is out, the others go on",
    async (failOn) => {
      const [a, b] = await race([fake("a", { failOn }), fake("b")], [], { runs: 2 });
      expect(a).toMatchObject({ error: new Error("broken"), checked: null });
      expect(b).toMatchObject({ error: null, runMs: [1, 1] });
    },
  );
});

describe("verification", () => {
  test("takes another engine: Millrace is no witness for itself", async () => {
    const [batch, stream] = await verdicts(fake("millrace"), fake("millrace", { mode: "stream" }));
    expect(batch).toEqual({ verified: false, verifiedBy: [], mismatch: null });
    expect(stream!.verified).toBe(false);
  });

  test("lists every engine that agrees, each once", async () => {
    const all = await verdicts(
      fake("millrace"),
      fake("millrace", { mode: "stream" }),
      fake("duckdb", { value: 1 + 1e-12 }),
      fake("twin"),
    );
    expect(all.map(({ verified }) => verified)).toEqual([true, true, true, true]);
    expect(all[0]!.verifiedBy).toEqual(["duckdb", "twin"]);
    expect(all[2]!.verifiedBy).toEqual(["millrace", "twin"]);
  });

  test("one engine with another result fails Millrace, and the outvoted peer", async () => {
    const all = await verdicts(fake("millrace"), fake("js"), fake("duckdb", { value: 2 }));
    expect(all.map(({ verified }) => verified)).toEqual([false, true, false]);
    expect(all[0]!.mismatch).toBe("differs from duckdb: v, sorted row 0: 1 against 2");
  });

  test("Millrace outvoted: the peers stand", async () => {
    const all = await verdicts(fake("millrace", { value: 2 }), fake("js"), fake("duckdb"));
    expect(all.map(({ verified }) => verified)).toEqual([false, true, true]);
  });

  test("modes of Millrace must agree bit for bit, unless the sums are plain", async () => {
    const contenders = [fake("millrace"), fake("millrace", { mode: "stream", value: 1 + 1e-12 }), fake("js")];
    const outcomes = await race(contenders, [], { runs: 1 });
    expect((await verify(outcomes)).map(({ verified }) => verified)).toEqual([false, false, true]);
    expect((await verify(outcomes, true)).map(({ verified }) => verified)).toEqual([true, true, true]);
  });

  test("an engine that failed neither verifies nor is verified", async () => {
    const all = await verdicts(fake("millrace"), fake("js", { failOn: "run" }));
    expect(all.map(({ verified }) => verified)).toEqual([false, false]);
  });
});
