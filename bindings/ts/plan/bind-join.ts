// Binding a join: keys of one type on both sides, names that do not clash.
//
// The bound join hands on all columns of both sides, by number; a projection over it gives them their names and
// merges keys of one name. Neither costs a copy: lowering folds a plain projection into the join.

import { type DataType, type Field, isCarried, type Schema, typeName, valueType } from "../type/data-type.js";
import { PlanError, TypeMismatchError } from "../type/error.js";
import { project } from "./bind.js";
import { bindJoinTime } from "./bind-join-time.js";
import { type BoundExpression, describe } from "./bound.js";
import { commonType } from "./common-type.js";
import { convert } from "./draft.js";
import type { BoundJoinKey, BoundOutput, BoundPlan, JoinNode } from "./logical.js";
import { bindCondition, columnIndex } from "./typing.js";

/** Types a join over its bound inputs. Throws PlanError, UnknownColumnError or TypeMismatchError. */
export function bindJoin(node: JoinNode, left: BoundPlan, right: BoundPlan): BoundPlan {
  const filters = node.how === "semi" || node.how === "anti";
  const keys = node.on.map((pair) => bindKey(pair, left.schema, right.schema));
  const names = rightNames(node, left.schema, right.schema, filters);
  const how = node.how === "cross" ? "inner" : node.how;
  const candidates = {
    fields: [
      ...left.schema.fields,
      ...right.schema.fields.map((field, at) => ({ ...field, name: names[at]! })),
    ],
  };
  const residual = node.residual === null ? null : bindCondition(node.residual, candidates);
  const leaving = filters ? left.schema.fields : [...left.schema.fields, ...right.schema.fields];
  refuseOpaque(leaving);
  const fields = leaving.map((field, at) => {
    const padded = at < left.schema.fields.length ? how === "right" : how === "left";
    return padded || how === "full" ? { ...field, nullable: true } : field;
  });
  const schema = { fields };
  const join: BoundPlan = {
    kind: "join",
    left,
    right,
    how,
    keys,
    residual,
    nullsEqual: node.nullsEqual,
    nullAware: node.nullAware,
    time: node.time === null ? null : bindJoinTime(node.time, left.schema, right.schema),
    changes: null,
    schema,
  };
  return filters ? join : project(join, outputs(node, left.schema, right.schema, names, schema));
}

/** Names of the right columns in the result; those of merged keys cannot be written. */
function rightNames(node: JoinNode, left: Schema, right: Schema, filters: boolean): string[] {
  const taken = new Set(left.fields.map(({ name }) => name));
  const merged = mergedKeys(node, left, right);
  const names = right.fields.map(({ name }, at) => {
    if ([...merged.values()].includes(at)) return `${name} (right)`;
    return taken.has(name) ? `${name}${node.suffix}` : name;
  });
  if (filters) return names;
  names.forEach((name, at) => {
    if (!taken.has(name) && names.indexOf(name) === at) return;
    throw new PlanError(
      `join: the result would have two columns "${name}" (right column "${right.fields[at]!.name}" with the suffix "${node.suffix}"): choose another suffix, or rename one side's column before`,
      { column: name, value: node.suffix },
    );
  });
  return names;
}

/** Left column by right column of the keys that have one name. */
function mergedKeys(node: JoinNode, left: Schema, right: Schema): Map<number, number> {
  return new Map(
    node.on
      .filter((pair) => pair.left === pair.right)
      .map((pair) => [columnIndex(pair.left, left), columnIndex(pair.right, right)]),
  );
}

function bindKey(pair: JoinNode["on"][number], left: Schema, right: Schema): BoundJoinKey {
  const a = columnOf(left, columnIndex(pair.left, left));
  const b = columnOf(right, columnIndex(pair.right, right));
  const common = isCarried(a.type) || isCarried(b.type) ? null : commonType(a.type, b.type);
  if (common === null) {
    throw new TypeMismatchError(
      `join: the left ${describe(a)} and the right ${describe(b)} do not compare; cast one side`,
      { column: pair.left, value: typeName(b.type), expected: typeName(a.type) },
    );
  }
  const type = keyType(common);
  return { left: asKey(a, type), right: asKey(b, type) };
}

/** Small integers widen to what an index can number without a hash. */
function keyType(type: DataType): DataType {
  return type.kind === "int" && type.bits < 32 ? { kind: "int", bits: 32, signed: true } : type;
}

/** Texts are the same bytes with either width of offsets. */
function asKey(column: BoundExpression, type: DataType): BoundExpression {
  const isText = ["largeUtf8", "largeBinary"].includes(type.kind);
  return isText ? column : convert(column, type);
}

function columnOf(schema: Schema, index: number): BoundExpression {
  const { name, type, nullable } = schema.fields[index]!;
  return { kind: "column", index, name, type: valueType(type), nullable, text: name };
}

function refuseOpaque(fields: readonly Field[]): void {
  const field = fields.find(({ type }) => isCarried(type));
  if (field === undefined) return;
  throw new TypeMismatchError(
    `join: column "${field.name}" is ${typeName(field.type)}, which a join cannot carry; drop it before`,
    { column: field.name, value: typeName(field.type) },
  );
}

function outputs(
  node: JoinNode,
  left: Schema,
  right: Schema,
  names: readonly string[],
  joined: Schema,
): BoundOutput[] {
  const merged = mergedKeys(node, left, right);
  const width = left.fields.length;
  const lefts = left.fields.map(({ name }, at) => {
    const other = merged.get(at);
    const own = columnOf(joined, at);
    if (other === undefined || node.how === "inner" || node.how === "left") return { name, expression: own };
    const theirs = columnOf(joined, width + other);
    if (node.how === "right")
      return { name, expression: { ...theirs, nullable: right.fields[other]!.nullable } };
    return {
      name,
      expression: either(own, theirs, left.fields[at]!.nullable || right.fields[other]!.nullable),
    };
  });
  const skipped = new Set(merged.values());
  const rights = names.flatMap((name, at) =>
    skipped.has(at) ? [] : [{ name, expression: columnOf(joined, width + at) }],
  );
  return [...lefts, ...rights];
}

/** The key of a row of a full join: whichever side is there. */
function either(left: BoundExpression, right: BoundExpression, nullable: boolean): BoundExpression {
  const type = commonType(left.type, right.type)!;
  const args = [convert(left, type), convert(right, type)];
  return { kind: "coalesce", args, type, nullable, text: left.text };
}
