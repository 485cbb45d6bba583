// The same algorithms in C, for the cases that run a single kernel: bench/native/kernels.c, compiled on the spot.
//
// Its process loads the columns from plain files and waits for lines; see the C file's header. Nobody needs a
// compiler for anything else, so without one the row says so.

import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { createInterface, type Interface } from "node:readline";
import { fileURLToPath } from "node:url";
import { dataFolder } from "../input/data-file.js";
import { arrowTables, inputRows, kernelScanBytes, plainTables } from "../input/load.js";
import type { PlainColumn } from "../input/plain-table.js";
import type { RawColumn, RawResult } from "../result/canonical.js";
import type { BenchCase } from "../suite/case.js";
import { type Engine, UnavailableError } from "./engine.js";

const COMPILERS = ["cc", "gcc", "clang"];
const FLAGS = ["-std=c11", "-D_POSIX_C_SOURCE=200809L", "-O3", "-march=native"];

export const native: Engine = {
  name: "native",
  parallel: false,
  async open(of, files) {
    if (of.native === undefined) throw new UnavailableError("there is no C program for this question");
    const { program, compiler } = compiled();
    const arrow = arrowTables(of, files);
    const columns = inputColumns(of, plainTables(arrow));
    const folder = mkdtempSync(join(tmpdir(), "millrace-native-"));
    try {
      const kernel = await NativeProcess.start(program, of.native, columns, folder);
      let ran = false;
      const run = async () => {
        const [nanoseconds, outputRows] = (await kernel.ask("run")).split(" ").map(Number);
        ran = true;
        return { ms: nanoseconds! / 1e6, outputRows: outputRows! };
      };
      return {
        version: compiler,
        threads: 1,
        inputRows: inputRows(arrow),
        inputBytes: kernelScanBytes(of, arrow),
        run,
        // The program reads the clock.
        ownMs: async () => null,
        async result() {
          if (!ran) await run();
          const path = join(folder, "result");
          await kernel.ask(`result ${path}`);
          return rawResult(of, columns, readFileSync(path));
        },
        async close() {
          kernel.end();
          rmSync(folder, { recursive: true, force: true });
        },
      };
    } catch (error) {
      rmSync(folder, { recursive: true, force: true });
      throw error;
    }
  },
};

/** The program, compiled unless it has been: its name says of what source, by what compiler, for what processor. */
function compiled(): { program: string; compiler: string } {
  const source = sourceFile();
  const text = readFileSync(source);
  const refusals: string[] = [];
  for (const compiler of COMPILERS) {
    const asked = spawnSync(compiler, ["--version"], { encoding: "utf8" });
    if (asked.status !== 0) continue;
    const version = asked.stdout.split("\n")[0]!.trim();
    const target = spawnSync(compiler, ["-march=native", "-Q", "--help=target"], { encoding: "utf8" }).stdout;
    const digest = createHash("sha256")
      .update(text)
      .update(version)
      .update(target)
      .update(FLAGS.join(" "))
      .digest("hex")
      .slice(0, 12);
    const program = join(dataFolder(), `kernels-${digest}`);
    if (existsSync(program)) return { program, compiler: version };
    mkdirSync(dataFolder(), { recursive: true });
    const fresh = `${program}.${process.pid}`;
    const built = spawnSync(compiler, [...FLAGS, "-o", fresh, source, "-lm"], { encoding: "utf8" });
    if (built.status === 0) {
      renameSync(fresh, program);
      return { program, compiler: version };
    }
    refusals.push(`${compiler}: ${built.stderr.trim().split("\n")[0]}`);
  }
  if (refusals.length > 0) throw new UnavailableError(`the C program does not compile here: ${refusals[0]}`);
  throw new UnavailableError(`no C compiler found (${COMPILERS.join(", ")})`);
}

/** bench/native/kernels.c of the checkout or the installed package. */
function sourceFile(): string {
  let folder = dirname(fileURLToPath(import.meta.url));
  while (!existsSync(join(folder, "package.json")) && dirname(folder) !== folder) folder = dirname(folder);
  const source = join(folder, "bench", "native", "kernels.c");
  if (!existsSync(source)) throw new UnavailableError("the C program's source is not installed");
  return source;
}

/** The columns of a case's only input, in the order that the C program takes them. */
function inputColumns(
  of: BenchCase,
  tables: Readonly<Record<string, { columns: Readonly<Record<string, PlainColumn>> }>>,
): PlainColumn[] {
  return Object.entries(of.inputs).flatMap(([name, input]) =>
    input.columns.map((column) => {
      const plain = tables[name]!.columns[column]!;
      if (plain.valid !== null) throw new UnavailableError("the C program takes no nulls");
      return plain;
    }),
  );
}

class NativeProcess {
  readonly #process: ChildProcess;
  readonly #lines: Interface;
  #waiting: { resolve(line: string): void; reject(error: Error): void } | null = null;
  #said = "";
  #ended: Error | null = null;

  private constructor(program: string, args: readonly string[]) {
    this.#process = spawn(program, args, { stdio: ["pipe", "pipe", "pipe"] });
    this.#process.stderr!.on("data", (text) => {
      this.#said += text;
    });
    this.#lines = createInterface({ input: this.#process.stdout! });
    this.#lines.on("line", (line) => {
      this.#waiting?.resolve(line);
      this.#waiting = null;
    });
    this.#process.stdin!.on("error", () => {});
    this.#process.on("error", (error) => this.#fail(error));
    this.#process.on("close", () => this.#fail(new Error(`the C program ended: ${this.#said.trim()}`)));
  }

  static async start(program: string, name: string, columns: readonly PlainColumn[], folder: string) {
    const paths = columns.map(({ values }, index) => {
      const path = join(folder, `column${index}`);
      writeFileSync(path, new Uint8Array(values.buffer, values.byteOffset, values.byteLength));
      return path;
    });
    const started = new NativeProcess(program, [name, String(columns[0]!.rows), ...paths]);
    await started.#answer();
    for (const path of paths) rmSync(path);
    return started;
  }

  ask(line: string): Promise<string> {
    this.#process.stdin!.write(`${line}\n`);
    return this.#answer();
  }

  end(): void {
    this.#process.stdin!.end();
    this.#process.kill();
  }

  #answer(): Promise<string> {
    if (this.#ended !== null) return Promise.reject(this.#ended);
    return new Promise((resolve, reject) => {
      this.#waiting = { resolve, reject };
    });
  }

  #fail(error: Error): void {
    this.#ended ??= error;
    this.#waiting?.reject(this.#ended);
    this.#waiting = null;
  }
}

/** The result file: column after column, 8 bytes a value; texts as codes of the input's dictionary. */
function rawResult(of: BenchCase, inputs: readonly PlainColumn[], file: Buffer): RawResult {
  const bytes = Uint8Array.from(file).buffer;
  const rows = bytes.byteLength / 8 / of.output.length;
  const columns: Record<string, RawColumn> = {};
  of.output.forEach(({ name, kind }, index) => {
    const at = index * rows * 8;
    const values = kind === "float" ? new Float64Array(bytes, at, rows) : new BigInt64Array(bytes, at, rows);
    const dictionary = inputs.find((column) => column.name === name)?.dictionary;
    columns[name] = kind === "text" ? { values, dictionary: dictionary! } : { values };
  });
  return { rows, columns };
}
