// Binding set operations: two plans with the same columns, whose types are brought together.
//
// A union hands all rows on. intersect and except are SQL's: distinct rows of the left side that the right side
// has, or has not, with nulls equal; so they are a distinct and a semi or anti join by all columns.

import { type Schema, sameType, typeName } from "../type/data-type.js";
import { PlanError, TypeMismatchError } from "../type/error.js";
import { bindNode, passThrough, project } from "./bind.js";
import { bindJoin } from "./bind-join.js";
import { commonType } from "./common-type.js";
import { convert } from "./draft.js";
import type { BoundOutput, BoundPlan, JoinNode, SetNode } from "./logical.js";

/** Types a set operation over its bound inputs. Throws PlanError or TypeMismatchError. */
export function bindSet(node: SetNode, left: BoundPlan, right: BoundPlan): BoundPlan {
  const places = matchColumns(node, left.schema, right.schema);
  if (node.operation === "union all") return bindUnion(left, right, places);
  const distinct = bindNode({ kind: "distinct", input: node.left, keys: null }, left);
  const join: JoinNode = {
    kind: "join",
    left: node.left,
    right: node.right,
    how: node.operation === "intersect" ? "semi" : "anti",
    on: left.schema.fields.map(({ name }) => ({ left: name, right: name })),
    suffix: "_right",
    nullsEqual: true,
    nullAware: false,
    residual: null,
    time: null,
  };
  return bindJoin(join, distinct, right);
}

/** Per left column the right one of its name. */
function matchColumns({ operation }: SetNode, left: Schema, right: Schema): number[] {
  const names = right.fields.map(({ name }) => name);
  const missing = left.fields.find(({ name }) => !names.includes(name));
  const extra = right.fields.find(({ name }) => left.fields.every((field) => field.name !== name));
  const odd = missing ?? extra;
  if (odd !== undefined || names.length !== left.fields.length) {
    throw new PlanError(
      `${operation}: both sides must have the same columns, but ${odd === undefined ? "one repeats a name" : `only the ${missing === undefined ? "right" : "left"} one has "${odd.name}"`}`,
      { column: odd?.name },
    );
  }
  return left.fields.map(({ name }) => names.indexOf(name));
}

function bindUnion(left: BoundPlan, right: BoundPlan, places: readonly number[]): BoundPlan {
  const fields = left.schema.fields.map((field, at) => {
    const other = right.schema.fields[places[at]!]!;
    const type = sameType(field.type, other.type) ? field.type : commonType(field.type, other.type);
    if (type === null) {
      throw new TypeMismatchError(
        `union all: column "${field.name}" is ${typeName(field.type)} on the left and ${typeName(other.type)} on the right, which have no common type; cast one side`,
        { column: field.name, value: typeName(other.type), expected: typeName(field.type) },
      );
    }
    return { name: field.name, type, nullable: field.nullable || other.nullable };
  });
  const schema = { fields };
  const lefts = passThrough(left.schema);
  const rights = passThrough(right.schema);
  const side = (input: BoundPlan, outputs: readonly BoundOutput[]) =>
    project(
      input,
      outputs.map((output, at) =>
        "opaque" in output ? output : { ...output, expression: convert(output.expression, fields[at]!.type) },
      ),
    );
  return {
    kind: "union",
    left: side(left, lefts),
    right: side(
      right,
      places.map((place) => rights[place]!),
    ),
    schema,
  };
}
