// How contenders and data files are made: in child processes, or (for tests) in this one.

import { type DataFolder, type DataRequest, prepareData } from "../input/data-file.js";
import {
  ChildContender,
  housemates,
  prepareInChild,
  readMemoryInChildren,
} from "../measure/child-process.js";
import { type Contender, type ContenderSpec, LocalContender } from "../measure/contender.js";
import { readingSpeed } from "../measure/memory-speed.js";
import { HASTY_PACE, type Pace, STEADY_PACE } from "../measure/race.js";

export interface Workshop {
  readonly contender: (spec: ContenderSpec) => Contender;
  /** Several that share what those of one engine can share. */
  readonly housemates: (specs: readonly ContenderSpec[]) => readonly Contender[];
  readonly prepare: (request: DataRequest) => Promise<DataFolder>;
  /** Bytes a second that so many threads read from memory. */
  readonly readMemory: (threads: number) => Promise<number>;
  readonly pace: Pace;
}

/** Long enough for all to be at it together most of the time. */
const READING_MS = 500;

export const CHILD_PROCESSES: Workshop = {
  contender: (spec) => new ChildContender(spec),
  housemates,
  prepare: prepareInChild,
  readMemory: (threads) => readMemoryInChildren(threads, READING_MS),
  pace: STEADY_PACE,
};

/** Everything in this process, data files in `folder`, a call a run. */
export function inProcess(folder: string): Workshop {
  return {
    contender: (spec) => new LocalContender(spec),
    housemates: (specs) => specs.map((spec) => new LocalContender(spec)),
    prepare: (request) => prepareData(request, folder),
    readMemory: async () => readingSpeed(0, 2 ** 20),
    pace: HASTY_PACE,
  };
}
