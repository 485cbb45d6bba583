// Plans: the public names, and (marked) what only the engine and the tests use.

export {
  Aggregate,
  type AggregateOptions,
  type Argument,
  any,
  approxCountDistinct,
  approxMedian,
  approxQuantile,
  argMax,
  argMin,
  avg,
  bitAnd,
  bitOr,
  bitXor,
  boolAnd,
  boolOr,
  corr,
  count,
  countDistinct,
  covar,
  covarPop,
  first,
  kurtosis,
  kurtosisPop,
  last,
  max,
  median,
  min,
  mode,
  quantile,
  quantileDisc,
  skewness,
  stddev,
  stddevPop,
  sum,
  variance,
  varPop,
} from "./aggregate.js";
/** @internal */
export { bind, type PlanLike, sourcesOf } from "./bind.js";
/** @internal */
export { readSpan } from "./bind-window.js";
/** @internal */
export { asChangelog, checkOnClose } from "./changelog.js";
export type { CountWindowOptions } from "./count-window.js";
export { explain, stageTitle } from "./explain.js";
export {
  and,
  coalesce,
  col,
  concat,
  Expression,
  lit,
  not,
  type Operand,
  or,
  type Then,
  type When,
  when,
} from "./expression.js";
export {
  cube,
  Grouping,
  GroupingIndicator,
  type GroupingKey,
  grouping,
  groupingSets,
  rollup,
} from "./grouping.js";
export { type Interval, interval } from "./interval.js";
export type { Joined, JoinKeys, JoinOptions } from "./join.js";
export type { AsofDirection, AsofJoined, AsofJoinOptions, AsofKeys, Within } from "./join-time.js";
export {
  type ArrayOptions,
  arrayAgg,
  bottomK,
  stringAgg,
  type TopOptions,
  topK,
} from "./list-aggregate.js";
/** @internal */
export type { BoundPlan, JoinHow } from "./logical.js";
/** @internal */
export {
  type AggregateStage,
  chainsIn,
  type GroupingSetStage,
  type GroupingSetsStage,
  type JoinSide,
  type JoinStage,
  type LimitStage,
  type LoweredPlan,
  lower,
  type OverStage,
  type ProjectStage,
  type SortStage,
  type Stage,
  type TogetherProgram,
  type UnionStage,
  type WindowStage,
} from "./lower.js";
export type { Plain, TruncateUnit } from "./node.js";
export {
  type DeduplicateOptions,
  denseRank,
  type Frame,
  firstValue,
  type LagOptions,
  lag,
  lastValue,
  lead,
  type OverOptions,
  rank,
  rowNumber,
  WindowFunction,
} from "./over.js";
export {
  type Aggregated,
  asc,
  type Computed,
  type CountWindowed,
  desc,
  type Extended,
  from,
  type Grouped,
  GroupedPlan,
  type Key,
  type OverFunctions,
  Plan,
  type Renamed,
  type RowOf,
  type RowOfTable,
  type Selected,
  type Selection,
  type SortKey,
  Source,
  type SourceTypes,
  source,
  type WindowColumns,
  WindowedPlan,
  type WithFunctions,
} from "./plan.js";
export type { AnyRow, ListOf, ValueOf } from "./result.js";
/** @internal */
export {
  leastStep,
  nanosecondsATick,
  numberOfWatermark,
  type TimeScale,
  ticksOfWatermark,
  timeLine,
  timeOf,
  watermarkOf,
  wholeSteps,
} from "./time-scale.js";
export {
  cumulate,
  global,
  hop,
  session,
  type TimeOptions,
  tumble,
  Window,
  type WindowName,
  type WindowOptions,
  type WindowSize,
} from "./window.js";
