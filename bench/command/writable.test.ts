import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { checkFilePlace, checkFolderPlace } from "./writable.js";

const folder = mkdtempSync(join(tmpdir(), "millrace-writable-"));
const file = join(folder, "there.json");
writeFileSync(file, "{}");
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe("places of reports", () => {
  it.each([null, file, join(folder, "new.json")])("a file may be written: %s", async (path) => {
    await expect(checkFilePlace("--json", path)).resolves.toBe(undefined);
  });

  it.each([null, folder, join(folder, "a", "b")])("a folder may be made: %s", async (path) => {
    await expect(checkFolderPlace("--save", path)).resolves.toBe(undefined);
  });

  it("that cannot be are told by option and path", async () => {
    await expect(checkFilePlace("--json", folder)).rejects.toThrow(
      `--json ${folder}: that is a folder; name a file`,
    );
    const missing = join(folder, "missing", "new.json");
    await expect(checkFilePlace("--html", missing)).rejects.toThrow(`--html ${missing}: there is no folder`);
    await expect(checkFilePlace("--html", join(file, "x"))).rejects.toThrow("there is no folder");
    const below = join(file, "a");
    await expect(checkFolderPlace("--save", below)).rejects.toThrow(
      `--save ${below}: ${file} is a file, not a folder`,
    );
  });
});
