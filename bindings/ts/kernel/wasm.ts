// The few WebAssembly types that public signatures need, spelled out: programs that are checked without the
// DOM's declarations do not have them.

/** A `WebAssembly.Module`. */
export type WasmModule = object;

/** A `WebAssembly.Memory`. */
export interface WasmMemory {
  readonly buffer: ArrayBufferLike;
  grow(pages: number): number;
}

/** Where to take a module from. A string is a URL or, in Node, a path. */
export type WasmSource = string | { readonly href: string } | ArrayBuffer | ArrayBufferView | WasmModule;
