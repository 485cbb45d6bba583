import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { type PeerName, UnavailableError } from "../engine/engine.js";
import type { Contender } from "../measure/contender.js";
import { benchReport, select } from "./bench.js";
import { lookAgain, measureCase } from "./measured-case.js";
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
  return { ...workshop, contender };
}

const firstLook = () => measureCase(selected, 1, options, "several", workshop, () => {});

test("a case is looked at again where there is time, and its runs count together", async () => {
  const often = await benchReport([selected], options, workshop, silent);
  const once = await benchReport([selected], { ...options, budget: null }, workshop, silent);
  const runs = ({ results }: typeof often) => results.map((row) => row.runs);
  expect(runs(often)).toEqual(runs(once).map((count) => 5 * count!));
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

test("another result at the second look is none", async () => {
  const first = await firstLook();
  const other = changed((contender) => {
    if (contender.spec.engine !== "millrace") return {};
    const check = contender.check.bind(contender);
    return { check: async () => ({ ...(await check()), checksum: "0" }) };
  });
  const both = await lookAgain(first, other, () => {});
  // The tables are the same: a checksum alone convicts nobody, columns are compared.
  expect(both.rows.every(({ verified }) => verified)).toBe(true);
  const wrong = changed((contender) =>
    contender.spec.engine !== "millrace"
      ? {}
      : {
          check: async () => ({ rows: 0, checksum: "0", ownMs: null }),
          table: async () => ({ ...(await workshopTable(contender)), rows: 0 }),
        },
  );
  const differing = await lookAgain(first, wrong, () => {});
  expect(differing.rows.filter(({ engine }) => engine === "millrace").map((row) => row.verified)).toEqual([
    false,
    false,
  ]);
});

async function workshopTable(contender: Contender) {
  const fresh = workshop.contender(contender.spec);
  await fresh.open();
  await fresh.run(0);
  await fresh.check();
  const table = await fresh.table();
  await fresh.close();
  return table;
}
