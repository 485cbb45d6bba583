// Which build of the kernel to run, and where its bytes come from.
//
// Modules are compiled once a process and shared by all kernels. The files lie in `build/` of the package
// root: three levels up when this runs from source, four when it runs from `dist/`. Node reads them from
// the disk, other hosts fetch them; nothing here needs Node when it is imported.

import { ArgumentError } from "../type/error.js";
import type { WasmModule, WasmSource } from "./wasm.js";

/** `threads` has SIMD and a shared memory; `debug` is `simd` with names, for profiles. */
export type KernelBuild = "simd" | "threads" | "scalar" | "debug";

/**
 * Where each build may lie: from `dist/`, and from source. Spelled out, one `new URL("...", import.meta.url)`
 * each, because that is the form that bundlers recognise and follow (those of the package: in a checkout's source
 * they have nothing to look for).
 */
const PLACES: Record<KernelBuild, readonly [dist: URL, source: URL]> = {
  simd: [
    new URL("../../../../build/millrace.wasm", import.meta.url),
    new URL(/* @vite-ignore */ "../../../build/millrace.wasm", import.meta.url),
  ],
  threads: [
    new URL("../../../../build/millrace.threads.wasm", import.meta.url),
    new URL(/* @vite-ignore */ "../../../build/millrace.threads.wasm", import.meta.url),
  ],
  scalar: [
    new URL("../../../../build/millrace.scalar.wasm", import.meta.url),
    new URL(/* @vite-ignore */ "../../../build/millrace.scalar.wasm", import.meta.url),
  ],
  debug: [
    new URL("../../../../build/millrace.debug.wasm", import.meta.url),
    new URL(/* @vite-ignore */ "../../../build/millrace.debug.wasm", import.meta.url),
  ],
};

/** The shortest module with a SIMD instruction: (func (result v128) i32.const 0 i8x16.splat). */
const SIMD_PROBE = new Uint8Array([
  0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0, 10, 8, 1, 6, 0, 65, 0, 253, 15, 11,
]);

/** Whether this host compiles WebAssembly SIMD. */
export function hasSimd(): boolean {
  return WebAssembly.validate(SIMD_PROBE);
}

/** The build that `auto` stands for here. `threads` needs a host that shares memory, so it is only ever asked for. */
export function chooseBuild(wanted: KernelBuild | "auto"): KernelBuild {
  if (wanted !== "auto") {
    if (!(wanted in PLACES)) {
      throw new ArgumentError(`there is no build "${wanted}": choose auto, simd, threads, scalar or debug`, {
        value: wanted,
      });
    }
    return wanted;
  }
  return hasSimd() ? "simd" : "scalar";
}

const compiled = new Map<string, Promise<WebAssembly.Module>>();

/** The compiled module of `build`, from the package's files or from `source`. */
export async function loadModule(build: KernelBuild, source?: WasmSource): Promise<WasmModule> {
  if (source instanceof WebAssembly.Module) return source;
  if (source instanceof ArrayBuffer || ArrayBuffer.isView(source)) {
    return compile(source as BufferSource);
  }
  const place =
    source === undefined || typeof source === "string" ? source : (source as { href?: unknown }).href;
  if (place !== undefined && typeof place !== "string") {
    throw new ArgumentError("wasm is neither a URL, a path, bytes nor a WebAssembly.Module", {
      value: source,
    });
  }
  const key = place === undefined ? build : `=${place}`;
  let module = compiled.get(key);
  if (module === undefined) {
    module = (place === undefined ? readPackaged(build) : readSource(place)).then(compile);
    compiled.set(key, module);
    module.catch(() => compiled.delete(key));
  }
  return module;
}

async function compile(bytes: BufferSource): Promise<WebAssembly.Module> {
  try {
    return await WebAssembly.compile(bytes);
  } catch (error) {
    throw new ArgumentError(`the kernel's bytes do not compile as WebAssembly here: ${String(error)}`, {
      cause: error,
    });
  }
}

function runsInNode(): boolean {
  return typeof process !== "undefined" && typeof process.versions?.node === "string";
}

async function readPackaged(build: KernelBuild): Promise<BufferSource> {
  const [dist, source] = PLACES[build];
  // A bundle is made of the package, and has only the first.
  const candidates = import.meta.url.endsWith(".ts") ? [source, dist] : [dist, source];
  let failure: unknown;
  for (const candidate of candidates) {
    try {
      return await readSource(candidate.href);
    } catch (error) {
      failure ??= error;
    }
  }
  throw new ArgumentError(
    `the kernel was not found at ${candidates[0]!.href}: build it (npm run build:kernel) or pass its bytes as \`wasm\``,
    { cause: failure },
  );
}

async function readSource(source: string): Promise<BufferSource> {
  const url = URL.canParse(source) ? new URL(source) : null;
  if (runsInNode() && (url === null || url.protocol === "file:")) {
    const { readFile } = await import("node:fs/promises");
    return readFile(url ?? source);
  }
  const response = await fetch(source);
  if (!response.ok) {
    throw new ArgumentError(`${source}: HTTP status ${response.status}`, { value: response.status });
  }
  return response.arrayBuffer();
}
