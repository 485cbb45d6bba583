// Queries of the Nexmark benchmark, numbered as there, in event time; q0 to q2 have no windows and show what reading the
// bids costs. Where a query leaves open which rows it means, this says: q7 takes the greatest auction among equal prices,
// q12, which Flink runs in processing time, counts by the bids' own time (processing time gives another answer each run).
//
// The peers have no windows and no order to keep: they group by a bucket of the time.

import {
  argMax,
  col,
  count,
  from,
  hop,
  max,
  type Plan,
  session,
  tumble,
  type Window,
} from "../../bindings/ts/index.js";
import { NEXMARK_START_MS } from "../../fixtures/nexmark.js";
import type { PlainTable } from "../input/plain-table.js";
import type { OutputColumn, RawResult } from "../result/canonical.js";
import type { BenchCase, Suite } from "./case.js";
import { codes, directSize, integersAsFloat64, lengthened, mapped } from "./typed-loops.js";

const SECOND_MS = 1000;
const SIZE_MS = 10 * SECOND_MS;
const SLIDE_MS = 2 * SECOND_MS;
const SLIDES = SIZE_MS / SLIDE_MS;

const BIDS = (...columns: string[]) => ({ fixture: "nexmark-bids", columns });
/** As Flink's table definition has it. */
const WATERMARK = { column: "date_time", outOfOrderness: "4 seconds" };

const int = (name: string): OutputColumn => ({ name, kind: "int" });
const bounds: readonly OutputColumn[] = [
  { name: "window_start", kind: "timestamp" },
  { name: "window_end", kind: "timestamp" },
];

/** Milliseconds since the start of the fixture. */
function timesOf(table: PlainTable): Float64Array {
  const times = integersAsFloat64(table, "date_time");
  for (let row = 0; row < times.length; row++) times[row]! -= NEXMARK_START_MS;
  return times;
}

function micros(times: ArrayLike<number>): Float64Array {
  return mapped(times, (ms) => (NEXMARK_START_MS + ms) * 1000);
}

/**
 * Rows of a result in the making, each a tuple of numbers in the order of `names`. One is kept for all runs: code that works
 * on objects of a class none of which is left when garbage is collected is thrown away with them, and each run would start
 * in the interpreter again.
 */
class Rows {
  readonly #names: readonly string[];
  #columns: Float64Array[];
  #rows = 0;

  constructor(...names: string[]) {
    this.#names = names;
    this.#columns = names.map(() => new Float64Array(1024));
  }

  clear(): void {
    this.#rows = 0;
  }

  add(...values: number[]): void {
    const row = this.#rows++;
    if (row === this.#columns[0]!.length)
      this.#columns = this.#columns.map((column) => lengthened(column, 2 * row));
    for (let at = 0; at < values.length; at++) this.#columns[at]![row] = values[at]!;
  }

  /** Window bounds are milliseconds since the start. */
  result(): RawResult {
    const columns = this.#names.map((name, at) => {
      const values = this.#columns[at]!.slice(0, this.#rows);
      return [name, { values: name.startsWith("window_") ? micros(values) : values }];
    });
    return { rows: this.#rows, columns: Object.fromEntries(columns) };
  }
}

const bids = () => from("bids") as Plan;

const q0: BenchCase = {
  suite: "nexmark",
  name: "q0",
  question: "all bids as they are",
  inputs: { bids: BIDS("auction", "bidder", "price", "date_time") },
  output: [int("auction"), int("bidder"), int("price"), { name: "date_time", kind: "timestamp" }],
  plan: () => bids().select("auction", "bidder", "price", "date_time"),
  sql: "SELECT auction, bidder, price, date_time FROM bids",
  javascript: ({ bids }) => {
    const inputs = ["auction", "bidder", "price"].map(
      (name) => [name, integersAsFloat64(bids!, name)] as const,
    );
    const times = timesOf(bids!);
    return () => ({
      rows: times.length,
      columns: {
        ...Object.fromEntries(inputs.map(([name, values]) => [name, { values: values.slice() }])),
        date_time: { values: micros(times) },
      },
    });
  },
};

const EUROS = 0.908;

const q1: BenchCase = {
  suite: "nexmark",
  name: "q1",
  question: "each bid's price in euros",
  inputs: { bids: BIDS("auction", "bidder", "price") },
  output: [int("auction"), int("bidder"), { name: "euros", kind: "float" }],
  plan: () => bids().select("auction", "bidder", { euros: col("price").mul(EUROS) }),
  sql: `SELECT auction, bidder, price::DOUBLE * ${EUROS}::DOUBLE AS euros FROM bids`,
  javascript: ({ bids }) => {
    const [auction, bidder, price] = ["auction", "bidder", "price"].map((name) =>
      integersAsFloat64(bids!, name),
    );
    return () => ({
      rows: price!.length,
      columns: {
        auction: { values: auction!.slice() },
        bidder: { values: bidder!.slice() },
        euros: { values: price!.map((cents) => cents * EUROS) },
      },
    });
  },
};

const q2: BenchCase = {
  suite: "nexmark",
  name: "q2",
  question: "bids on one auction in 123",
  inputs: { bids: BIDS("auction", "price") },
  output: [int("auction"), int("price")],
  plan: () => bids().where(col("auction").mod(123n).eq(0n)).select("auction", "price"),
  sql: "SELECT auction, price FROM bids WHERE auction % 123 = 0",
  javascript: ({ bids }) => {
    const [auction, price] = [integersAsFloat64(bids!, "auction"), integersAsFloat64(bids!, "price")];
    const rows = new Rows("auction", "price");
    return () => {
      rows.clear();
      for (let row = 0; row < auction.length; row++)
        if (auction[row]! % 123 === 0) rows.add(auction[row]!, price[row]!);
      return rows.result();
    };
  },
};

const hotWindow = (): Window => hop("date_time", "10 seconds", "2 seconds");

const q5: BenchCase = {
  suite: "nexmark",
  name: "q5",
  question: "the auctions with most bids in the last 10 seconds, every 2 seconds",
  inputs: { bids: BIDS("auction", "date_time") },
  output: [...bounds, int("auction"), int("n")],
  plan: () => {
    const counts = bids().window(hotWindow()).groupBy("auction").aggregate({ n: count() });
    // Windows of the slide over the windows' last moments: each holds the windows with one end.
    const most = counts.window(tumble("window_time", "2 seconds")).aggregate({ most: max("n") });
    return counts
      .join(most.select("window_end", "most") as Plan, { on: "window_end" as never })
      .where(col("n").eq(col("most")))
      .select("window_start", "window_end", "auction", "n") as Plan;
  },
  watermarks: { bids: WATERMARK },
  sql: `WITH slices AS (SELECT time_bucket(INTERVAL 2 SECOND, date_time) AS slice, auction, count(*) AS n FROM bids GROUP BY ALL),
    counts AS (SELECT slice - INTERVAL 2 SECOND * back AS window_start,
        slice - INTERVAL 2 SECOND * back + INTERVAL 10 SECOND AS window_end, auction, sum(n) AS n
      FROM slices, range(${SLIDES}) AS r(back) GROUP BY ALL)
    SELECT * FROM counts QUALIFY n = max(n) OVER (PARTITION BY window_start)`,
  javascript: ({ bids }) => {
    const [auction, times] = [integersAsFloat64(bids!, "auction"), timesOf(bids!)];
    const rows = new Rows("window_start", "window_end", "auction", "n");
    return () => {
      rows.clear();
      const slices = countsBySlice(auction, times, SLIDE_MS);
      for (let last = 0; last < slices.length + SLIDES - 1; last++) {
        const counts = new Map<number, number>();
        for (const slice of slices.slice(Math.max(0, last - SLIDES + 1), last + 1))
          for (const [key, n] of slice) counts.set(key, (counts.get(key) ?? 0) + n);
        const most = Math.max(0, ...counts.values());
        const end = (last + 1) * SLIDE_MS;
        for (const [key, n] of counts) if (n === most) rows.add(end - SIZE_MS, end, key, n);
      }
      return rows.result();
    };
  },
};

/** How often each key comes in each slice of time; times rise. */
function countsBySlice(keys: Float64Array, times: Float64Array, sliceMs: number): Map<number, number>[] {
  const slices: Map<number, number>[] = [];
  for (let row = 0; row < keys.length; row++) {
    const at = Math.floor(times[row]! / sliceMs);
    while (slices.length <= at) slices.push(new Map());
    const counts = slices[at]!;
    counts.set(keys[row]!, (counts.get(keys[row]!) ?? 0) + 1);
  }
  return slices;
}

const tenSeconds = (): Window => tumble("date_time", "10 seconds");

const q7: BenchCase = {
  suite: "nexmark",
  name: "q7",
  question: "the highest price of each 10 seconds, and its auction",
  inputs: { bids: BIDS("auction", "price", "date_time") },
  output: [...bounds, int("price"), int("auction")],
  plan: () =>
    bids()
      .window(tenSeconds())
      .aggregate({ price: max("price"), auction: argMax("auction", "price") })
      .select("window_start", "window_end", "price", "auction"),
  watermarks: { bids: WATERMARK },
  sql: `WITH best AS (SELECT time_bucket(INTERVAL 10 SECOND, date_time) AS window_start, max({'price': price, 'auction': auction}) AS bid
      FROM bids GROUP BY ALL)
    SELECT window_start, window_start + INTERVAL 10 SECOND AS window_end, bid.price AS price, bid.auction AS auction FROM best`,
  javascript: ({ bids }) => {
    const [auction, price] = [integersAsFloat64(bids!, "auction"), integersAsFloat64(bids!, "price")];
    const times = timesOf(bids!);
    const rows = new Rows("window_start", "window_end", "price", "auction");
    return () => {
      rows.clear();
      for (let row = 0; row < price.length; ) {
        const start = Math.floor(times[row]! / SIZE_MS) * SIZE_MS;
        let [highest, by] = [-1, -1];
        for (; row < price.length && times[row]! < start + SIZE_MS; row++) {
          if (price[row]! < highest || (price[row] === highest && auction[row]! < by)) continue;
          [highest, by] = [price[row]!, auction[row]!];
        }
        rows.add(start, start + SIZE_MS, highest, by);
      }
      return rows.result();
    };
  },
};

const q8: BenchCase = {
  suite: "nexmark",
  name: "q8",
  question: "people who opened auctions in the 10 seconds in which they registered",
  inputs: {
    persons: { fixture: "nexmark-persons", columns: ["id", "name", "date_time"] },
    auctions: { fixture: "nexmark-auctions", columns: ["seller", "date_time"] },
  },
  output: [...bounds, int("id"), { name: "name", kind: "text" }, int("auctions")],
  plan: () => {
    const people = (from("persons") as Plan)
      .window(tenSeconds())
      .groupBy("id", "name")
      .aggregate({ n: count() });
    const sellers = (from("auctions") as Plan)
      .window(tenSeconds())
      .groupBy("seller")
      .aggregate({ auctions: count() })
      .select("window_start", "seller", "auctions");
    return people
      .join(sellers as Plan, { on: { id: "seller", window_start: "window_start" } as never })
      .select("window_start", "window_end", "id", "name", "auctions") as Plan;
  },
  watermarks: { persons: WATERMARK, auctions: WATERMARK },
  sql: `WITH people AS (SELECT time_bucket(INTERVAL 10 SECOND, date_time) AS window_start, id, name FROM persons GROUP BY ALL),
    sellers AS (SELECT time_bucket(INTERVAL 10 SECOND, date_time) AS window_start, seller, count(*) AS auctions FROM auctions GROUP BY ALL)
    SELECT p.window_start, p.window_start + INTERVAL 10 SECOND AS window_end, id, name, s.auctions
    FROM people p JOIN sellers s ON p.window_start = s.window_start AND id = seller`,
  javascript: ({ persons, auctions }) => {
    const [id, name] = [integersAsFloat64(persons!, "id"), codes(persons!, "name")];
    const seller = integersAsFloat64(auctions!, "seller");
    const [registered, opened] = [timesOf(persons!), timesOf(auctions!)];
    const rows = new Rows("window_start", "window_end", "id", "name", "auctions");
    return () => {
      rows.clear();
      const sellers = countsBySlice(seller, opened, SIZE_MS);
      for (let row = 0; row < id.length; row++) {
        const window = Math.floor(registered[row]! / SIZE_MS);
        const n = sellers[window]?.get(id[row]!);
        if (n !== undefined)
          rows.add(window * SIZE_MS, (window + 1) * SIZE_MS, id[row]!, name.codes[row]!, n);
      }
      const { rows: length, columns } = rows.result();
      return { rows: length, columns: { ...columns, name: { ...columns.name!, dictionary: name.texts } } };
    };
  },
};

const q11: BenchCase = {
  suite: "nexmark",
  name: "q11",
  question: "bids of each visit of a bidder: no more than 10 seconds apart",
  inputs: { bids: BIDS("bidder", "date_time") },
  output: [...bounds, int("bidder"), int("n")],
  plan: () =>
    bids()
      .window(session("date_time", "10 seconds"))
      .groupBy("bidder")
      .aggregate({ n: count() })
      .select("window_start", "window_end", "bidder", "n"),
  watermarks: { bids: WATERMARK },
  sql: `WITH gaps AS (SELECT date_time, bidder,
      coalesce(date_time - lag(date_time) OVER w > INTERVAL 10 SECOND, true) AS begins FROM bids WINDOW w AS (PARTITION BY bidder ORDER BY date_time)),
    numbered AS (SELECT *, sum(begins::INTEGER) OVER (PARTITION BY bidder ORDER BY date_time ROWS UNBOUNDED PRECEDING) AS visit FROM gaps)
    SELECT min(date_time) AS window_start, max(date_time) + INTERVAL 10 SECOND AS window_end, bidder, count(*) AS n
    FROM numbered GROUP BY bidder, visit`,
  javascript: ({ bids }) => {
    const [bidder, times] = [integersAsFloat64(bids!, "bidder"), timesOf(bids!)];
    const rows = new Rows("window_start", "window_end", "bidder", "n");
    return () => {
      rows.clear();
      const open = new Map<number, { first: number; last: number; n: number }>();
      const leave = (key: number, { first, last, n }: { first: number; last: number; n: number }) =>
        rows.add(first, last + SIZE_MS, key, n);
      for (let row = 0; row < bidder.length; row++) {
        const [key, time] = [bidder[row]!, times[row]!];
        const visit = open.get(key);
        if (visit !== undefined && time - visit.last <= SIZE_MS) {
          visit.last = time;
          visit.n += 1;
          continue;
        }
        if (visit !== undefined) leave(key, visit);
        open.set(key, { first: time, last: time, n: 1 });
      }
      for (const [key, visit] of open) leave(key, visit);
      return rows.result();
    };
  },
};

/** Rows of each window's keys, below `width`, with how often they come: one window at a time, as times rise. */
function countByWindow(keys: Int32Array, times: Float64Array, width: number, rows: Rows): void {
  const [counts, seen] = [new Int32Array(width), new Int32Array(width)];
  let [window, some] = [0, 0];
  for (let row = 0; row < keys.length; row++) {
    const at = (times[row]! / SIZE_MS) | 0;
    if (at !== window) {
      leave(window, counts, seen, some, rows);
      [window, some] = [at, 0];
    }
    const key = keys[row]!;
    if (counts[key]! === 0) seen[some++] = key;
    counts[key]! += 1;
  }
  leave(window, counts, seen, some, rows);
}

/** The counts of the `some` keys that a window has seen, which are 0 afterwards. */
function leave(window: number, counts: Int32Array, seen: Int32Array, some: number, rows: Rows): void {
  for (let at = 0; at < some; at++) {
    const key = seen[at]!;
    rows.add(window * SIZE_MS, (window + 1) * SIZE_MS, key, counts[key]!);
    counts[key] = 0;
  }
}

const q12: BenchCase = {
  suite: "nexmark",
  name: "q12",
  question: "bids of each 10 seconds by bidder",
  inputs: { bids: BIDS("bidder", "date_time") },
  output: [...bounds, int("bidder"), int("n")],
  plan: () =>
    bids()
      .window(tenSeconds())
      .groupBy("bidder")
      .aggregate({ n: count() })
      .select("window_start", "window_end", "bidder", "n"),
  watermarks: { bids: WATERMARK },
  sql: `SELECT time_bucket(INTERVAL 10 SECOND, date_time) AS window_start,
    time_bucket(INTERVAL 10 SECOND, date_time) + INTERVAL 10 SECOND AS window_end, bidder, count(*) AS n FROM bids GROUP BY ALL`,
  javascript: ({ bids }) => {
    const [bidder, times] = [Int32Array.from(integersAsFloat64(bids!, "bidder")), timesOf(bids!)];
    const width = directSize(bidder);
    const rows = new Rows("window_start", "window_end", "bidder", "n");
    return () => {
      rows.clear();
      countByWindow(bidder, times, width, rows);
      return rows.result();
    };
  },
  quick: "fast",
};

export const nexmarkSuite: Suite = {
  name: "nexmark",
  title: "an online auction (Nexmark)",
  cases: [q0, q1, q2, q5, q7, q8, q11, q12],
};
