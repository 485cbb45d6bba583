// Two profiles of one case side by side: what an operator, and a function of the kernel, costs a row now and did before.
//
// Nanoseconds a row of input, so that profiles of different sizes compare. Functions go by name, operators by their
// place in the tree and what they do.

import picocolors from "picocolors";
import type { OperatorProfile } from "../../bindings/ts/index.js";
import { alignedTable } from "../report/table.js";
import type { ModeProfile, ProfileReport } from "./profile.js";
import { operatorsIn } from "./trace.js";

export interface Cost {
  readonly what: string;
  /** Null where it was not there. */
  readonly before: number | null;
  readonly after: number | null;
}

export interface ModeDiff {
  readonly mode: string;
  readonly total: Cost;
  readonly operators: readonly Cost[];
  /** The functions whose cost changed most. */
  readonly functions: readonly Cost[];
}

const FUNCTIONS = 15;

/** By mode; modes that only one of the two has are left out. */
export function profileDiff(before: ProfileReport, after: ProfileReport): ModeDiff[] {
  return before.modes.flatMap((old) => {
    const now = after.modes.find(({ mode }) => mode === old.mode);
    if (now === undefined) return [];
    const perRow = (report: ProfileReport, ms: number) => (ms * 1e6) / report.rows;
    const total = {
      what: "median run",
      before: perRow(before, old.medianMs),
      after: perRow(after, now.medianMs),
    };
    const operators = paired(operatorCosts(before, old), operatorCosts(after, now));
    const functions = paired(functionCosts(before, old), functionCosts(after, now))
      .sort((a, b) => change(b) - change(a))
      .slice(0, FUNCTIONS);
    return [{ mode: old.mode, total, operators, functions }];
  });
}

function change({ before, after }: Cost): number {
  return Math.abs((after ?? 0) - (before ?? 0));
}

function operatorCosts({ rows }: ProfileReport, { run }: ModeProfile): Map<string, number> {
  const costs = new Map<string, number>();
  operatorsIn(run.plan).forEach((operator: OperatorProfile, index) => {
    costs.set(`${index} ${operator.name} ${operator.detail}`, (operator.ms * 1e6) / rows);
  });
  return costs;
}

function functionCosts({ rows }: ProfileReport, { functions, medianMs }: ModeProfile): Map<string, number> {
  const kernel = functions.filter(({ kind }) => kind === "kernel");
  return new Map(kernel.map(({ name, share }) => [name, (share * medianMs * 1e6) / rows]));
}

function paired(before: ReadonlyMap<string, number>, after: ReadonlyMap<string, number>): Cost[] {
  const names = new Set([...before.keys(), ...after.keys()]);
  return [...names].map((what) => ({
    what,
    before: before.get(what) ?? null,
    after: after.get(what) ?? null,
  }));
}

export function diffText(
  diffs: readonly ModeDiff[],
  colours = picocolors as ReturnType<typeof picocolors.createColors>,
): string {
  const header = ["ns a row of input", "before", "after", "change"].map((text) => ({
    text,
    paint: colours.bold,
  }));
  const figure = (value: number | null) => ({ text: value === null ? "-" : value.toFixed(2) });
  const line = ({ what, before, after }: Cost) => [
    { text: what },
    figure(before),
    figure(after),
    { text: before === null || after === null || before === 0 ? "" : `${(after / before).toFixed(2)}x` },
  ];
  return diffs
    .map(({ mode, total, operators, functions }) =>
      [
        colours.cyan(mode),
        alignedTable([header, ...[total, ...operators, ...functions].map(line)], new Set([1, 2, 3])),
      ].join("\n"),
    )
    .join("\n\n");
}
