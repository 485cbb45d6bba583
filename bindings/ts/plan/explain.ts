// `explain`: a plan as indented text, for people. The logical plan with its types; below it, what runs.

import { type Field, type Schema, typeName } from "../type/data-type.js";
import { aggregateText } from "./aggregate.js";
import { bind, sourcesOf } from "./bind.js";
import { asChangelog, givesChanges } from "./changelog.js";
import { indicatorText, setsText } from "./grouping.js";
import { joinTimeText } from "./join-time.js";
import {
  type BoundJoinChanges,
  type BoundPlan,
  boundInputs,
  inputsOf,
  type JoinNode,
  type PlanNode,
} from "./logical.js";
import {
  type AggregateStage,
  type JoinSide,
  type JoinStage,
  type LoweredPlan,
  lower,
  type OverStage,
  type SortStage,
  type Stage,
  type WindowStage,
} from "./lower.js";
import { boundFunctionText, boundOverText } from "./lower-over.js";
import { frameText, functionText, overText } from "./over.js";
import type { Plan } from "./plan.js";
import { expressionText } from "./text.js";
import { windowText } from "./window.js";

/**
 * The plan as text: the logical plan (the last step on top, with the columns where they change) and the
 * stages that run. `schemas` types the sources that the plan only names; where one is missing, the logical plan
 * is printed without types and without stages.
 */
export function explain(plan: Plan<unknown>, schemas: Readonly<Record<string, Schema>> = {}): string {
  const known = sourcesOf(plan).every(({ schema, name }) => schema !== null || Object.hasOwn(schemas, name));
  if (!known) return ["Plan (not bound)", ...indent(nodeLines(plan.node))].join("\n");
  const bound = asChangelog(bind(plan, schemas), false);
  return ["Plan", ...indent(boundLines(bound)), "Stages", ...indent(chainLines(lower(bound)))].join("\n");
}

function chainLines({ source, stages }: LoweredPlan): string[] {
  const read = source.columns.map((index) => source.schema.fields[index]!.name);
  return [
    `0 read ${source.name}: ${read.length > 0 ? read.join(", ") : "row counts only"}`,
    ...stages.flatMap((stage, index) => stageLines(stage, index)),
  ];
}

function indent(lines: readonly string[]): string[] {
  return lines.map((line) => `  ${line}`);
}

function nodeLines(node: PlanNode): string[] {
  if (node.kind === "source") return [`from ${node.name}`];
  return [nodeText(node), ...inputsOf(node).flatMap((input) => indent(nodeLines(input)))];
}

function nodeText(node: Exclude<PlanNode, { kind: "source" }>): string {
  const named = (columns: readonly { name: string; text: string }[]) =>
    columns.map(({ name, text }) => (name === text ? name : `${name} = ${text}`)).join(", ");
  switch (node.kind) {
    case "where":
      return `where ${expressionText(node.condition)}`;
    case "select":
    case "withColumns": {
      const columns = node.columns.map(({ name, expression }) => ({
        name,
        text: expressionText(expression),
      }));
      return `${node.kind === "select" ? "select" : "with columns"} ${named(columns)}`;
    }
    case "drop":
      return `drop ${node.names.join(", ")}`;
    case "rename":
      return `rename ${[...node.names].map(([from, to]) => `${from} to ${to}`).join(", ")}`;
    case "aggregate": {
      const keys = named(
        node.keys.map(({ name, expression }) => ({ name, text: expressionText(expression) })),
      );
      const columns = node.aggregates.map(({ name, aggregate }) => ({
        name,
        text: aggregateText(aggregate),
      }));
      for (const indicator of node.grouping?.indicators ?? []) {
        const text = indicatorText(indicator.keys);
        columns.splice(indicator.position, 0, { name: indicator.name, text });
      }
      const sets = setsClause(node.grouping, node.keys);
      const window = node.window === undefined ? "" : ` in ${windowText(node.window)}`;
      return `aggregate ${named(columns)}${keys === "" ? "" : ` by ${keys}`}${sets}${window}`;
    }
    case "distinct":
      return node.keys === null
        ? "distinct"
        : `distinct ${named(node.keys.map(({ name, expression }) => ({ name, text: expressionText(expression) })))}`;
    case "orderBy":
      return `order by ${node.by.map(sortText).join(", ")}`;
    case "limit":
      return limitText(node);
    case "over": {
      const columns = node.columns.map(({ name, fn }) => ({ name, text: functionText(fn) }));
      return `${named(columns)} ${overText(node.partitionBy, node.orderBy.map(sortText), frameText(node.frame))}`;
    }
    case "set":
      return node.operation;
    case "join": {
      const keys = node.on.map(({ left, right }) => (left === right ? left : `${left} = ${right}`));
      const residual = node.residual && expressionText(node.residual);
      return joinText(node, keys, residual, node.time && joinTimeText(node.time));
    }
  }
}

function setsClause(
  grouping: { readonly sets: readonly (readonly number[])[] } | null,
  keys: readonly { readonly name: string }[],
): string {
  if (grouping === null) return "";
  const names = keys.map(({ name }) => name);
  return ` in the sets ${setsText(grouping.sets, names)}`;
}

function joinText(
  { how, nullsEqual, nullAware }: Pick<JoinNode, "how" | "nullsEqual" | "nullAware">,
  keys: readonly string[],
  residual: string | null,
  time: string | null,
): string {
  const name = how === "inner" && keys.length === 0 && time === null ? "cross" : how;
  return [
    `${name} join`,
    ...(keys.length > 0 ? [`on ${keys.join(", ")}`] : []),
    ...(nullsEqual ? ["(nulls equal)"] : []),
    ...(nullAware ? ["(null-aware)"] : []),
    ...(time === null ? [] : [time]),
    ...(residual === null ? [] : [`where ${residual}`]),
  ].join(" ");
}

function sortText(key: { column: string; descending: boolean; nullsFirst: boolean }): string {
  return `${key.column}${key.descending ? " descending" : ""}${key.nullsFirst ? " nulls first" : ""}`;
}

function limitText({ count, offset }: { count: number; offset: number }): string {
  return `limit ${count}${offset === 0 ? "" : ` after ${offset}`}`;
}

function fieldsText(fields: readonly Field[]): string {
  return fields
    .map(({ name, type, nullable }) => `${name}: ${typeName(type)}${nullable ? "" : " not null"}`)
    .join(", ");
}

function boundLines(plan: BoundPlan): string[] {
  const inputs = boundInputs(plan);
  const unchanged = inputs.length === 1 && plan.schema === inputs[0]!.schema;
  const head = unchanged ? boundText(plan) : `${boundText(plan)} -> (${fieldsText(plan.schema.fields)})`;
  return [head, ...inputs.flatMap((input) => indent(boundLines(input)))];
}

function boundText(plan: BoundPlan): string {
  switch (plan.kind) {
    case "source":
      return `from ${plan.name}`;
    case "filter":
      return `where ${plan.condition.text}`;
    case "project":
      return `select ${plan.columns
        .map((output) => ("opaque" in output ? output.name : named(output.name, output.expression.text)))
        .join(", ")}`;
    case "aggregate": {
      const keys = plan.keys.map(({ name, expression }) => named(name, expression.text)).join(", ");
      const computed = plan.aggregates.map(({ name, text }) => named(name, text));
      const names = plan.keys.map(({ name }) => name);
      for (const { name, column, keys: held } of plan.grouping?.indicators ?? []) {
        const text = indicatorText(held.map((key) => names[key]!));
        computed.splice(column - names.length, 0, named(name, text));
      }
      const sets = setsClause(plan.grouping, plan.keys);
      const window = plan.window === undefined ? "" : ` in ${plan.window.text}`;
      return `aggregate ${computed.join(", ")}${keys === "" ? "" : ` by ${keys}`}${sets}${window}`;
    }
    case "sort":
      return `order by ${plan.by
        .map((key) => sortText({ ...key, column: plan.schema.fields[key.column]!.name }))
        .join(", ")}`;
    case "limit":
      return limitText(plan);
    case "over":
      return `${plan.functions
        .map((fn) => named(fn.name, boundFunctionText(fn)))
        .join(", ")} ${boundOverText(plan)}`;
    case "union":
      return "union all";
    case "join": {
      const keys = plan.keys.map(({ left, right }) =>
        left.text === right.text ? left.text : `${left.text} = ${right.text}`,
      );
      return joinText(plan, keys, plan.residual?.text ?? null, plan.time?.text ?? null);
    }
  }
}

function named(name: string, text: string): string {
  return name === text ? name : `${name} = ${text}`;
}

/** A stage in a few words: its kind, and what it does. */
export function stageTitle(stage: Stage): { readonly name: string; readonly detail: string } {
  const columns = (names: readonly { readonly name: string }[]) => names.map(({ name }) => name).join(", ");
  switch (stage.kind) {
    case "project":
      return {
        name: "project",
        detail: [columns(stage.schema.fields), ...filtered(stage.filters)].join(" "),
      };
    case "aggregate":
      return { name: "hash aggregate", detail: groupedText(stage, 0) };
    case "window":
      return { name: "window aggregate", detail: `${groupedText(stage, 2)} in ${stage.window.text}` };
    case "groupingSets":
      return { name: "grouping sets", detail: stage.sets.map((set) => groupedText(set.stage, 0)).join("; ") };
    case "sort":
      return { name: "sort", detail: `by ${sortKeys(stage)}` };
    case "over":
      return { name: "window functions", detail: overDetail(stage) };
    case "limit":
      return { name: "limit", detail: limitText(stage).replace(/^limit /, "") };
    case "join": {
      const { left, right, residual, time } = stage;
      return {
        name: "join",
        detail: joinText(stage, keyPairs(left, right), residual?.text ?? null, time?.text ?? null),
      };
    }
    case "union":
      return { name: "union all", detail: columns(stage.schema.fields) };
  }
}

function filtered(filters: readonly string[]): string[] {
  return filters.length === 0 ? [] : [`where ${filters.join(" and ")}`];
}

function groupedText(stage: AggregateStage | WindowStage, bounds: number): string {
  const keys = stage.texts.slice(bounds, bounds + stage.keys);
  const by = keys.length === 0 ? [] : [`by ${keys.join(", ")}`];
  return [stage.texts.slice(bounds + stage.keys).join(", "), ...by, ...filtered(stage.filters)].join(" ");
}

function sortKeys({ by, schema }: SortStage): string {
  return by.map((key) => sortText({ ...key, column: schema.fields[key.column]!.name })).join(", ");
}

function overDetail({ texts, input, text }: OverStage): string {
  return `${texts.slice(input.fields.length).join(", ")} ${text}`;
}

function overOrder({ by, input }: OverStage): string {
  const keys = by.map((key) => sortText({ ...key, column: input.fields[key.column]!.name }));
  return keys.length === 0 ? "all columns" : `${keys.join(", ")}, then all other columns`;
}

function keyPairs(left: JoinSide, right: JoinSide): string[] {
  return left.keys.map((key, index) => (key === right.keys[index] ? key : `${key} = ${right.keys[index]}`));
}

function stageLines(stage: Stage, index: number): string[] {
  const number = index + 1;
  switch (stage.kind) {
    case "project": {
      const carried = stage.passthrough.map(({ field }) => field.name);
      return [
        `${number} project ${stage.schema.fields.map(({ name }) => name).join(", ")}`,
        ...indent(stage.filters.map((filter) => `filter ${filter}`)),
        ...indent(carried.length > 0 ? [`carried along: ${carried.join(", ")}`] : []),
        `  program of ${stage.instructions.length} instructions`,
      ];
    }
    case "aggregate": {
      const keys = stage.texts.slice(0, stage.keys);
      return [
        `${number} hash aggregate ${stage.texts.slice(stage.keys).join(", ")}`,
        ...indent(stage.filters.map((filter) => `filter ${filter}`)),
        `  by ${keys.length > 0 ? keys.join(", ") : "nothing: one group"}`,
        `  program of ${stage.instructions.length} instructions`,
      ];
    }
    case "groupingSets":
      return [
        `${number} grouping sets`,
        ...indent(stage.sets.flatMap((set) => stageLines(set.stage, index))),
      ];
    case "window": {
      const keys = stage.texts.slice(2, 2 + stage.keys);
      return [
        `${number} window aggregate ${stage.texts.slice(2 + stage.keys).join(", ")}`,
        ...indent(stage.filters.map((filter) => `filter ${filter}`)),
        `  by ${[stage.window.text, ...keys].join(", ")}`,
        `  program of ${stage.instructions.length} instructions`,
      ];
    }
    case "sort":
      return [`${number} sort by ${sortKeys(stage)}, then all other columns`];
    case "limit":
      return [`${number} ${limitText(stage)}`];
    case "over":
      return [
        `${number} window functions ${overDetail(stage)}`,
        ...indent([`rows by ${overOrder(stage)}`, `program of ${stage.instructions.length} instructions`]),
      ];
    case "join":
      return joinLines(stage, number);
    case "union":
      return [
        `${number} union all`,
        ...indent(givesChanges(stage) ? ["gives changes"] : []),
        "  right side",
        ...indent(indent(chainLines(stage.input))),
      ];
  }
}

/** Plans are explained as batches run them: a join that gives changes has a side that is a changelog. */
function changedSides({ left, right }: BoundJoinChanges): string {
  if (left && right) return "both sides";
  return left ? "the left side" : "the right side";
}

/**
 * In a stream nothing bounds what a join without times keeps, and what depends on a match never coming waits for
 * the end.
 */
function joinLines(stage: JoinStage, number: number): string[] {
  const { how, left, right, residual, time, changes } = stage;
  const keys = keyPairs(left, right);
  const waits =
    how === "inner" || how === "semi"
      ? ""
      : `; rows without a match leave at the end of input${changes === null ? "" : `, or (emit "onUpdate") at once, until they have one`}`;
  const kept = changes === null ? "the rows of both sides" : "the rows of both sides that are not taken back";
  const side = (name: string, { filters, instructions }: JoinSide) => [
    ...filters.map((filter) => `filter ${name} ${filter}`),
    `program of ${instructions.length} instructions over ${name} rows`,
  ];
  return [
    `${number} ${joinText(stage, keys, residual?.text ?? null, time?.text ?? null)} -> ${stage.schema.fields.map(({ name }) => name).join(", ")}`,
    ...indent([
      ...side("left", left),
      ...side("right", right),
      time === null
        ? `in a stream, keeps ${kept} until one ends: its state grows without a bound${waits}`
        : "in a stream, rows leave and are let go as the watermarks of both sides pass; without them, at the end of input",
      ...(changes === null ? [] : [`follows the changes of ${changedSides(changes)}, and gives changes`]),
      "right side",
      ...indent(chainLines(stage.input)),
    ]),
  ];
}
