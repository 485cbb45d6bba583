// The engines by name. They are loaded when asked for, so that a child process carries one and no other.

import type { Engine, EngineName } from "./engine.js";

export async function engineNamed(name: EngineName): Promise<Engine> {
  switch (name) {
    case "millrace":
      return (await import("./millrace.js")).millrace;
    case "duckdb":
      return (await import("./duckdb.js")).duckdb;
    case "polars":
      return (await import("./polars.js")).polars;
    case "duckdb-wasm":
      return (await import("./duckdb-wasm.js")).duckdbWasm;
    case "arquero":
      return (await import("./arquero.js")).arquero;
    case "js":
      return (await import("./javascript.js")).javascript;
    case "native":
      return (await import("./native.js")).native;
    case "twin":
      return (await import("./twin.js")).twin;
  }
}
