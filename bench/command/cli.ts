// The `millrace` command line: verbs, options, and errors as exit codes.

import { cac } from "cac";
import picocolors from "picocolors";
import { ArgumentError, MillraceError, PlanError } from "../../bindings/ts/type/error.js";
import { millraceVersion } from "../report/machine.js";
import type { RawOptions } from "./options.js";
import { ExitCode, UsageError } from "./usage.js";

/** Runs a command line (without node and script); answers the exit code. */
export async function runCommandLine(args: readonly string[]): Promise<number> {
  try {
    return await dispatch(args);
  } catch (error) {
    const code = exitCodeOf(error);
    if (code === null) throw error;
    process.stderr.write(`${picocolors.red("millrace:")} ${(error as Error).message}\n`);
    return code;
  }
}

async function dispatch(args: readonly string[]): Promise<number> {
  const cli = cac("millrace");
  cli.option("--no-color", "Plain text");
  let code: number = ExitCode.verified;
  cli
    .command("bench [...cases]", "Measure SUITE or SUITE/CASE against peers; without names, the quick tour")
    .option(
      "--rows <list>",
      "Input rows, such as 10M, 1e7 or 500k,5M (default: 1M in the quick tour, else 10M)",
    )
    .option("--mode <mode>", "batch, stream or both (default: both)")
    .option("--workers <list>", "Thread counts, such as 1,2 (default: 1)")
    .option("--build <build>", "simd, threads or scalar (default: simd)")
    .option("--peers <list>", "duckdb,polars,duckdb-wasm,arquero,js,native, all or none")
    .option("--runs <n>", "Runs that count (default: at least 5)")
    .option(
      "--budget <seconds>",
      "Leave out what does not fit, look again while time is left (default: 172 in the quick tour, else no end)",
    )
    .option("--seed <n>", "Seed of the generated data (default: 42)")
    .option("--target <n>", "Records/s that you need, such as 4e9")
    .option("--json <file>", "Write the report as JSON")
    .option("--html <file>", "Write the report as a page, one file without scripts")
    .option("--save [folder]", "Keep the report, by machine and version (default: millrace-history)")
    .option("--quiet", "No progress")
    .option("--list", "Print the suites and cases, a line each, and measure nothing")
    .option(
      "--fail-below <ratio>",
      "Exit 3 when Millrace is below this ratio to the fastest peer in any case",
    )
    .example("  millrace bench                                    the quick tour, under three minutes")
    .example("  millrace bench groupby --rows 10M --workers 1,2   a suite at full size")
    .example("  millrace bench join --rows 100k,1M,10M              how the time grows with the rows")
    .example("  millrace bench groupby/q5@nulls --peers duckdb    a question over other data; see --list")
    .example("  millrace bench micro --build scalar               single kernels of another build")
    .example("  millrace bench --json new.json                    to compare with later, or by scripts")
    .example(
      "  millrace bench groupby --fail-below 1.5          in CI: exit 3 below 1.5 times the fastest peer",
    )
    .action(async (cases: string[], raw: RawOptions) => {
      if (raw.list === true) {
        const { listText } = await import("./list.js");
        process.stdout.write(listText(cases));
        return;
      }
      const [{ benchCommand }, { benchOptions }] = await Promise.all([
        import("./bench.js"),
        import("./options.js"),
      ]);
      code = await benchCommand(cases, benchOptions(raw));
    });
  cli
    .command(
      "profile [...cases]",
      "Where the time of SUITE/CASE goes: operators, kernel functions, files for viewers",
    )
    .option("--rows <n>", "Input rows, such as 10M, 1e7 or 500k (default: 10M)")
    .option("--mode <mode>", "batch, stream or both (default: both)")
    .option("--build <build>", "debug (with names, the default), simd, threads or scalar")
    .option("--workers <n>", "Threads of the batch: each a track of the trace (default: 1)")
    .option("--runs <n>", "Plain runs for the median (default: 5)")
    .option("--seed <n>", "Seed of the generated data (default: 42)")
    .option("--out <folder>", "Where the files go (default: millrace-profile)")
    .option("--html <file>", "Write the profile as a page")
    .option("--diff", "Compare two profiles: OLD.json and NEW.json in place of the case")
    .option("--quiet", "No progress")
    .example("  millrace profile double11/gmv                     both modes over 10 million rows")
    .example("  millrace profile groupby/q5 --mode batch --rows 1M")
    .example("  millrace profile groupby/q5 --mode batch --workers 2   who of the workers did what, and when")
    .example("  millrace profile --diff old/double11-gmv.json millrace-profile/double11-gmv.json")
    .example(
      "  Open NAME.cpuprofile in the browser's tools or speedscope.app, NAME.trace.json in ui.perfetto.dev",
    )
    .action(async (cases: string[], raw: RawOptions) => {
      const [{ profileCommand, profileDiffCommand }, { profileOptions }] = await Promise.all([
        import("./profile.js"),
        import("./profile-options.js"),
      ]);
      code = await (raw.diff === true
        ? profileDiffCommand(cases)
        : profileCommand(cases, profileOptions(raw)));
    });
  cli
    .command("gen <fixture>", "Write generated data")
    .option("--out <file>", "File; its extension is the format: .arrow, .arrows, .ndjson, .csv, .parquet")
    .option("--rows <n>", "Rows, such as 10M, 1e7 or 500k (default: 1M; flights: all)")
    .option("--seed <n>", "Seed (default: 42)")
    .option("--columns <list>", "Only these columns, in this order")
    .option("--k <n>", "groupby: number of groups (default: 100)")
    .option("--nulls <percent>", "groupby: percent of nulls")
    .option("--sorted", "groupby: sorted by the ids")
    .option("--strings <form>", "groupby and joins: dictionary or utf8 (default: dictionary)")
    .option("--quiet", "No progress")
    .example("  millrace gen orders --rows 10M --out orders.arrow              a Double 11's events")
    .example("  millrace gen groupby --k 10000 --nulls 5 --out t.parquet      db-benchmark's table")
    .example("  millrace gen clicks --columns user_id,item_id --out clicks.csv")
    .example("  A fixture that does not exist is answered by the names of all that do")
    .action(async (fixture: string, raw: RawOptions) => {
      if (raw.out === undefined) throw new UsageError("gen needs --out FILE");
      const [{ gen }, { progressOn, rowsText }] = await Promise.all([
        import("./gen.js"),
        import("../report/progress.js"),
      ]);
      const progress = progressOn(process.stderr, raw.quiet === true);
      const start = performance.now();
      const onProgress = (rows: number, total: number) =>
        progress.show(rowsText(rows, total, performance.now() - start));
      const done = await gen({ ...raw, fixture, out: String(raw.out), onProgress });
      progress.clear();
      const size = `${done.rows.toLocaleString("en-US")} rows, ${(done.bytes / 2 ** 20).toFixed(1)} MiB`;
      console.log(`${done.path}: ${size}, ${(done.milliseconds / 1000).toFixed(1)} s`);
    });
  cli
    .command("run <plan>", "Run a plan module (its default export) over files and print the result")
    .option("--input <name=file>", "An input of the plan; once for each")
    .option("--mode <mode>", "batch or stream (default: batch)")
    .option("--out <file>", "Write the result to a file instead of printing it")
    .option("--quiet", "No progress")
    .example("  millrace gen orders --rows 1M --out orders.arrow")
    .example("  millrace run examples/gmv.ts --input orders=orders.arrow")
    .example("  millrace run plan.mjs --input a=a.parquet --input b=b.csv --mode stream --out result.arrow")
    .example('  plan.mjs: import { from, sum } from "millrace"; export default from("a").groupBy("k")...')
    .action(async (plan: string, raw: RawOptions) => {
      const { runCommand } = await import("./run.js");
      code = await runCommand(plan, raw);
    });
  cli
    .command("compare <old> [...new]", "Regressions and gains between reports that bench --json wrote")
    .example("  millrace compare old.json new.json                what changed beyond the noise")
    .example("  millrace compare old.json new.json again.json     whether a second measurement confirms it")
    .action(async (old: string, news: string[]) => {
      const { compareCommand } = await import("./compare.js");
      code = await compareCommand(old, news);
    });
  cli
    .command("report <path>", "A report, a profile, or a folder of reports as a page; a report as a card")
    .option("--html <file>", "Write the page")
    .option("--card <file>", "Write the ratios as an SVG, for a README")
    .example("  millrace report new.json --html new.html          what bench --html writes")
    .example("  millrace report millrace-history --html trend.html")
    .example("  millrace report new.json --card ratios.svg")
    .action(async (path: string, raw: RawOptions) => {
      const { reportCommand, reportOptions } = await import("./report.js");
      code = await reportCommand(path, reportOptions(raw));
    });
  cli
    .command("completion <shell>", "Print a script that completes verbs, options, suites and cases")
    .example("  source <(millrace completion bash)                bash and zsh")
    .example("  millrace completion fish | source")
    .action(async (shell: string) => {
      const { completionScript } = await import("./completion.js");
      const verbs = cli.commands.map(({ name, options }) => {
        const flags = options.map(({ rawName }) => rawName.split(/[ ,]/)[0]!);
        return { name, options: [...flags, "--help", "--no-color"] };
      });
      process.stdout.write(completionScript(shell, verbs));
    });
  cli.help();
  cli.version(millraceVersion());
  cli.parse(["node", "millrace", ...args], { run: false });
  if (cli.options.help || cli.options.version) return ExitCode.verified;
  if (cli.matchedCommand === undefined) {
    const verb = cli.args[0];
    const verbs = cli.commands.map((command) => command.name).join(", ");
    throw new UsageError(
      verb === undefined ? `which verb? ${verbs}` : `unknown verb "${verb}"; verbs: ${verbs}`,
    );
  }
  await cli.runMatchedCommand();
  return code;
}

/** Errors that the user can mend are bad usage; other errors of Millrace failures; null: a defect of the command. */
function exitCodeOf(error: unknown): number | null {
  if (error instanceof UsageError || (error instanceof Error && error.name === "CACError")) {
    return ExitCode.usage;
  }
  if (!(error instanceof MillraceError)) return null;
  return error instanceof PlanError || error instanceof ArgumentError ? ExitCode.usage : ExitCode.failed;
}
