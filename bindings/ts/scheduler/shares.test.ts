import { tableFromArrays } from "apache-arrow";
import { describe, expect, it } from "vitest";
import { count, Engine, from, sum } from "../index.js";
import { ArgumentError } from "../type/error.js";
import { checkShare, type Share, Shares } from "./shares.js";
import { turn } from "./yield.js";

let clock = 0;
const sharesOf = () => new Shares(() => clock);

/** Works for so long, by the clock of these tests. */
function work(ms: number): void {
  clock += ms;
}

/** A run that works in morsels of `ms` for as long as the clock is below `end`; answers how long it has worked. */
async function run(share: Share, ms: number, end: number): Promise<number> {
  let worked = 0;
  while (clock < end) {
    work(ms);
    worked += ms;
    await share.due();
  }
  share.close();
  return worked;
}

describe("turns", () => {
  it("are not asked for by a run alone before it has worked for a while", () => {
    const share = sharesOf().open(checkShare(undefined, "batch"));
    work(11);
    expect(share.due()).toBe(null);
    work(1);
    expect(share.due()).not.toBe(null);
  });

  it.each([1, 3, 0.5])("divide time among batches by their weights, 1 to %d", async (weight) => {
    const shares = sharesOf();
    const end = clock + 4000;
    const [one, other] = await Promise.all([
      run(shares.open(checkShare(undefined, "batch")), 0.5, end),
      run(shares.open(checkShare({ weight }, "batch")), 0.5, end),
    ]);
    expect(other / one / weight).toBeCloseTo(1, 1);
  });

  it("owe nothing to a run that was away", async () => {
    const shares = sharesOf();
    const away = shares.open(checkShare(undefined, "batch"));
    const start = clock;
    const first = run(shares.open(checkShare(undefined, "batch")), 0.5, start + 1000);
    while (clock < start + 500) await turn();
    away.waitedSince(start);
    // Half of what is left: not all of it, to catch up.
    expect(await run(away, 0.5, start + 1000)).toBeLessThan(260);
    expect(await first).toBeGreaterThan(740);
  });

  it("come to a stream after one morsel of a batch", async () => {
    const shares = sharesOf();
    const stream = shares.open(checkShare(undefined, "stream"));
    let [isOver, morsels, most] = [false, 0, 0];
    const batch = (async () => {
      const share = shares.open(checkShare(undefined, "batch"));
      while (!isOver) {
        work(0.5);
        morsels++;
        await share.due();
      }
    })();
    for (let push = 0; push < 50; push++) {
      const before = morsels;
      const asked = clock;
      await turn();
      stream.waitedSince(asked);
      most = Math.max(most, morsels - before);
      work(0.2);
      expect(stream.due()).toBe(null);
    }
    isOver = true;
    await batch;
    expect(morsels).toBeGreaterThan(20);
    expect(most).toBe(1);
  });

  it("leave a tenth for batches beside a stream that never waits", async () => {
    const shares = sharesOf();
    const end = clock + 4000;
    const [stream, batch] = await Promise.all([
      run(shares.open(checkShare(undefined, "stream")), 0.5, end),
      run(shares.open(checkShare(undefined, "batch")), 0.5, end),
    ]);
    expect(batch / stream).toBeGreaterThan(0.08);
    expect(batch / stream).toBeLessThan(0.2);
  });

  it("pass over runs that have ended while they waited", async () => {
    const shares = sharesOf();
    const [gone, other] = [1, 2].map(() => shares.open(checkShare(undefined, "batch")));
    void shares.next(gone!);
    const granted = shares.next(other!);
    gone!.close();
    await granted;
  });
});

describe("shares of an engine's runs", () => {
  const table = tableFromArrays({ k: Int32Array.from({ length: 400_000 }, (_, row) => row % 7) });
  const plan = from(table)
    .groupBy("k")
    .aggregate({ n: count(), total: sum("k") });

  it("change no result", async () => {
    await using engine = await Engine.open();
    const alone = (await engine.collect(plan)).toArray().map(String).sort();
    const rows = async (work: Promise<{ toArray(): unknown[] }>) => (await work).toArray().map(String).sort();
    const streamed = async () => {
      const found: string[] = [];
      for await (const batch of engine.stream(plan, {}, { share: { weight: 2 } })) {
        found.push(...batch.toArray().map(String));
      }
      return found.sort();
    };
    const results = await Promise.all([
      rows(engine.collect(plan, {}, { share: { weight: 0.5 } })),
      rows(engine.collect(plan, {}, { share: { class: "stream" } })),
      streamed(),
    ]);
    for (const result of results) expect(result).toEqual(alone);
  });

  it("end with an abort, also while a run waits for its turn", async () => {
    await using engine = await Engine.open();
    const controller = new AbortController();
    async function* forever() {
      for (;;) yield table.batches[0]!;
    }
    const endless = from("t").groupBy("k").aggregate({ n: count() });
    const stopped = engine.collect(endless, { t: forever() }, { signal: controller.signal });
    const others = [engine.collect(plan), engine.collect(plan)];
    setTimeout(() => controller.abort(new Error("enough")), 1);
    await expect(stopped).rejects.toThrow("enough");
    await Promise.all(others);
    expect(engine.stats().activeRuns).toBe(0);
  });

  it("refuse what is no share", async () => {
    await using engine = await Engine.open();
    for (const weight of [0, -1, Number.NaN, Number.POSITIVE_INFINITY, "2" as never]) {
      await expect(engine.collect(plan, {}, { share: { weight } })).rejects.toThrow(ArgumentError);
      expect(() => engine.stream(plan, {}, { share: { weight } })).toThrow(/share.weight must be a finite/);
    }
    expect(() => engine.stream(plan, {}, { share: { class: "urgent" as never } })).toThrow(
      'share.class is "stream" or "batch", not "urgent"',
    );
  });
});
