// `explain`: a plan as indented text, for people. The logical plan with its types; below it, what runs.

import { type Field, type Schema, typeName } from "../type/data-type.js";
import { aggregateText } from "./aggregate.js";
import { bind, sourceOf } from "./bind.js";
import { asChangelog } from "./changelog.js";
import { indicatorText, setsText } from "./grouping.js";
import type { BoundPlan, PlanNode } from "./logical.js";
import { lower, type Stage } from "./lower.js";
import type { Plan } from "./plan.js";
import { expressionText } from "./text.js";
import { windowText } from "./window.js";

/**
 * The plan as text: the logical plan (the last step on top, with the columns where they change) and the
 * stages that run. `schemas` types the sources that the plan only names; where one is missing, the logical plan
 * is printed without types and without stages.
 */
export function explain(plan: Plan<unknown>, schemas: Readonly<Record<string, Schema>> = {}): string {
  const source = sourceOf(plan);
  const known = source.schema !== null || Object.hasOwn(schemas, source.name);
  if (!known) return ["Plan (not bound)", ...indent(nodeLines(plan.node))].join("\n");
  const bound = asChangelog(bind(plan, schemas), false);
  const lowered = lower(bound);
  const stages = lowered.stages.flatMap((stage, index) => stageLines(stage, index));
  const read = lowered.source.columns.map((index) => lowered.source.schema.fields[index]!.name);
  return [
    "Plan",
    ...indent(boundLines(bound)),
    "Stages",
    ...indent([
      `0 read ${lowered.source.name}: ${read.length > 0 ? read.join(", ") : "row counts only"}`,
      ...stages,
    ]),
  ].join("\n");
}

function indent(lines: readonly string[]): string[] {
  return lines.map((line) => `  ${line}`);
}

function nodeLines(node: PlanNode): string[] {
  if (node.kind === "source") return [`from ${node.name}`];
  return [nodeText(node), ...indent(nodeLines(node.input))];
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
  const unchanged = plan.kind !== "source" && plan.schema === plan.input.schema;
  const head = unchanged ? boundText(plan) : `${boundText(plan)} -> (${fieldsText(plan.schema.fields)})`;
  return plan.kind === "source" ? [head] : [head, ...indent(boundLines(plan.input))];
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
  }
}

function named(name: string, text: string): string {
  return name === text ? name : `${name} = ${text}`;
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
      return [
        `${number} sort by ${stage.by
          .map((key) => sortText({ ...key, column: stage.schema.fields[key.column]!.name }))
          .join(", ")}, then all other columns`,
      ];
    case "limit":
      return [`${number} ${limitText(stage)}`];
  }
}
