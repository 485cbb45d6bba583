// An engine whose kernel takes its rare paths often, and whose aggregations are now and then written down as state and
// begun again from it. None of that may change a result.

import { Engine } from "../bindings/ts/index.js";
import { Kernel, type KernelBuild, type Operator } from "../bindings/ts/kernel/index.js";
import type { OperatorSpec } from "../bindings/ts/kernel/operator.js";
import type { StateBatch } from "../bindings/ts/kernel/state.js";
import {
  AggregateConfig,
  AggregateFlag,
  JoinConfig,
  OperatorKind,
  SortConfig,
} from "../kernel/abi/operator.js";
import { WindowConfig } from "../kernel/abi/window.js";

/** What operators made from now on are like. */
export interface Faults {
  /** Bits of `AggregateFault`, `JoinFault` and `SortFault`: each kind of operator takes its own. */
  readonly bits: number;
  /** Aggregations are restored from a snapshot after so many pushes; 0: never. */
  readonly restart: number;
  /** Aggregations are two, which get a push in turn and are merged before results are asked for. */
  readonly split: boolean;
}

/** Changes states on their way from one operator to the next. */
export type Damage = (states: readonly StateBatch[]) => readonly StateBatch[];

export const NO_FAULTS: Faults = { bits: 0, restart: 0, split: false };

export class FaultyEngine {
  readonly engine: Engine;
  readonly kernel: Kernel;
  faults: Faults = NO_FAULTS;
  damage: Damage | null = null;

  private constructor(kernel: Kernel) {
    this.kernel = kernel;
    this.engine = Engine.over(kernel);
    const make = kernel.operator.bind(kernel);
    kernel.operator = (spec) => {
      const { bits, restart, split } = this.faults;
      const faulty = { ...spec, config: withFaults(spec, bits) };
      const isFinal = spec.kind === OperatorKind.HASH_AGGREGATE && (flagsOf(spec) & CHANGELOG) === 0;
      return isFinal && (restart > 0 || split)
        ? restarting(() => make(faulty), restart, split, this.damage ?? ((states) => states))
        : make(faulty);
    };
  }

  static async open(build: KernelBuild, budget: string): Promise<FaultyEngine> {
    return new FaultyEngine(await Kernel.open({ build, budget }));
  }
}

const CHANGELOG = AggregateFlag.CHANGELOG | AggregateFlag.PARTIAL;
/** Bits that each kind knows. FLUSH_OFTEN is of partial aggregations, whose results are states. */
const AGGREGATE_BITS = 31;
const JOIN_BITS = 15;
const SORT_BITS = 7;

function flagsOf({ config }: OperatorSpec): number {
  return new DataView(config.buffer, config.byteOffset).getUint32(AggregateConfig.FLAGS, true);
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

/** Rows of a batch of state: small, so that cursors stop in the middle of sections. */
const STATE_ROWS = 5;

/** An aggregation that looks like one operator, and is several in turn. */
function restarting(make: () => Operator, restart: number, split: boolean, damage: Damage): Operator {
  let current = make();
  let other: Operator | null = null;
  let pushes = 0;
  try {
    if (split) other = make();
  } catch (error) {
    current.destroy();
    throw error;
  }

  const moved = (from: Operator, into: Operator) => {
    try {
      for (const state of damage([...from.snapshot(STATE_ROWS)])) into.merge(state);
    } finally {
      from.destroy();
    }
  };
  const push: Operator["push"] = (...input) => {
    if (other !== null) [current, other] = [other, current];
    const status = current.push(...input);
    if (restart > 0 && ++pushes % restart === 0) {
      const next = make();
      const last = current;
      current = next;
      moved(last, current);
    }
    return status;
  };
  const together = () => {
    if (other === null) return;
    const last = other;
    other = null;
    moved(last, current);
  };
  const destroy = () => {
    other?.destroy();
    other = null;
    current.destroy();
  };
  return new Proxy(current, {
    get(_, name) {
      if (name === "push") return push;
      if (name === "destroy" || name === Symbol.dispose) return destroy;
      if (name === "watermark" || name === "finish" || name === "finishResident" || name === "pull")
        together();
      const value = Reflect.get(current, name, current) as unknown;
      return typeof value === "function" ? value.bind(current) : value;
    },
  });
}
