// Pages in a real browser, where there is one: nothing logged, nothing asked for, nothing wider than the window, no two
// labels of an axis on each other, and a second of work at most until it is open (of the processor's time: a test does
// not have the machine to itself). Elsewhere these tests are skipped, and what can be known
// from the text alone is in html.test.ts.

import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { cardSvg } from "./card.js";
import { historyPage } from "./history-page.js";
import { Markup } from "./markup.js";
import { page } from "./page.js";
import { profilePage } from "./profile-page.js";
import { reportPage } from "./report-page.js";
import { Chromium, findChromium } from "./testing-chromium.js";
import { fullReport, sampleProfile, sampleReport } from "./testing-report.js";

const program = findChromium();
const folder = mkdtempSync(join(tmpdir(), "millrace-browser-test-"));

afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
});

/** What is wrong with the layout, in words; run inside of the page. */
const LAYOUT = `(() => {
  const wrong = [];
  const wide = document.documentElement.scrollWidth;
  if (wide > innerWidth) wrong.push("the page is " + wide + " wide");
  for (const element of document.body.querySelectorAll("*")) {
    if (element.closest(".scroll, pre, svg, details:not([open])")) continue;
    const { left, right, width } = element.getBoundingClientRect();
    if (width > 0 && (right > innerWidth + 1 || left < -1))
      wrong.push(element.tagName + "." + element.className + " from " + left + " to " + right + ": " + element.textContent.slice(0, 40));
  }
  for (const axis of document.querySelectorAll(".axis")) {
    const labels = [...axis.children].map((label) => label.getBoundingClientRect());
    labels.forEach((label, index) => {
      if (index > 0 && label.left < labels[index - 1].right) wrong.push("labels of an axis meet: " + axis.textContent);
    });
  }
  for (const chart of document.querySelectorAll(".chart")) {
    if (!/Across: \\S/.test(chart.textContent)) wrong.push("a chart without a name on its axis");
    for (const drawing of chart.querySelectorAll("svg"))
      if (drawing.getBoundingClientRect().width < 80) wrong.push("a drawing of less than 80 pixels");
  }
  return wrong;
})()`;

describe.skipIf(program === null)("in a browser", { timeout: 120_000 }, () => {
  let browser: Chromium;
  beforeAll(async () => {
    browser = await Chromium.open(program!);
    return () => browser.close();
  }, 120_000);

  function address(name: string, text: string): string {
    const path = join(folder, name);
    writeFileSync(path, text);
    return pathToFileURL(path).href;
  }

  const reports = [sampleReport(), fullReport()];
  it.each([
    ["a report", () => reportPage(sampleReport())],
    ["a report of everything", () => reportPage(fullReport())],
    ["a history", () => historyPage(reports)],
    ["a profile", () => profilePage(sampleProfile())],
  ] as const)("%s fits phones and desks, light and dark", async (name, text) => {
    const url = address(`${name.replaceAll(" ", "-")}.html`, text());
    for (const [width, scheme] of [
      [360, "dark"],
      [1440, "light"],
    ] as const) {
      const { errors, asked } = await browser.visit(url, { width, height: 900, scheme });
      expect(errors).toEqual([]);
      // The download, as data, is asked for when it is pressed.
      expect(asked.filter((from) => !from.startsWith("data:"))).toEqual([url]);
      expect(await browser.evaluate<string[]>(LAYOUT)).toEqual([]);
    }
  });

  it("the largest report opens within a second", async () => {
    const url = address("largest.html", reportPage(fullReport()));
    const times: number[] = [];
    for (let visit = 0; visit < 2; visit++) {
      await browser.visit(url, { width: 1440, height: 900, scheme: "light" });
      times.push(await browser.pageSeconds());
    }
    expect(Math.min(...times)).toBeGreaterThan(0);
    expect(Math.min(...times)).toBeLessThan(1);
  });

  it("sees what is too wide", async () => {
    const wide = address("wide.html", page("Wide", new Markup('<p style="width:2000px">x</p>')));
    await browser.visit(wide, { width: 360, height: 900, scheme: "light" });
    expect((await browser.evaluate<string[]>(LAYOUT)).join()).toMatch(/the page is 20\d\d wide,P/);
  });

  it("a card is a picture of its own", async () => {
    const { errors } = await browser.visit(address("card.svg", cardSvg(sampleReport())), {
      ...{ width: 800, height: 600, scheme: "light" },
    });
    expect(errors).toEqual([]);
    const outside = `(() => {
      const { width } = document.documentElement.viewBox.baseVal;
      return [...document.querySelectorAll("text")].filter((text) => {
        const { x, width: of } = text.getBBox();
        return x < 0 || x + of > width;
      }).map((text) => text.textContent);
    })()`;
    expect(await browser.evaluate<string[]>(outside)).toEqual([]);
  });
});
