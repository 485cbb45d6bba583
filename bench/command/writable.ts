// Whether reports can be written, asked before anything is measured: minutes of work must not end in "no such folder".

import { constants } from "node:fs";
import { access, stat } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { UsageError } from "./usage.js";

/**
 * Looks at the place of a file that will be written. Options that were not given are null.
 * @throws UsageError when its folder is missing or cannot be written, or a folder is in its place
 */
export async function checkFilePlace(option: string, path: string | null): Promise<void> {
  if (path === null) return;
  const found = await kindOf(path);
  if (found === "folder") throw new UsageError(`${option} ${path}: that is a folder; name a file`);
  const folder = dirname(resolve(path));
  if ((await kindOf(folder)) !== "folder")
    throw new UsageError(`${option} ${path}: there is no folder ${folder}`);
  await checkAccess(option, path, found === "file" ? path : folder);
}

/**
 * Looks at a folder that will be made where it is not there.
 * @throws UsageError when it, or the folder in which it would be made, cannot be written, or a file is in its place
 */
export async function checkFolderPlace(option: string, path: string | null): Promise<void> {
  if (path === null) return;
  let place = resolve(path);
  while ((await kindOf(place)) === null) place = dirname(place);
  if ((await kindOf(place)) === "file")
    throw new UsageError(`${option} ${path}: ${place} is a file, not a folder`);
  await checkAccess(option, path, place);
}

async function kindOf(path: string): Promise<"file" | "folder" | null> {
  try {
    return (await stat(path)).isDirectory() ? "folder" : "file";
  } catch {
    return null;
  }
}

async function checkAccess(option: string, path: string, place: string): Promise<void> {
  try {
    await access(place, constants.W_OK);
  } catch {
    throw new UsageError(`${option} ${path}: ${place} cannot be written`);
  }
}
