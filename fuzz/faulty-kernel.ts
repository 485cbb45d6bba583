// An engine whose kernel takes its rare paths often, and whose aggregations and windows are now and then written down as
// state and begun again from it. None of that may change a result.

import { Engine } from "../bindings/ts/index.js";
import { Kernel, type KernelBuild, type Operator } from "../bindings/ts/kernel/index.js";
import type { OperatorSpec } from "../bindings/ts/kernel/operator.js";
import type { StateBatch } from "../bindings/ts/kernel/state.js";
import { type PoolFaults, WorkerPool } from "../bindings/ts/pool/index.js";
import { refuseSorts } from "../bindings/ts/scheduler/testing-refusal.js";
import { type Host, type SpillFaults, SpillFolder, type SpillOptions } from "../bindings/ts/spill/index.js";
import { MemoryLimitError } from "../bindings/ts/type/error.js";
import {
  AggregateConfig,
  AggregateFlag,
  JoinConfig,
  JoinFlag,
  OperatorKind,
  SortConfig,
} from "../kernel/abi/operator.js";
import { WindowConfig, WindowKind } from "../kernel/abi/window.js";

/** What operators made from now on are like. */
export interface Faults {
  /** Bits of `AggregateFault`, `JoinFault` and `SortFault`: each kind of operator takes its own. */
  readonly bits: number;
  /** Aggregations and windows are restored from a snapshot after so many pushes; 0: never. */
  readonly restart: number;
  /** Aggregations are two, which get a push in turn and are merged before results are asked for. */
  readonly split: boolean;
  /** Each so-manieth push to an aggregation, sort or join that holds rows finds no memory, where these can leave for files; 0: none. */
  readonly refuse: number;
}

/** Changes states on their way from one operator to the next. */
export type Damage = (states: readonly StateBatch[]) => readonly StateBatch[];

export const NO_FAULTS: Faults = { bits: 0, restart: 0, split: false, refuse: 0 };

export interface FaultyEngineOptions {
  readonly build: KernelBuild;
  readonly budget: string;
  /** Threads, the calling one among them. More than 1 need the threads build. */
  readonly workers?: number;
  /** As of `PoolFaults`. */
  readonly spreadRows?: number;
  readonly spill?: SpillOptions | null;
  readonly spillHost?: Host;
}

/** Faults of a pool that can be changed from one run to the next. */
type Writable<T> = { -readonly [K in keyof T]: T[K] };

export class FaultyEngine {
  readonly engine: Engine;
  readonly kernel: Kernel;
  readonly pool: { readonly pool: WorkerPool; readonly faults: Writable<PoolFaults> } | null;
  readonly spill: SpillFolder | null;
  faults: Faults = NO_FAULTS;
  damage: Damage | null = null;

  private constructor(kernel: Kernel, pool: FaultyEngine["pool"], spill: SpillFolder | null) {
    this.kernel = kernel;
    this.pool = pool;
    this.spill = spill;
    this.engine = Engine.over(kernel, pool?.pool ?? null, spill);
    refuseSorts(kernel, () => this.faults.refuse);
    const make = kernel.operator.bind(kernel);
    kernel.operator = (spec) => {
      const { bits, restart, split, refuse } = this.faults;
      const faulty = { ...spec, config: withFaults(spec, bits) };
      const isFinal = spec.kind === OperatorKind.HASH_AGGREGATE && (flagsOf(spec) & CHANGELOG) === 0;
      // Other threads know an operator by its handle, also one that takes parts and gives their results; and one that is
      // written to files is pushed again what it refused.
      const handed = pool === null ? AggregateFlag.SHARED : AggregateFlag.SHARED | AggregateFlag.DRAINS;
      const moves = isFinal
        ? (flagsOf(spec) & handed) === 0 && spill === null
        : hasWindows(spec) && pool === null;
      const parts = split && isFinal;
      const operator =
        moves && (restart > 0 || parts)
          ? restarting(() => make(faulty), restart, parts, this.damage ?? ((states) => states))
          : make(faulty);
      const leaves = (isFinal && hasKeys(spec)) || isLeavingJoin(spec);
      if (leaves && spill !== null && refuse > 0) refusing(operator, refuse);
      return operator;
    };
  }

  static async open({
    build,
    budget,
    workers = 1,
    spreadRows,
    spill = null,
    spillHost,
  }: FaultyEngineOptions): Promise<FaultyEngine> {
    const folder = spill === null ? null : await SpillFolder.open(spill, spillHost);
    if (folder !== null) Object.assign(folder.faults, SPILL_FAULTS);
    const opening = Kernel.open({ build, budget });
    if (workers === 1) return new FaultyEngine(await opening, null, folder);
    const faults: Writable<PoolFaults> = { spreadRows };
    const pool = await WorkerPool.open(opening, workers, faults);
    await pool.ready();
    return new FaultyEngine(await opening, { pool, faults }, folder);
  }
}

/** Lets pushes find no memory, as if other runs had taken it. */
function refusing(operator: Operator, refuse: number): void {
  const push = operator.push.bind(operator);
  let pushes = 0;
  operator.push = (...input) => {
    if (++pushes % refuse === 0 && operator.stats().rowsIn > 0)
      throw new MemoryLimitError("made to find no memory");
    return push(...input);
  };
}

const CHANGELOG = AggregateFlag.CHANGELOG | AggregateFlag.PARTIAL;
/** Bits that each kind knows. FLUSH_OFTEN is of partial aggregations, whose results are states. */
const AGGREGATE_BITS = 31;
const JOIN_BITS = 31;
const SORT_BITS = 7;

function flagsOf({ config }: OperatorSpec): number {
  return new DataView(config.buffer, config.byteOffset).getUint32(AggregateConfig.FLAGS, true);
}

/** A join whose rows can leave for files. */
function isLeavingJoin({ kind, config }: OperatorSpec): boolean {
  if (kind !== OperatorKind.JOIN) return false;
  const flags = new DataView(config.buffer, config.byteOffset).getUint32(JoinConfig.FLAGS, true);
  return (flags & JoinFlag.KEEP_OUTPUTS) !== 0;
}

/** Windows whose state can be saved. */
function hasWindows({ kind, config }: OperatorSpec): boolean {
  if (kind !== OperatorKind.WINDOW_AGGREGATE) return false;
  const view = new DataView(config.buffer, config.byteOffset);
  return view.getUint32(WindowConfig.KIND, true) !== WindowKind.SESSION;
}

/** Only what has keys can be divided, and leave for files. */
function hasKeys({ config }: OperatorSpec): boolean {
  return new DataView(config.buffer, config.byteOffset).getUint32(AggregateConfig.KEYS, true) > 0;
}

function withFaults({ kind, config }: OperatorSpec, bits: number): Uint8Array {
  if (bits === 0) return config;
  const copy = config.slice();
  const view = new DataView(copy.buffer);
  switch (kind) {
    case OperatorKind.HASH_AGGREGATE:
      view.setUint32(AggregateConfig.FAULT, bits & AGGREGATE_BITS, true);
      break;
    case OperatorKind.WINDOW_AGGREGATE: {
      const aggregate = view.getUint32(WindowConfig.AGGREGATE, true);
      view.setUint32(aggregate + AggregateConfig.FAULT, bits & AGGREGATE_BITS, true);
      break;
    }
    case OperatorKind.JOIN:
      view.setUint32(JoinConfig.FAULT, bits & JOIN_BITS, true);
      break;
    case OperatorKind.SORT:
      view.setUint32(SortConfig.FAULT, bits & SORT_BITS, true);
      break;
    default:
  }
  return copy;
}

/** Rows of a batch of state: few, so that cursors stop in the middle of sections; of what has had many rows it would take long. */
const STATE_ROWS = 5;
const MANY_ROWS = 2000;
/** Several batches that a sort writes make ranges of what it writes next. */
const SPILL_FAULTS: SpillFaults = { batchRows: 2, ranges: 3 };

/** Calls after which results are asked for, and calls that ask for results, or for the state. */
const ENDS: readonly (string | symbol)[] = ["watermark", "finish", "finishResident"];
const READS: readonly (string | symbol)[] = ["pull", "snapshot", "snapshotParts", "rowsOut"];

/** An aggregation, or windows, that look like one operator, and are several in turn. */
function restarting(make: () => Operator, restart: number, split: boolean, damage: Damage): Operator {
  let current = make();
  let other: Operator | null = null;
  let pushes = 0;
  // A state does not carry this count.
  let partlyLate = 0;
  try {
    if (split) other = make();
  } catch (error) {
    current.destroy();
    throw error;
  }

  const moved = (from: Operator, into: Operator) => {
    try {
      const { rowsIn, partlyLateRows } = from.stats();
      partlyLate += partlyLateRows;
      const rows = rowsIn < MANY_ROWS ? STATE_ROWS : MANY_ROWS;
      for (const state of damage([...from.snapshot(rows)])) into.merge(state);
    } finally {
      from.destroy();
    }
  };
  // When the next one comes: what the last one made ready has left by then.
  const begin = () => {
    if (restart === 0 || pushes < restart) return;
    pushes = 0;
    const next = make();
    const last = current;
    current = next;
    moved(last, current);
  };
  const push: Operator["push"] = (...input) => {
    begin();
    if (other !== null) [current, other] = [other, current];
    const status = current.push(...input);
    pushes++;
    return status;
  };
  const together = () => {
    if (other === null) return;
    const last = other;
    other = null;
    moved(last, current);
  };
  const stats: Operator["stats"] = () => {
    const stats = current.stats();
    return { ...stats, partlyLateRows: stats.partlyLateRows + partlyLate };
  };
  const destroy = () => {
    other?.destroy();
    other = null;
    current.destroy();
  };
  return new Proxy(current, {
    get(_, name) {
      if (name === "push") return push;
      if (name === "stats") return stats;
      if (name === "destroy" || name === Symbol.dispose) return destroy;
      if (ENDS.includes(name)) begin();
      if (ENDS.includes(name) || READS.includes(name)) together();
      const value = Reflect.get(current, name, current) as unknown;
      return typeof value === "function" ? value.bind(current) : value;
    },
  });
}
