// Pages and cards: whole, escaped, free of scripts and of anything from elsewhere, with every figure in them.

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { afterAll, afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { reportCommand, reportOptions } from "../command/report.js";
import { saveReport } from "../report/history.js";
import { cardSvg } from "./card.js";
import { barChart, dotChart, lineCharts, scaleOf } from "./charts.js";
import { historyPage } from "./history-page.js";
import { html, Markup } from "./markup.js";
import { dataTable, download, page } from "./page.js";
import { profilePage } from "./profile-page.js";
import { reportPage } from "./report-page.js";
import { fullReport, sampleProfile, sampleReport, sampleRow } from "./testing-report.js";

const folder = mkdtempSync(join(tmpdir(), "millrace-html-test-"));
beforeEach(() => {
  vi.spyOn(process.stdout, "write").mockImplementation(() => true);
});
afterEach(() => {
  vi.restoreAllMocks();
});
afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
});

/** Opened and closed in order; answers the names of all elements. */
function elements(text: string): string[] {
  const empty = new Set(["meta", "link", "br", "rect", "line", "path", "circle", "!doctype"]);
  const open: string[] = [];
  const names: string[] = [];
  for (const [, close, name, rest] of text.matchAll(/<(\/?)(!?[a-z][\w-]*)((?:"[^"]*"|[^">])*)>/gi)) {
    if (close === "/") expect(open.pop()).toBe(name);
    else {
      names.push(name!);
      if (!empty.has(name!.toLowerCase()) && !rest!.endsWith("/")) open.push(name!);
    }
  }
  expect(open).toEqual([]);
  return names;
}

function checkPage(text: string): string[] {
  expect(text.startsWith("<!doctype html>")).toBe(true);
  const names = elements(text);
  expect(names).not.toContain("script");
  // Nothing from elsewhere: no address but names of namespaces and data in the page.
  for (const [, address] of text.matchAll(/(?:href|src|url)\s*[=(]\s*"?([^")\s]+)/g))
    expect(address).toMatch(/^data:/);
  // Compressed data may say anything.
  const said = text.replace(/data:[^"]*base64,[^"]*/g, "");
  expect(said.match(/@import|NaN|undefined|Infinity/)).toBe(null);
  expect(text).toContain('name="viewport" content="width=device-width');
  expect(text).toContain("prefers-color-scheme: dark");
  expect(text.length).toBeLessThan(2 * 2 ** 20);
  return names;
}

describe("the report", () => {
  it("has the verdict, the ratios, every engine, and every number as a table and a download", () => {
    const of = sampleReport();
    const text = reportPage(of);
    checkPage(text);
    expect(text).toContain("Xeon &#34;&#60;7&#62;&#34;");
    expect(text).toContain("<b>80 cores</b> like this one would carry 4,000,000,000 records a second");
    expect(text).toContain("double11/gmv, stream");
    expect(text).toContain(">groupby/q1 1,000,000 rows<");
    expect(text).toContain(">2.50x<");
    expect(text).toContain("times the fastest peer, by powers of ten");
    expect(text).toContain("differs from &#60;millrace&#62; &#38; &#39;co&#39;");
    expect(text).toContain("arquero is not installed");
    expect(text).toContain("<td>13.00</td>");
    expect(text).toContain("memory read");
    expect(text).toContain("<td>60.00</td>");
    expect(text).toContain(">groupby/q1 10,000,000 rows<");
    expect(text).toContain(">batch, duckdb<");
    expect(text).toContain("7 TB/s, the peak&#39;s bytes, take 11,666.7 cores");
    expect(text).toContain("npx millrace bench groupby double11 micro latency</pre>");
    expect(reportPage({ ...of, command: "npx millrace bench --seed 42" })).toContain(
      "<pre>npx millrace bench --seed 42</pre>",
    );
    expect(text).toContain("By threads");
    expect(text).toContain("By rows");
    expect(text).toContain("p99.9");
    expect(text).toContain("geometric mean of 1 case");
    const data = text.match(
      /download="millrace-bench.json" href="data:application\/json;base64,([^"]+)"/,
    )![1]!;
    expect(JSON.parse(Buffer.from(data, "base64").toString("utf8"))).toEqual(of);
  });

  it("offers a large download compressed", () => {
    const text = "x".repeat(300_000);
    const link = String(download("a.json", text, "Download"));
    const data = link.match(
      /download="a.json.gz" href="data:application\/gzip;base64,([^"]+)">Download \(gzip\)/,
    )!;
    expect(gunzipSync(Buffer.from(data[1]!, "base64")).toString()).toBe(text);
  });

  it("of a failed or interrupted run is a page too", () => {
    const failed = sampleRow({ verified: false, verifiedBy: [], error: "out of memory" });
    const { rowsPerSec: _, medianMs: __, minMs: ___, maxMs: ____, ...bare } = failed;
    const text = reportPage(
      sampleReport({ results: [bare], ratios: [], exactness: [], double11: null, interrupted: true }),
    );
    checkPage(text);
    expect(text).toContain("out of memory");
    expect(text).toContain("Interrupted");
    checkPage(reportPage(sampleReport({ results: [], ratios: [], exactness: [], double11: null })));
  });
});

it("a page of every case, engine and mode is at most 2 MiB", () => {
  const of = fullReport();
  expect(of.results.length).toBeGreaterThan(1400);
  checkPage(reportPage(of));
});

describe("charts", () => {
  it("scales from 0, or by powers of ten", () => {
    expect(scaleOf([3, 37], false)).toEqual({ domain: [0, 37], ticks: null });
    expect(scaleOf([], false).domain).toEqual([0, 1]);
    expect(scaleOf([0.5, 40], true)).toEqual({ domain: [0.1, 100], ticks: [0.1, 1, 10, 100] });
    expect(scaleOf([5], true).ticks).toEqual([1, 10]);
    expect(scaleOf([1e-9, 1e9], true).ticks!.length).toBeLessThan(7);
  });

  it("draw bars with their spread, names and units, once for phones and once for desks", () => {
    const bar = {
      group: "q<1>",
      label: "a & b",
      value: 5,
      spread: [4, 6] as const,
      text: "5 s",
      colour: "#000",
    };
    const text = String(barChart([bar, { ...bar, spread: null }], { title: "seconds", mark: 1 }));
    elements(text);
    expect(text.match(/<svg [^>]*>/g)!.map((svg) => /width="(\d+)"/.exec(svg)![1])).toEqual(["328", "1000"]);
    expect(text.match(/>q&lt;1&gt;</g)).toHaveLength(2);
    expect(text.match(/>a &amp; b</g)).toHaveLength(4);
    expect(text.match(/>seconds</g)).toHaveLength(2);
    expect(text.match(/<rect/g)).toHaveLength(4);
    expect(text).not.toMatch(/<style|\d\.\d{2}/);
  });

  it("draw dots under roofs, rings for streams", () => {
    const dot = { value: 5, spread: [4, 6] as const, colour: "#000" };
    const roofs = [
      { value: 9, isDashed: false },
      { value: 20, isDashed: true },
    ];
    const row = { label: "sum", dots: [dot, { ...dot, isHollow: true }], roofs };
    const text = String(dotChart([row, { label: "none", dots: [] }], "GB/s"));
    elements(text);
    expect(text.match(/<circle/g)).toHaveLength(4);
    expect(text.match(/stroke-dasharray="3,2"/g)).toHaveLength(2);
    expect(text).toContain(">GB/s, by powers of ten<");
  });

  it("draw a line of one point, and of none above 0", () => {
    const lines = (points: [number, number][]) => [{ points, colour: "#000" }];
    const charts = [
      { title: "<a>", lines: lines([[1, 0]]) },
      {
        title: "b",
        lines: lines([
          [1, 2],
          [2, 4],
        ]),
      },
    ];
    const text = String(lineCharts(charts, { title: "rows", log: true }, "s"));
    elements(text);
    expect(text).not.toMatch(/NaN|Infinity|undefined/);
    expect(text).toContain("<figcaption>&#60;a&#62;</figcaption>");
    expect(text.match(/<circle/g)).toHaveLength(3);
    expect(text.match(/>rows</g)).toHaveLength(2);
    expect(text.match(/>s</g)).toHaveLength(2);
  });
});

it("markup escapes what is put in, and nothing twice", () => {
  expect(String(html`<p title="${'"'}">${["<", html`<b>${"&"}</b>`, null, 3]}</p>`)).toBe(
    '<p title="&#34;">&#60;<b>&#38;</b>3</p>',
  );
  expect(page("<t>", new Markup("<p>x</p>"))).toContain("<title>&#60;t&#62;</title>");
  expect(String(dataTable([{ name: "a", numeric: true }], [[1]]))).toContain('<table class="n1">');
});

it("a card is an SVG of the ratios in batch mode, with machine, date and command", () => {
  const text = cardSvg(sampleReport());
  elements(text);
  expect(text.startsWith('<svg xmlns="http://www.w3.org/2000/svg"')).toBe(true);
  expect(text).toContain("groupby/q1");
  expect(text).toContain("2.50x");
  expect(text).toContain("2026-11-26");
  expect(text).toContain("npx millrace bench groupby double11 micro");
  expect(text).not.toContain("stream");
  expect(() => cardSvg(sampleReport({ ratios: [] }))).toThrow(RangeError);
});

it("a history is a line a case, by machine", () => {
  const later = sampleReport({ machine: { ...sampleReport().machine, date: "2026-11-27T04:00:00.000Z" } });
  const other = sampleReport({ machine: { ...sampleReport().machine, cpu: "M9" } });
  const text = historyPage([sampleReport(), later, other]);
  checkPage(text);
  expect(text).toContain("3 reports from 2026-11-26 to 2026-11-26");
  expect(text.match(/<h2>/g)).toHaveLength(2);
  expect(text).toContain("<figcaption>groupby/q1, 1,000,000 rows</figcaption>");
});

it("a profile has its operators, functions and time line", () => {
  const of = sampleProfile();
  const [mode] = of.modes;
  const text = profilePage(of);
  checkPage(text);
  expect(text).toContain("1,234");
  expect(text).toContain("kernel/group/emit");
  expect(text).toContain("Over time");
  expect(text).not.toContain("(idle)");
  checkPage(profilePage({ ...of, modes: [{ ...mode!, functions: [], run: { ...mode!.run, slices: [] } }] }));
});

describe("the command", () => {
  it("writes pages of a report and of a folder, and a card", async () => {
    const path = await saveReport(join(folder, "history"), sampleReport());
    expect(path).toMatch(/history.xeon-7-2-cores.0\.1\.0.2026-11-26T04-00-00\.json$/);
    const [pageFile, card, trend] = ["page.html", "card.svg", "trend.html"].map((name) => join(folder, name));
    expect(await reportCommand(path, reportOptions({ html: pageFile, card }))).toBe(0);
    expect(await reportCommand(join(folder, "history"), reportOptions({ html: trend }))).toBe(0);
    checkPage(readFileSync(pageFile!, "utf8"));
    checkPage(readFileSync(trend!, "utf8"));
    expect(readFileSync(card!, "utf8")).toBe(cardSvg(sampleReport()));
  });

  it("tells a report without ratios, a broken one in a folder, and an older one", async () => {
    const path = await saveReport(join(folder, "bare"), sampleReport({ ratios: [] }));
    await expect(reportCommand(path, reportOptions({ card: join(folder, "x.svg") }))).rejects.toThrow(
      /no ratios to peers/,
    );
    writeFileSync(join(folder, "bare", "half.json"), '{"schema": "millrace-bench/1", "results": []}');
    await expect(
      reportCommand(join(folder, "bare"), reportOptions({ html: join(folder, "x.html") })),
    ).rejects.toThrow(/half.json is no whole report: it has no machine/);
    writeFileSync(join(folder, "old.json"), '{"schema": "millrace-bench/0"}');
    await expect(
      reportCommand(join(folder, "old.json"), reportOptions({ html: join(folder, "x.html") })),
    ).rejects.toThrow(/has the schema "millrace-bench\/0": this version reads "millrace-bench\/1"/);
  });
});
