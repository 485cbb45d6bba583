// Loading a user's plan module: a file whose default export is a plan.
//
// `import "millrace"` in it means this very package, wherever the file lies, so that a file outside of any project
// runs too. A resolve hook sees to that.
//
// TypeScript: whatever this process was started with (tsx in a checkout), else Node's own type stripping
// (22.18 and newer), else tsx where the user's project has it.

import * as nodeModule from "node:module";
import { extname, join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import type { Plan } from "../../bindings/ts/index.js";
import { UsageError } from "./usage.js";

const TYPESCRIPT = new Set([".ts", ".mts"]);
const MODULES = new Set([...TYPESCRIPT, ".js", ".mjs"]);

/** The module's default export. Throws UsageError when there is no such module or it exports no plan. */
export async function loadPlan(path: string): Promise<Plan> {
  const file = resolve(path);
  const extension = extname(file);
  if (!MODULES.has(extension)) {
    throw new UsageError(`${path}: a plan module is a .ts, .mts, .js or .mjs file`);
  }
  resolveMillraceHere();
  const plan = planIn(await importModule(file, path));
  if (plan === null) {
    throw new UsageError(`${path} must export a plan as default: export default from("t").groupBy(...)`);
  }
  return plan;
}

/**
 * The plan of a module. By its form and not its class, which may come from another copy of the package; and one
 * default deeper where a loader ran the file as CommonJS, as tsx does outside of `"type": "module"`.
 */
function planIn(module: { default?: unknown }): Plan | null {
  for (let found: unknown = module.default, depth = 0; depth < 2; depth++) {
    if (typeof found !== "object" || found === null) return null;
    if ("node" in found && "bound" in found) return found as Plan;
    found = (found as { default?: unknown }).default;
  }
  return null;
}

async function importModule(file: string, path: string): Promise<{ default?: unknown }> {
  const url = pathToFileURL(file).href;
  try {
    return await import(url);
  } catch (error) {
    const code = (error as { code?: unknown }).code;
    if (code === "ERR_MODULE_NOT_FOUND" && String((error as Error).message).includes(file)) {
      throw new UsageError(`${path}: no such file`);
    }
    if (code === "MODULE_NOT_FOUND" && String((error as Error).message).includes("'millrace'")) {
      throw new UsageError(
        `${path} runs as CommonJS and finds no "millrace": name it .mts, or say "type": "module" in package.json`,
      );
    }
    if (code !== "ERR_UNKNOWN_FILE_EXTENSION") throw error;
    return importByTsx(file, path);
  }
}

/** Through the tsx of the user's project. */
async function importByTsx(file: string, path: string): Promise<{ default?: unknown }> {
  const fromProject = nodeModule.createRequire(join(process.cwd(), "package.json"));
  let entry: string;
  try {
    // The ESM entry, which createRequire does not pick by itself.
    const manifest = fromProject.resolve("tsx/package.json");
    entry = resolve(manifest, "..", fromProject(manifest).exports["./esm/api"].import.default);
  } catch {
    throw new UsageError(
      `${path}: Node ${process.versions.node} reads no TypeScript; install tsx, use Node 22.18, or write .mjs`,
    );
  }
  const tsx: { tsImport(path: string, parent: string): Promise<{ default?: unknown }> } = await import(
    pathToFileURL(entry).href
  );
  return tsx.tsImport(pathToFileURL(file).href, import.meta.url);
}

type Resolve = (
  specifier: string,
  context: object,
  next: (specifier: string, context: object) => unknown,
) => unknown;

let registered = false;

/** From now on `millrace` and `millrace/kernel` resolve to this package's own modules. */
function resolveMillraceHere(): void {
  if (registered) return;
  registered = true;
  const extension = extname(new URL(import.meta.url).pathname);
  const here = (path: string) => new URL(`../../bindings/ts/${path}${extension}`, import.meta.url).href;
  const targets: Record<string, string> = {
    millrace: here("index"),
    "millrace/kernel": here("kernel/index"),
  };
  // Node 22.15 and newer take hooks on this thread; older ones a module for a thread of its own.
  const { registerHooks } = nodeModule as { registerHooks?: (hooks: { resolve: Resolve }) => void };
  if (registerHooks !== undefined) {
    registerHooks({
      resolve: (specifier, context, next) =>
        next(Object.hasOwn(targets, specifier) ? targets[specifier]! : specifier, context),
    });
    return;
  }
  const hook = `
    const targets = ${JSON.stringify(targets)};
    export const resolve = (specifier, context, next) => next(Object.hasOwn(targets, specifier) ? targets[specifier] : specifier, context);`;
  nodeModule.register(`data:text/javascript,${encodeURIComponent(hook)}`);
}
