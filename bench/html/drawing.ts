// Pictures by Observable Plot, drawn when a page is written: what is in the page is SVG, and no script.
//
// A picture that shrinks with the screen shrinks its texts too. So each is drawn twice, for phones and for desks, and the
// page shows the one that fits (page.ts); texts keep their size. Colours of texts and lines are the page's, for light
// and dark.

import * as Plot from "@observablehq/plot";
import { parseHTML } from "linkedom";
import { html, Markup } from "./markup.js";

/** Pixels across: of a phone's page, and of a desk's. */
const NARROW = 328;
const WIDE = 1000;

const { document } = parseHTML("<!doctype html><html><body></body></html>");

/** One picture. `label` says what it shows to those who do not see it. */
export function drawing(label: string, options: Plot.PlotOptions): Markup {
  const svg = Plot.plot({ ...options, document: document as unknown as Document });
  return new Markup(compact(String(svg.outerHTML), String(html`${label}`)));
}

/** The picture for phones and the one for desks. */
export function twice(draw: (width: number, isWide: boolean) => Markup): Markup {
  return html`<div class="narrow">${draw(NARROW, false)}</div><div class="wide">${draw(WIDE, true)}</div>`;
}

/** To a tenth of a pixel, and with one style for all pictures of a page instead of one in each. */
function compact(svg: string, label: string): string {
  return svg
    .replace(/<style>.*?<\/style>/s, "")
    .replace(/ class="plot[^"]*"/, ` class="drawing" role="img" aria-label="${label}"`)
    .replace(/ (?:aria-hidden="true"|font-(?:size|family)="[^"]*")/g, "")
    .replace(/<[^>]+>/g, (tag) =>
      tag.replace(/\d+\.\d{2,}/g, (figure) => String(Number(Number(figure).toFixed(1)))),
    )
    .replaceAll(" />", "/>");
}
