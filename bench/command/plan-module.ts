// Loading a user's plan module: a file whose default export is a plan.
//
// `import "millrace"` in it means this very package, wherever the file lies: a plan must be made by the classes
// that the engine knows, and a file outside of any project should run too. A resolve hook sees to that.
//
// TypeScript: whatever this process was started with (tsx in a checkout), else Node's own type stripping
// (22.18 and newer), else tsx where the user's project has it.

import * as nodeModule from "node:module";
import { extname, join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { Plan } from "../../bindings/ts/index.js";
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
  const module = await importModule(file, path);
  const plan = module.default;
  if (!(plan instanceof Plan)) {
    throw new UsageError(`${path} must export a plan as default: export default from("t").groupBy(...)`);
  }
  return plan;
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
    if (code !== "ERR_UNKNOWN_FILE_EXTENSION") throw error;
    return importByTsx(file, path);
  }
}

/** Registers the tsx of the user's project in this process. */
async function importByTsx(file: string, path: string): Promise<{ default?: unknown }> {
  const fromProject = nodeModule.createRequire(join(process.cwd(), "package.json"));
  let entry: string;
  try {
    entry = fromProject.resolve("tsx/esm/api");
  } catch {
    throw new UsageError(
      `${path}: Node ${process.versions.node} reads no TypeScript; install tsx, use Node 22.18, or write .mjs`,
    );
  }
  const tsx: { register(): () => void } = await import(pathToFileURL(entry).href);
  tsx.register();
  return import(pathToFileURL(file).href);
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
