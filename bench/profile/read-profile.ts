// Profiles that `profile` wrote, read back.

import { readJson } from "../report/read-report.js";
import type { ProfileReport } from "./profile.js";

/** Throws UsageError when the file is missing, is no JSON, or is no profile of this schema. */
export function readProfile(path: string): Promise<ProfileReport> {
  return readJson<ProfileReport>(path, "millrace-profile/1", "profile", ["modes", "machine"]);
}
