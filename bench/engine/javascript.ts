// The tight hand-written loop: what a good engineer would write in JavaScript without a library.

import { arrowTables, inputRows, plainTables, scanBytes } from "../input/load.js";
import type { RawResult } from "../result/canonical.js";
import { type Engine, timed, UnavailableError } from "./engine.js";

export const javascript: Engine = {
  name: "js",
  parallel: false,
  async open(of, files) {
    if (of.javascript === undefined) throw new UnavailableError("this case has no loop in JavaScript");
    const tables = arrowTables(of, files);
    const loop = of.javascript(plainTables(tables));
    let last: RawResult | null = null;
    return {
      version: process.versions.v8,
      threads: 1,
      inputRows: inputRows(tables),
      inputBytes: scanBytes(tables),
      async run() {
        last = null;
        const { ms, value } = await timed(loop);
        last = value;
        return { ms, outputRows: value.rows };
      },
      async result() {
        return last ?? loop();
      },
      async close() {},
    };
  },
};
