// Loading packages that Millrace works without: only who reads or writes Parquet needs them.

import { ArgumentError } from "../type/error.js";

/**
 * What to do when a module cannot be loaded: `import("x").catch(missing("x", "doing this"))`, written so because
 * bundlers take a `catch` right there as a sign that the module may be missing.
 * @throws ArgumentError that says what to install; any other failure as it is.
 */
export function missing(name: string, purpose: string): (cause: unknown) => never {
  return (cause) => {
    const { code } = cause as { code?: string };
    if (code !== "ERR_MODULE_NOT_FOUND" && code !== "MODULE_NOT_FOUND") throw cause;
    throw new ArgumentError(`${purpose} needs the package ${name}: npm install ${name}`, {
      value: name,
      cause,
    });
  };
}
