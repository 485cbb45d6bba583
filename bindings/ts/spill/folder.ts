// The folder that an engine spills to: one of its own below the directory that the user names.
//
// Its name says whose it is: `millrace-<host>-<process>-<ms since 1970>-<random>`. Whoever opens a folder clears those
// that belong to processes of this host that have ended without clearing theirs (killed, or out of power): the number of
// the process is not in use, or belongs to this process, which began later. Folders of other hosts on a shared directory
// are left alone, as nobody here can tell whether their owners live.

import { ArgumentError, SpillError } from "../type/error.js";
import { type Host, nodeHost } from "./file-system.js";

export interface SpillOptions {
  /** Where to write; it is made if it is not there. Each engine has a folder of its own in it, which `close` removes. */
  readonly directory: string;
}

/** Bytes of spill files of an engine. */
export interface SpillStats {
  readonly bytesWritten: number;
  readonly bytesRead: number;
  /** Files that are there now, and what they hold. */
  readonly files: number;
  readonly bytes: number;
}

/** Switches for tests. */
export interface SpillFaults {
  /** Rows of a batch that a sort writes. */
  batchRows?: number | undefined;
  /** Ranges of its order that are read together at most. */
  ranges?: number | undefined;
}

const NAME = /^millrace-(.*)-(\d+)-(\d+)-[0-9a-f]{8}$/;
/** Clocks are set, and the start of a process is known to some milliseconds. */
const CLOCK_MS = 2000;

export class SpillFolder {
  readonly path: string;
  readonly host: Host;
  readonly faults: SpillFaults = {};
  #next = 0;
  #bytesWritten = 0;
  #bytesRead = 0;
  #files = 0;
  #bytes = 0;

  private constructor(path: string, host: Host) {
    this.path = path;
    this.host = host;
  }

  /**
   * Makes the folder and clears those that nobody owns any more.
   * @throws ArgumentError for options that are none, or outside of Node; SpillError where nothing can be written.
   */
  static async open(options: SpillOptions, host?: Host): Promise<SpillFolder> {
    const { directory } = options ?? {};
    if (typeof directory !== "string" || directory === "") {
      throw new ArgumentError(`spill: directory is a path, not ${JSON.stringify(directory)}`, {
        value: directory,
        expected: "{ directory: string }",
      });
    }
    const owner = host ?? (await nodeHost());
    const random = globalThis.crypto.getRandomValues(new Uint32Array(1))[0]!;
    const name = `millrace-${owner.name}-${owner.process}-${Date.now()}-${random.toString(16).padStart(8, "0")}`;
    const path = owner.join(directory, name);
    guarded(directory, "cannot be written to", () => owner.files.mkdirSync(path, { recursive: true }));
    const folder = new SpillFolder(path, owner);
    try {
      guarded(directory, "cannot be written to", () => folder.#probe());
      clearStale(directory, owner);
    } catch (error) {
      folder.close();
      throw error;
    }
    return folder;
  }

  get stats(): SpillStats {
    return {
      bytesWritten: this.#bytesWritten,
      bytesRead: this.#bytesRead,
      files: this.#files,
      bytes: this.#bytes,
    };
  }

  /** A directory may be made where no file can: better known now than in the middle of a query. */
  #probe(): void {
    const { files } = this.host;
    const path = this.nextPath();
    files.closeSync(files.openSync(path, "wx+"));
    files.unlinkSync(path);
  }

  nextPath(): string {
    return this.host.join(this.path, `${this.#next++}.arrows`);
  }

  /** A new file, for reading and writing. The folder is made again where somebody has cleared it away meanwhile. */
  make(path: string): number {
    const { files } = this.host;
    try {
      return files.openSync(path, "wx+");
    } catch (error) {
      if ((error as { code?: string }).code !== "ENOENT") throw error;
      files.mkdirSync(this.path, { recursive: true });
      return files.openSync(path, "wx+");
    }
  }

  /** @internal What files tell of themselves: bytes written (or, below 0, given back), bytes read, files. */
  count(written: number, read: number, files: number): void {
    if (written > 0) this.#bytesWritten += written;
    this.#bytes += written;
    this.#bytesRead += read;
    this.#files += files;
  }

  /** Removes the folder and whatever is in it. */
  close(): void {
    remove(this.host, this.path);
  }
}

/** Folders of processes that are gone; what cannot be cleared is left to others. */
function clearStale(directory: string, host: Host): void {
  for (const name of host.files.readdirSync(directory)) {
    const match = NAME.exec(name);
    if (match === null || match[1] !== host.name) continue;
    const [owner, made] = [Number(match[2]), Number(match[3])];
    const isOwned = owner === host.process ? made >= host.began - CLOCK_MS : host.isAlive(owner);
    if (!isOwned) remove(host, host.join(directory, name));
  }
}

function remove({ files }: Host, path: string): void {
  try {
    files.rmSync(path, { recursive: true, force: true });
  } catch {
    // Another engine may be clearing it, or it is not ours to clear.
  }
}

function guarded<T>(path: string, failed: string, step: () => T): T {
  try {
    return step();
  } catch (cause) {
    throw new SpillError(`spill: ${path} ${failed}: ${(cause as Error).message}`, { path, cause });
  }
}
