// Files for what does not fit memory.

export { type Extent, SpillBytes, SpillFile } from "./file.js";
export { type FileSystem, type Host, nodeHost } from "./file-system.js";
export { type SpillFaults, SpillFolder, type SpillOptions, type SpillStats } from "./folder.js";
