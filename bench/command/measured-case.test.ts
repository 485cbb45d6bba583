import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { type PeerName, UnavailableError } from "../engine/engine.js";
import type { Contender } from "../measure/contender.js";
import { benchReport, select } from "./bench.js";
import { deviation, lookAgain, measureCase } from "./measured-case.js";
import { benchOptions } from "./options.js";
import { inProcess, type Workshop } from "./workshop.js";

const folder = mkdtempSync(join(tmpdir(), "millrace-looks-test-"));
const silent = { show() {}, clear() {} };
const workshop = inProcess(folder);
const options = benchOptions({ rows: "2000", peers: "js", budget: 60 });
const [selected] = select(["groupby/q1"], options) as [ReturnType<typeof select>[number]];

afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
});

/** Contenders as of `workshop`, but that what `act` answers of them is theirs. */
function changed(act: (contender: Contender) => Partial<Contender>): Workshop {
  const contender: Workshop["contender"] = (spec) => {
    const real = workshop.contender(spec);
    return Object.assign(real, act(real));
  };
  return { ...workshop, contender, housemates: (specs) => specs.map(contender) };
}

const firstLook = () => measureCase(selected, 1, options, "several", workshop, () => {});

test("a case is looked at again where there is time, and its runs count together", async () => {
  const often = await benchReport([selected], options, workshop, silent);
  const once = await benchReport([selected], { ...options, budget: null }, workshop, silent);
  const runs = ({ results }: typeof often) => results.map((row) => row.runs);
  expect(runs(often)).toEqual(runs(once).map((count) => 8 * count!));
  expect(often.results.every(({ verified, timesMs, runs }) => verified && timesMs!.length === runs)).toBe(
    true,
  );
  expect(often.leftOut).toEqual([]);
  expect(often.caseSeconds).toHaveLength(1);
  const asked = await benchReport([selected], { ...options, runs: 3 }, workshop, silent);
  expect(runs(asked)).toEqual([3, 3, 3]);
});

test("what fails at the second look has failed", async () => {
  const first = await firstLook();
  const broken = changed((contender) =>
    contender.spec.options.mode === "stream" ? { run: () => Promise.reject(new Error("broken")) } : {},
  );
  const both = await lookAgain(first, broken, () => {});
  expect(both.rows.map(({ verified, error }) => ({ verified, error }))).toEqual([
    { verified: true, error: undefined },
    { verified: false, error: "broken" },
    { verified: true, error: undefined },
  ]);
  // A figure that is not there is no reason to look once more.
  expect(both.lookSeconds).toBe(0);
});

test("a peer that is not there keeps nobody from another look", async () => {
  const without = changed((contender) =>
    contender.spec.engine === "duckdb"
      ? { open: () => Promise.reject(new UnavailableError("not installed")) }
      : {},
  );
  const peers: PeerName[] = ["duckdb", "js"];
  const first = await measureCase({ ...selected, peers }, 1, options, "several", without, () => {});
  expect(first.lookSeconds).toBeGreaterThan(0);
  const both = await lookAgain(first, without, () => {});
  const runs = (measured: typeof both) => measured.rows.map((row) => row.runs ?? 0);
  expect(runs(both)).toEqual(runs(first).map((count) => 2 * count));
  expect(runs(both).filter((count) => count === 0)).toHaveLength(1);
});

test("another number of rows at the second look is none", async () => {
  const first = await firstLook();
  const other = changed((contender) => {
    if (contender.spec.engine !== "js") return {};
    const run = contender.run.bind(contender);
    return { run: async (leastMs) => ({ ...(await run(leastMs)), outputRows: 7 }) };
  });
  const both = await lookAgain(first, other, () => {});
  expect(both.rows.map(({ engine, verified }) => ({ engine, verified }))).toEqual([
    { engine: "millrace", verified: true },
    { engine: "millrace", verified: true },
    { engine: "js", verified: false },
  ]);
  expect(both.rows[2]!.error).toMatch(/a run of another look gave 7 rows, not 100/);
});

test("a time is the less certain the more it hangs on one look", () => {
  const steady = deviation([
    [10, 11, 10],
    [10, 10, 12],
    [10, 10, 10],
  ]);
  const slowOnce = deviation([
    [10, 11, 10],
    [20, 20, 22],
    [10, 10, 10],
  ]);
  const fastOnce = deviation([
    [10, 11, 10],
    [7, 7, 8],
    [10, 10, 10],
  ]);
  expect(steady).toBeCloseTo(0.02 / Math.sqrt(3), 3);
  expect(slowOnce).toBeCloseTo(steady, 3);
  expect(fastOnce).toBeGreaterThan(0.2);
  expect(deviation([[10]])).toBeGreaterThan(deviation([[10], [10]]));
});
