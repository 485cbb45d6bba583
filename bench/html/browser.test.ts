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
  const shown = [...document.querySelectorAll(".chart .drawing")].filter((svg) => svg.getBoundingClientRect().width > 0);
  for (const svg of shown) {
    const name = svg.getAttribute("aria-label");
    const frame = svg.getBoundingClientRect();
    if (frame.width < 250) wrong.push(name + ": a drawing of " + frame.width + " pixels");
    if (![...svg.querySelectorAll('[aria-label$="-axis label"] text')].some((text) => /\\S/.test(text.textContent)))
      wrong.push(name + ": no name on its axis");
    const scale = frame.width / svg.viewBox.baseVal.width;
    for (const text of svg.querySelectorAll("text")) {
      const { left, right, top, bottom } = text.getBoundingClientRect();
      if (scale * parseFloat(getComputedStyle(text).fontSize) < 10) wrong.push(name + ": small text");
      if (left < frame.left - 1 || right > frame.right + 1 || top < frame.top - 2 || bottom > frame.bottom + 2)
        wrong.push(name + ": outside of it: " + text.textContent);
    }
    for (const axis of svg.querySelectorAll('[aria-label="x-axis tick label"]')) {
      const labels = [...axis.children].map((label) => label.getBoundingClientRect()).sort((a, b) => a.left - b.left);
      labels.forEach((label, index) => {
        if (index > 0 && label.left < labels[index - 1].right) wrong.push(name + ": labels meet: " + axis.textContent);
      });
    }
  }
  if (document.querySelectorAll(".chart").length > 0 && shown.length === 0) wrong.push("no drawing is shown");
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
      const frame = document.documentElement.getBoundingClientRect();
      return [...document.querySelectorAll("text")].filter((text) => {
        const { left, right, bottom } = text.getBoundingClientRect();
        return left < frame.left || right > frame.right || bottom > frame.bottom;
      }).map((text) => text.textContent);
    })()`;
    expect(await browser.evaluate<string[]>(outside)).toEqual([]);
  });
});
