// Bundles a page that uses the installed package, with Vite and with esbuild, and opens it in Chromium: the worker
// and the `.wasm` are found, threads share memory in a cross-origin isolated page, and one thread runs elsewhere.
// check-package.mjs calls it with the project into which it has installed the package. Without a Chromium the
// bundles are made, and not opened.

import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { extname, join } from "node:path";
import { build as esbuild } from "esbuild";
import { build as vite } from "vite";
import { Chromium, findChromium } from "../bench/html/testing-chromium.js";

const project = process.argv[2]!;
const TYPES: Readonly<Record<string, string>> = {
  ".html": "text/html",
  ".js": "text/javascript",
  ".wasm": "application/wasm",
};
const ROWS = 200_000;
const KEYS = 7;
const WAIT_MS = 30_000;

interface Outcome {
  readonly error?: string;
  readonly keys?: number;
  readonly total?: number;
  readonly build?: string;
  readonly running?: number;
}

/** Leaves what came of it in `globalThis.outcome`. */
const page = (imports: string, options: string) => `
  import { tableFromArrays } from "apache-arrow";
  import { Engine, from, sum } from "millrace";
  ${imports}
  const plan = from("t").groupBy("k").aggregate({ total: sum("v") });
  const t = tableFromArrays({
    k: Int32Array.from({ length: ${ROWS} }, (_, row) => row % ${KEYS}),
    v: Int32Array.from({ length: ${ROWS} }, (_, row) => row),
  });
  async function run() {
    const engine = await Engine.open({ workers: 2${options} });
    try {
      await engine.ready();
      const rows = (await engine.collect(plan, { t })).toArray();
      const { build, workers } = engine.stats();
      const total = rows.reduce((sum, { total }) => sum + Number(total), 0);
      return { keys: rows.length, total, build, running: workers.running };
    } finally {
      await engine.close();
    }
  }
  run().catch((error) => ({ error: String(error?.stack ?? error) })).then((outcome) => {
    globalThis.outcome = outcome;
  });
`;

/** Vite follows the package's own addresses of its files. */
async function bundledByVite(): Promise<string> {
  const root = join(project, "vite");
  mkdirSync(root);
  writeFileSync(join(root, "page.js"), page("", ""));
  writeFileSync(join(root, "index.html"), '<!doctype html><script type="module" src="./page.js"></script>');
  await vite({
    root,
    configFile: false,
    logLevel: "warn",
    build: { target: "es2022", chunkSizeWarningLimit: 1000 },
  });
  return join(root, "dist");
}

/** esbuild does not follow `new URL`: the page imports the file, with esbuild's `file` loader, and hands it over. */
async function bundledByEsbuild(): Promise<string> {
  const root = join(project, "esbuild");
  mkdirSync(root);
  const imports = `import threads from "millrace/millrace.threads.wasm";
    import simd from "millrace/millrace.wasm";
    const wasm = new URL(crossOriginIsolated ? threads : simd, import.meta.url);`;
  writeFileSync(join(root, "page.js"), page(imports, ", wasm"));
  const outdir = join(root, "dist");
  await esbuild({
    absWorkingDir: root,
    entryPoints: ["page.js"],
    bundle: true,
    format: "esm",
    minify: true,
    outdir,
    loader: { ".wasm": "file" },
    logLevel: "warning",
  });
  writeFileSync(join(outdir, "index.html"), '<!doctype html><script type="module" src="./page.js"></script>');
  return outdir;
}

/** Serves a folder; `isolated` pages may share memory. */
async function served<T>(
  folder: string,
  isolated: boolean,
  use: (address: string) => Promise<T>,
): Promise<T> {
  const headers = isolated
    ? { "Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Embedder-Policy": "require-corp" }
    : {};
  const files = new Map(
    readdirSync(folder, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name))
      .map((path) => [path.slice(folder.length).replaceAll("\\", "/"), path]),
  );
  const server = createServer((request, response) => {
    const path = request.url === "/" ? "/index.html" : request.url!;
    const file = files.get(path);
    // A page without an icon asks for one all the same.
    if (file === undefined) response.writeHead(path === "/favicon.ico" ? 204 : 404).end();
    else
      response
        .writeHead(200, { "Content-Type": TYPES[extname(path)] ?? "application/octet-stream", ...headers })
        .end(readFileSync(file));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  try {
    return await use(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`);
  } finally {
    server.closeAllConnections();
    server.close();
  }
}

async function outcomeOf(browser: Chromium, address: string): Promise<Outcome> {
  const { errors } = await browser.visit(address, { width: 800, height: 600, scheme: "light" });
  const until = Date.now() + WAIT_MS;
  for (;;) {
    const outcome = await browser.evaluate<Outcome | undefined>("globalThis.outcome");
    if (outcome !== undefined) return errors.length === 0 ? outcome : { error: errors.join("\n") };
    if (Date.now() > until) return { error: `nothing came within ${WAIT_MS} ms: ${errors.join("\n")}` };
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

const program = findChromium();
for (const [name, bundled] of [
  ["Vite", bundledByVite],
  ["esbuild", bundledByEsbuild],
] as const) {
  const folder = await bundled();
  const wasm = readdirSync(folder, { recursive: true }).filter((file) => String(file).endsWith(".wasm"));
  if (wasm.length < 2) throw new Error(`${name}: the bundle has ${wasm.length} .wasm files`);
  if (program === null) {
    console.log(`${name}: bundled (no Chromium to open it)`);
    continue;
  }
  for (const isolated of [true, false]) {
    const browser = await Chromium.open(program);
    try {
      const outcome = await served(folder, isolated, (address) => outcomeOf(browser, address));
      const expected: Outcome = {
        keys: KEYS,
        total: (ROWS * (ROWS - 1)) / 2,
        build: isolated ? "threads" : "simd",
        running: isolated ? 2 : 1,
      };
      if (JSON.stringify(outcome) !== JSON.stringify(expected))
        throw new Error(`${name}, ${isolated ? "isolated" : "not isolated"}: ${JSON.stringify(outcome)}`);
      console.log(`${name}: in Chromium, ${isolated ? "two threads" : "one thread"}`);
    } finally {
      await browser.close();
    }
  }
}
