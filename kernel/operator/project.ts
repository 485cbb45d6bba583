// PROJECT: filters and computed columns, one batch in, at most one batch out.
//
// A push evaluates the batch vector by vector and appends the outputs to builders; the pull after it hands
// them out. Memory for the worst case (every row selected, every text in full) is taken before the first
// vector, so that a push either happens or does not.
//
// Where one column leaves that no filter reads, vectors are of 512 rows, so that comparing and gathering, which both wait for
// memory, take turns: 0.8 to 0.9 of the time over 10 million rows. It is 1.1 to 1.25 where it is the column that is compared, or
// there are several, or texts.
//
//   operator body:  +80 program  +84 output builders  +88 u32 rows to hand out  +92 u32 1: texts may leave as codes

import { Abi, Batch } from "../abi/layout";
import { ProjectConfig, ProjectFlag } from "../abi/operator";
import { Status } from "../abi/status";
import { outputDescribe } from "../column/builder";
import { programBind, programCreate, programGathersOne, programOutputs, programRun } from "../expression/program";
import { failMemory, refuseConfig, refuseMemory } from "../memory/context";
import { OPERATOR_BODY, Operator } from "./operator";
import { programOutputAppend, programOutputCreate, programOutputReserve } from "./program-output";

/** Rows of a vector of which one column is gathered. */
const GATHERED_ROWS: u32 = 512;

const PROGRAM: usize = OPERATOR_BODY;
const OUTPUT: usize = OPERATOR_BODY + 4;
const PENDING: usize = OPERATOR_BODY + 8;
const CODES: usize = OPERATOR_BODY + 12;

/** Reads the configuration (abi/operator.ts, ProjectConfig); false with the error recorded. */
export function projectCreate(context: usize, operator: usize, config: usize, length: u32): bool {
  const program = createProgram(context, operator, config, length);
  if (program == 0) return false;
  const output = programOutputCreate(operator, program);
  if (output == 0) {
    return refuseMemory(context);
  }
  store<u32>(operator, <u32>program, PROGRAM);
  store<u32>(operator, <u32>output, OUTPUT);
  store<u32>(operator, load<u32>(config, <usize>ProjectConfig.FLAGS) & <u32>ProjectFlag.KEEP_CODES, CODES);
  return true;
}

function createProgram(context: usize, operator: usize, config: usize, length: u32): usize {
  const size = <u32>ProjectConfig.SIZE;
  if (config == 0 || length < size || load<u32>(config, <usize>ProjectConfig.VERSION) != <u32>Abi.VERSION) {
    refuseConfig(context);
    return 0;
  }
  const start = load<u32>(config, <usize>ProjectConfig.PROGRAM);
  const bytes = load<u32>(config, <usize>ProjectConfig.PROGRAM_BYTES);
  const isKnown = load<u32>(config, <usize>ProjectConfig.FLAGS) <= <u32>ProjectFlag.KEEP_CODES;
  if (!isKnown || start < size || (start & 7) != 0 || <u64>start + <u64>bytes > <u64>length) {
    refuseConfig(context);
    return 0;
  }
  const program = programCreate(context, operator, config + <usize>start, bytes);
  if (program == 0 || programOutputs(program) == load<u32>(config, <usize>ProjectConfig.OUTPUTS)) return program;
  refuseConfig(context);
  return 0;
}

/** The program, for who runs it in its place (aggregate-together.ts). */
export function projectProgram(operator: usize): usize {
  return load<u32>(operator, PROGRAM);
}

export function projectPending(operator: usize): bool {
  return load<u32>(operator, PENDING) != 0;
}

/** HAS_MORE when rows passed the filters, else NEED_INPUT. Any error but OUT_OF_MEMORY ends the operator. */
export function projectPush(context: usize, operator: usize, batch: usize): i32 {
  const status = pushBatch(context, operator, batch);
  if (status < 0 && status != <i32>Status.OUT_OF_MEMORY) changetype<Operator>(operator).failed = 1;
  return status;
}

function pushBatch(context: usize, operator: usize, batch: usize): i32 {
  const program: usize = load<u32>(operator, PROGRAM);
  const bound = programBind(context, program, batch);
  if (bound < 0) return bound;
  const rows = load<u32>(batch, <usize>Batch.ROWS);
  const output: usize = load<u32>(operator, OUTPUT);
  const codes = load<u32>(operator, CODES) != 0;
  if (!programOutputReserve(operator, program, output, rows, codes)) return failMemory(context, 0);
  let selected: u32 = 0;
  const size = programGathersOne(program) ? GATHERED_ROWS : <u32>Abi.VECTOR_ROWS;
  for (let start: u32 = 0; start < rows; start += size) {
    const count = programRun(context, program, start, min(size, rows - start));
    if (count < 0) return count;
    programOutputAppend(program, output, count);
    selected += count;
  }
  changetype<Operator>(operator).rowsSelected += selected;
  store<u32>(operator, selected, PENDING);
  return selected == 0 ? Status.NEED_INPUT : Status.HAS_MORE;
}

/** The batch made by the last push; it is valid until the operator's next push or pull. */
export function projectPull(context: usize, operator: usize, out: usize): i32 {
  const rows = load<u32>(operator, PENDING);
  if (rows != 0) outputDescribe(load<u32>(operator, OUTPUT), out, rows, 0);
  store<u32>(operator, 0, PENDING);
  return changetype<Operator>(operator).ended ? Status.FINISHED : Status.NEED_INPUT;
}
