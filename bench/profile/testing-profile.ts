// An operator of a profile in which little happened, for tests to build on.

import type { OperatorProfile } from "../../bindings/ts/index.js";

export const QUIET_OPERATOR: OperatorProfile = {
  id: 0,
  name: "read",
  detail: "t: a",
  rowsIn: 0,
  rowsSelected: 0,
  rowsOut: 0,
  batchesIn: 1,
  batchesOut: 1,
  ms: 0,
  kernelMs: 0,
  workersMs: 0,
  nsPerRow: 0,
  bytesRead: 0,
  bytesWritten: 0,
  bytesPerSec: 0,
  peakStateBytes: 0,
  groups: 0,
  keyTier: null,
  tableSlots: 0,
  probeLength: 0,
  partitions: 0,
  runsMerged: 0,
  openWindows: 0,
  lateRows: 0,
  inputs: [],
};
