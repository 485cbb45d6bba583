// `millrace profile SUITE/CASE`: where the time goes, and files for other viewers; `--diff`: what changed between two.

import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { prepareInChild } from "../measure/child-process.js";
import { diffText, profileDiff } from "../profile/diff.js";
import { type MeasuredMode, type ModeProfile, type ProfileReport, profileCase } from "../profile/profile.js";
import { profileText } from "../profile/profile-text.js";
import { readProfile } from "../profile/read-profile.js";
import { chromeTrace } from "../profile/trace.js";
import { thisMachine } from "../report/machine.js";
import { progressOn } from "../report/progress.js";
import { caseName, casesNamed } from "../suite/index.js";
import { drawer } from "./drawer.js";
import { prepareInputs } from "./measured-case.js";
import { checkMemory } from "./memory-need.js";
import type { ProfileOptions } from "./profile-options.js";
import { ExitCode, UsageError } from "./usage.js";
import type { Workshop } from "./workshop.js";

/** Least time that functions are sampled for. */
const SAMPLE_MS = 1000;

/** Runs the command; answers the exit code: 1 when the modes' results differ. */
export async function profileCommand(
  names: readonly string[],
  options: ProfileOptions,
  prepare: Workshop["prepare"] = prepareInChild,
  sampleMs = SAMPLE_MS,
): Promise<number> {
  const of = oneCase(names);
  const selected = { of, rows: options.rows, peers: [] };
  checkMemory([selected], 1);
  const draw = options.html === null ? null : await drawer();
  const progress = progressOn(process.stderr, options.quiet);
  const name = caseName(of);
  const onStep = (step: string) => progress.show(`${name}  ${step}`);
  const { build, workers, seed, runs, modes: wanted } = options;
  const files = await prepareInputs(selected, seed, prepare, onStep);
  const settings = { modes: wanted, build, workers, runs, sampleMs, onStep };
  const { rows, threads, modes } = await profileCase(of, files, settings);
  progress.clear();
  const report: ProfileReport = {
    schema: "millrace-profile/1",
    machine: thisMachine(),
    case: name,
    question: of.question,
    build: threads === 1 ? build : "threads",
    threads,
    rows,
    seed,
    modes: modes.map(({ profile }) => profile),
  };
  const paths = await writeProfile(report, modes, options);
  if (draw !== null) {
    await writeFile(options.html!, draw.profilePage(report));
    paths.push(options.html!);
  }
  process.stdout.write(`${profileText(report)}\n\n${paths.map((path) => `written: ${path}`).join("\n")}\n`);
  const [first, ...others] = report.modes;
  const other = of.inexact ? undefined : others.find(({ checksum }) => checksum !== first!.checksum);
  if (other === undefined) return ExitCode.verified;
  process.stderr.write(
    `millrace: ${name}: the result in ${other.mode} mode differs from that in ${first!.mode} mode\n`,
  );
  return ExitCode.failed;
}

function oneCase(names: readonly string[]) {
  if (names.length === 0)
    throw new UsageError("profile needs SUITE/CASE, such as double11/gmv; bench --list has them");
  const cases = casesNamed(names);
  if (names.length > 1 || cases.length > 1) {
    const some = cases.slice(0, 3).map(caseName).join(", ");
    throw new UsageError(`profile takes one case: ${names.join(" ")} is ${cases.length} (${some}, ...)`);
  }
  return cases[0]!;
}

/** Writes what there is into the folder; answers the paths. */
async function writeProfile(
  report: ProfileReport,
  modes: readonly MeasuredMode[],
  { out }: ProfileOptions,
): Promise<string[]> {
  await mkdir(out, { recursive: true });
  const base = join(out, report.case.replace(/[^\w@-]/g, "-"));
  const files: [path: string, content: unknown][] = [
    [`${base}.json`, { ...report, modes: report.modes.map(withoutSlices) }],
    ...modes.flatMap(({ profile, cpu }): [string, unknown][] => [
      [`${base}-${profile.mode}.cpuprofile`, cpu],
      [`${base}-${profile.mode}.trace.json`, chromeTrace(`${report.case} ${profile.mode}`, profile.run)],
    ]),
  ];
  for (const [path, content] of files) await writeFile(path, JSON.stringify(content));
  return files.map(([path]) => path);
}

/** The trace has them. */
function withoutSlices(profile: ModeProfile): ModeProfile {
  return { ...profile, run: { ...profile.run, slices: [] } };
}

/** `profile --diff OLD.json NEW.json`. */
export async function profileDiffCommand(paths: readonly string[]): Promise<number> {
  if (paths.length !== 2) throw new UsageError("profile --diff needs OLD.json and NEW.json");
  const [before, after] = (await Promise.all(paths.map(readProfile))) as [ProfileReport, ProfileReport];
  if (before.case !== after.case) {
    throw new UsageError(`${paths[0]} is of ${before.case}, ${paths[1]} of ${after.case}: not the same case`);
  }
  const diffs = profileDiff(before, after);
  if (diffs.length === 0) throw new UsageError(`${paths.join(" and ")} have no mode in common`);
  process.stdout.write(`${diffText(diffs)}\n`);
  return ExitCode.verified;
}
