// How contenders and data files are made: in child processes, or (for tests) in this one.

import { type DataFolder, type DataRequest, prepareData } from "../input/data-file.js";
import { ChildContender, housemates, prepareInChild } from "../measure/child-process.js";
import { type Contender, type ContenderSpec, LocalContender } from "../measure/contender.js";
import { HASTY_PACE, type Pace, STEADY_PACE } from "../measure/race.js";

export interface Workshop {
  readonly contender: (spec: ContenderSpec) => Contender;
  /** Several that share what those of one engine can share. */
  readonly housemates: (specs: readonly ContenderSpec[]) => readonly Contender[];
  readonly prepare: (request: DataRequest) => Promise<DataFolder>;
  readonly pace: Pace;
}

export const CHILD_PROCESSES: Workshop = {
  contender: (spec) => new ChildContender(spec),
  housemates,
  prepare: prepareInChild,
  pace: STEADY_PACE,
};

/** Everything in this process, data files in `folder`, a call a run. */
export function inProcess(folder: string): Workshop {
  return {
    contender: (spec) => new LocalContender(spec),
    housemates: (specs) => specs.map((spec) => new LocalContender(spec)),
    prepare: (request) => prepareData(request, folder),
    pace: HASTY_PACE,
  };
}
