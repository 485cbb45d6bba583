// What draws pages and cards, loaded where one is asked for: the plotting library is an optional dependency, which
// those who only compute with Millrace may leave out.

import { UsageError } from "./usage.js";

/** Throws UsageError where the plotting library is not installed. */
export async function drawer(load = () => import("../html/index.js")) {
  try {
    return await load();
  } catch (cause) {
    if ((cause as { code?: unknown }).code !== "ERR_MODULE_NOT_FOUND") throw cause;
    const packages = "@observablehq/plot and linkedom";
    throw new UsageError(
      `pages and cards are drawn with ${packages}, which are not installed: npm install ${packages.replace(" and", "")}`,
    );
  }
}
