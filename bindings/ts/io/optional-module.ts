// Loading packages that Millrace works without: only who reads or writes Parquet needs them.

import { ArgumentError } from "../type/error.js";

/** The module, or an ArgumentError that says what to install. */
export async function optionalModule<T>(name: string, purpose: string, load: () => Promise<T>): Promise<T> {
  try {
    return await load();
  } catch (cause) {
    const { code } = cause as { code?: string };
    if (code !== "ERR_MODULE_NOT_FOUND" && code !== "MODULE_NOT_FOUND") throw cause;
    throw new ArgumentError(`${purpose} needs the package ${name}: npm install ${name}`, {
      value: name,
      cause,
    });
  }
}
