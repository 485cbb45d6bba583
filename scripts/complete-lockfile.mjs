// Completes package-lock.json after `npm install`.
//
// Native packages ship one optional package per platform. npm leaves those out of the lock file that
// the registry at hand does not serve, and `npm ci` then refuses the file everywhere. This adds the
// missing entries (name, version, platform), so that one lock file serves every platform, and it drops
// download addresses. It also relaxes the Node range of the Polars binaries, which state ">= 22" but
// are plain N-API 8 modules: without that, npm silently skips the peer on Node 20.
import { readFileSync, writeFileSync } from "node:fs";

const file = new URL("../package-lock.json", import.meta.url);
const lock = JSON.parse(readFileSync(file, "utf8"));
const operatingSystems = [
  "android",
  "darwin",
  "freebsd",
  "linux",
  "openharmony",
  "win32",
  "aix",
  "sunos",
  "netbsd",
  "openbsd",
];
const processors = [
  "arm64",
  "x64",
  "arm",
  "ia32",
  "riscv64",
  "ppc64",
  "s390x",
  "loong64",
  "mips64el",
  "wasm32",
];

for (const [path, entry] of Object.entries(lock.packages)) {
  for (const [name, range] of Object.entries(entry.optionalDependencies ?? {})) {
    const nested = `${path}/node_modules/${name}`;
    const top = `node_modules/${name}`;
    if (lock.packages[top] || lock.packages[nested] || path === "") continue;
    const words = name.split(/[-/]/);
    const os = operatingSystems.filter((word) => words.includes(word));
    const cpu = processors.filter((word) => words.includes(word));
    // A range that pins nothing (a true optional feature) cannot be completed from its name.
    if (os.length === 0 && cpu.length === 0) continue;
    lock.packages[top] = {
      version: range.replace(/^[\^~]/, ""),
      ...(cpu.length > 0 && { cpu }),
      ...(entry.dev && { dev: true }),
      ...(name.endsWith("musl") && { libc: ["musl"] }),
      optional: true,
      ...(os.length > 0 && { os }),
    };
  }
}
for (const [path, entry] of Object.entries(lock.packages)) {
  delete entry.resolved;
  if (path.includes("/nodejs-polars-")) entry.engines = { node: ">= 20" };
}
const root = lock.packages[""];
delete lock.packages[""];
const sorted = Object.fromEntries(Object.entries(lock.packages).sort(([a], [b]) => a.localeCompare(b, "en")));
lock.packages = { "": root, ...sorted };
writeFileSync(file, `${JSON.stringify(lock, null, 2)}\n`);
