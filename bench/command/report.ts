// `report FILE.json`: a report, a profile, or a folder of reports as a page; a report's ratios as a card.

import { stat, writeFile } from "node:fs/promises";
import type { ProfileReport } from "../profile/profile.js";
import { readProfile } from "../profile/read-profile.js";
import { readHistory } from "../report/history.js";
import { readReport, schemaOf } from "../report/read-report.js";
import type { Report } from "../report/report.js";
import { drawer } from "./drawer.js";
import { fileOption, single } from "./option-values.js";
import type { RawOptions } from "./options.js";
import { ExitCode, UsageError } from "./usage.js";

export interface ReportOptions {
  readonly html: string | null;
  readonly card: string | null;
}

/** Throws UsageError when neither is asked for. */
export function reportOptions(raw: RawOptions): ReportOptions {
  const html = fileOption(single(raw, "html"), "html");
  const card = fileOption(single(raw, "card"), "card");
  if (html === null && card === null) throw new UsageError("report needs --html FILE or --card FILE");
  return { html, card };
}

/** Runs the command; answers the exit code. */
export async function reportCommand(path: string, { html, card }: ReportOptions): Promise<number> {
  const isFolder = (await stat(path).catch(() => null))?.isDirectory() === true;
  const isProfile = !isFolder && (await schemaOf(path)) === "millrace-profile/1";
  if (card !== null && (isFolder || isProfile)) {
    throw new UsageError(`--card draws one report, and ${path} is a ${isFolder ? "folder" : "profile"}`);
  }
  const { historyPage, profilePage, reportPage, cardSvg } = await drawer();
  if (html !== null) {
    const text = isFolder
      ? historyPage(await readHistory(path))
      : isProfile
        ? profilePage((await readProfile(path)) as ProfileReport)
        : reportPage(await readReport(path));
    await write(html, text);
  }
  if (card !== null) await write(card, await drawnCard(path, cardSvg));
  return ExitCode.verified;
}

async function drawnCard(path: string, cardSvg: (report: Report) => string): Promise<string> {
  const report = await readReport(path);
  try {
    return cardSvg(report);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw new UsageError(`${path}: ${error.message}`);
  }
}

async function write(path: string, text: string): Promise<void> {
  await writeFile(path, text);
  process.stdout.write(`written: ${path}\n`);
}
