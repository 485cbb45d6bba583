// What a soak runs: cases of the fuzzer, and a few plans over more rows, whose right results are known before.
//
// The large ones are what small cases are not: aggregations that do not fit the memory, windows that leave while rows come,
// a join of a large side. Their results come from an engine with plenty of memory and one thread; those of the
// fuzzer's cases from the twin.

import { createHash } from "node:crypto";
import {
  avg,
  col,
  count,
  countDistinct,
  from,
  hop,
  max,
  min,
  type Plan,
  session,
  stringAgg,
  sum,
  tumble,
} from "../bindings/ts/index.js";
import { type Field, float64, int32, int64, utf8 } from "../bindings/ts/type/data-type.js";
import { RowRandom } from "../fixtures/random.js";
import { fingerprint } from "../test/testing-result.js";
import type { Value } from "../twin/values.js";
import { expected } from "./agree.js";
import type { Draw } from "./draw.js";
import { type FaultyEngine, NO_FAULTS } from "./faulty-kernel.js";
import { drawPlan, type PlanCase } from "./plan.js";
import { type Disturbance, drawWay, PLAIN_WAY, runWay, type Way } from "./way.js";

export interface SoakJob {
  readonly name: string;
  /** Of its result; null where nobody can say what that is. */
  readonly checksum: string | null;
  /** Runs it, and answers the checksum of what came; null where the plan cannot be run so. */
  run(engine: FaultyEngine, disturbance: Disturbance): Promise<string | null>;
}

/** Of rows, by their texts. */
function checksumOf(rows: readonly string[]): string {
  const hash = createHash("sha256");
  for (const row of rows) hash.update(row).update("\n");
  return `${rows.length} rows, ${hash.digest("hex").slice(0, 16)}`;
}

/** A case of the fuzzer. */
export function drawnJob(draw: Draw, seed: number): SoakJob {
  const way: Way = { ...drawWay(draw, 1), faults: NO_FAULTS, spill: null, shy: 0 };
  const one = drawPlan(draw);
  const { want, show } = expected(one);
  return {
    name: `case ${seed}`,
    checksum: want === null ? null : checksumOf(want),
    async run(engine, disturbance) {
      const rows = await runWay(engine, one, way, disturbance);
      return rows === null ? null : checksumOf(show(rows));
    },
  };
}

const FIELDS: readonly Field[] = [
  { name: "at", type: int64, nullable: false },
  { name: "key", type: int64, nullable: true },
  { name: "text", type: utf8, nullable: true },
  { name: "few", type: int32, nullable: false },
  { name: "x", type: float64, nullable: true },
];
const ROWS = 24_000;

/** Rows roughly in the order of `at`, with keys that hardly repeat. */
function rowsOf(seed: number): Value[][] {
  const random = new RowRandom(seed, "soak");
  return Array.from({ length: ROWS }, (_, row) => {
    const mixed = random.below(4 * row, 2 ** 31);
    return [
      BigInt(row - (mixed % 40)),
      mixed % 101 === 0 ? null : BigInt(mixed % 20_011) * 1_000_003n,
      mixed % 97 === 0 ? null : `text ${mixed % 9973}`,
      BigInt(mixed % 17),
      mixed % 89 === 0 ? null : (mixed - 2 ** 30) * 10 ** ((mixed % 40) - 20),
    ];
  });
}

const t = from("t") as Plan;
const LARGE: Readonly<Record<string, Plan>> = {
  "many groups": t.groupBy("key").aggregate({ s: sum("x"), a: avg("x"), c: count(), l: min("text") }) as Plan,
  "many texts": t
    .groupBy("text", "few")
    .aggregate({ d: countDistinct("key"), m: max("x"), j: stringAgg("text", "/") }) as Plan,
  "few groups": t.groupBy("few").aggregate({ s: sum("x"), c: count("key") }) as Plan,
  projection: t.where(col("few").lt(9)).select({ text: col("text"), y: col("x").mul(2) }) as Plan,
  join: t
    .join(from("u") as Plan, { on: "few" })
    .groupBy("text")
    .aggregate({ c: count() }) as Plan,
  "joined rows": t.join(from("u") as Plan, { on: "few" }) as Plan,
  tumbling: t
    .window(tumble("at", 500))
    .groupBy("few")
    .aggregate({ s: sum("x"), c: count() }) as Plan,
  hopping: t.window(hop("at", 1000, 250)).aggregate({ s: sum("x"), d: countDistinct("text") }) as Plan,
  sessions: t
    .window(session("at", 30))
    .groupBy("text")
    .aggregate({ c: count(), s: sum("x") }) as Plan,
  "largest first": t.orderBy("x", "key").limit(100) as Plan,
  "in order": t.orderBy("text", "x") as Plan,
};

const AS_THEY_ARE: Way = { ...PLAIN_WAY, encoding: "plain" };

/** The large plans with their results, by an engine that has room for them. */
export async function largeJobs(seed: number, roomy: FaultyEngine): Promise<LargeJob[]> {
  const rows = rowsOf(seed);
  const tables = {
    t: { columns: FIELDS, rows },
    u: {
      columns: [
        { name: "few", type: int32, nullable: false },
        { name: "label", type: utf8, nullable: false },
      ],
      rows: Array.from({ length: 12 }, (_, at): Value[] => [BigInt(at), `label ${at}`]),
    },
  };
  const jobs: LargeJob[] = [];
  for (const [name, { node }] of Object.entries(LARGE)) {
    const used = name.startsWith("join") ? tables : { t: tables.t };
    const one: PlanCase = { plan: node, tables: used };
    const given = await runWay(roomy, one, AS_THEY_ARE);
    jobs.push(new LargeJob(name, one, checksumOf(fingerprint(given!))));
  }
  return jobs;
}

export class LargeJob {
  readonly name: string;
  readonly #case: PlanCase;
  readonly #checksum: string;

  constructor(name: string, one: PlanCase, checksum: string) {
    this.name = name;
    this.#case = one;
    this.#checksum = checksum;
  }

  /** Run in a way that the draw says. */
  drawn(draw: Draw): SoakJob {
    const way: Way = {
      ...AS_THEY_ARE,
      mode: draw.pick(["collect", "stream", "kernel"] as const),
      cuts: [4, 9, 17, 18, 30, 31, 40, 52, 60],
      form: draw.pick(["batches", "async", "resident", "ipc"] as const),
      encoding: draw.pick(["plain", "mixed"] as const),
      watermarks: draw.chance(50),
    };
    return {
      name: this.name,
      checksum: this.#checksum,
      run: async (engine, disturbance) =>
        checksumOf(fingerprint((await runWay(engine, this.#case, way, disturbance))!)),
    };
  }
}
