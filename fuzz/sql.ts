// A bound plan as SQL for DuckDB, where both mean the same; null where they do not, or where nobody has written it down.
//
// Every column has a name of its own by its place (c0, c1, ...), every node is a subquery. Times and dates are their ticks,
// BIGINT: what orders, groups and joins them is the same, and functions of times are not asked for. What differs on purpose
// (docs/semantics.md), or what DuckDB leaves open, is left out: sums of floats, ties that nothing breaks, -0 beside 0
// where an order tells them apart, approximate results, windows of time.

import type { BoundExpression } from "../bindings/ts/plan/bound.js";
import type {
  BoundAggregate,
  BoundFrame,
  BoundOverFunction,
  BoundPlan,
} from "../bindings/ts/plan/logical.js";
import { type DataType, isCarried, type Schema } from "../bindings/ts/type/data-type.js";
import { JoinTime } from "../kernel/abi/operator.js";
import { isOrdered } from "../twin/plan.js";
import type { Value } from "../twin/values.js";

/** What there is no SQL for. */
class Untranslatable extends Error {}

/** @returns null where the plan is nothing that DuckDB answers in the same way */
export function sqlOf(plan: BoundPlan): string | null {
  try {
    return select(plan);
  } catch (error) {
    if (error instanceof Untranslatable) return null;
    throw error;
  }
}

/** DuckDB's type for a column. */
export function sqlType(type: DataType): string {
  switch (type.kind) {
    case "bool":
      return "BOOLEAN";
    case "int": {
      const name = { 8: "TINYINT", 16: "SMALLINT", 32: "INTEGER", 64: "BIGINT" }[type.bits];
      return type.signed ? name : `U${name}`;
    }
    case "float":
      return "DOUBLE";
    case "decimal":
      return `DECIMAL(${type.precision}, ${type.scale})`;
    case "utf8":
    case "largeUtf8":
      return "VARCHAR";
    case "date":
    case "timestamp":
    case "time":
    case "duration":
      return "BIGINT";
    case "dictionary":
      return sqlType(type.value);
    case "list":
      return `${sqlType(type.item)}[]`;
    default:
      throw new Untranslatable(type.kind);
  }
}

/** A value as a literal of its column's type. */
export function sqlLiteral(value: Value, type: DataType): string {
  if (value === null) return `NULL::${sqlType(type)}`;
  if (typeof value === "string") {
    // Neither NUL nor half a pair is text to DuckDB.
    if (/\0|[\ud800-\udfff]/u.test(value)) throw new Untranslatable("text");
    return `'${value.replaceAll("'", "''")}'`;
  }
  if (value instanceof Uint8Array) throw new Untranslatable("bytes");
  if (typeof value === "number") {
    const text = Object.is(value, -0) ? "-0.0" : String(value);
    return `'${text}'::DOUBLE`;
  }
  if (type.kind === "decimal") return `'${decimalText(value as bigint, type.scale)}'::${sqlType(type)}`;
  return typeof value === "bigint" ? `'${value}'::${sqlType(type)}` : String(value);
}

function decimalText(value: bigint, scale: number): string {
  const digits = String(value < 0n ? -value : value).padStart(scale + 1, "0");
  const sign = value < 0n ? "-" : "";
  return scale === 0 ? `${sign}${digits}` : `${sign}${digits.slice(0, -scale)}.${digits.slice(-scale)}`;
}

// ---- nodes

function select(plan: BoundPlan): string {
  switch (plan.kind) {
    case "source":
      return `SELECT ${plan.columns.map((own, at) => `c${own} AS c${at}`).join(", ")} FROM "${plan.name}"`;
    case "filter":
      return `SELECT * FROM ${from(plan.input)} WHERE ${sql(plan.condition)}`;
    case "project":
      return `SELECT ${plan.columns
        .map((column, at) => {
          const value = "opaque" in column ? `c${column.opaque}` : sql(column.expression);
          return `${value} AS c${at}`;
        })
        .join(", ")} FROM ${from(plan.input)}`;
    case "aggregate":
      return grouped(plan);
    case "sort":
      // The order itself is the twin's to say.
      return select(plan.input);
    case "limit":
      return limited(plan);
    case "over":
      return beside(plan);
    case "join":
      return joined(plan);
    default:
      return `${select(plan.left)} UNION ALL ${select(plan.right)}`;
  }
}

function from(plan: BoundPlan, name = "i"): string {
  return `(${select(plan)}) AS ${name}`;
}

function grouped(plan: Extract<BoundPlan, { kind: "aggregate" }>): string {
  const { window, keys, aggregates, grouping, retracts, input } = plan;
  if (window !== undefined || retracts || plan.changelog) throw new Untranslatable("window");
  const inner = keys.map(({ expression }, at) => `${sql(expression)} AS k${at}`);
  const rows = `(SELECT *${inner.map((key) => `, ${key}`).join("")} FROM ${from(input)}) AS g`;
  const names = keys.map((_, at) => `k${at}`);
  const columns = names.map((name, at) => ({ at, text: name }));
  const indicators = grouping?.indicators ?? [];
  const taken = new Set(indicators.map(({ column }) => column));
  let next = keys.length;
  for (const aggregate of aggregates) {
    while (taken.has(next)) next++;
    columns.push({ at: next, text: aggregateSql(aggregate, plan.schema.fields[next]!.type) });
    next++;
  }
  for (const { column, keys: of } of indicators) {
    columns.push({ at: column, text: `GROUPING(${of.map((key) => `k${key}`).join(", ")})` });
  }
  const list = columns.map(({ at, text }) => `${text} AS c${at}`);
  const by =
    grouping === null
      ? names.join(", ")
      : `GROUPING SETS (${grouping.sets.map((set) => `(${set.map((key) => `k${key}`).join(", ")})`).join(", ")})`;
  return `SELECT ${list.join(", ")} FROM ${rows}${by === "" ? "" : ` GROUP BY ${by}`}`;
}

/** Columns by which no two rows tie unless they are the same. */
function allInOrder(schema: Schema, by: readonly Ordering[]): string {
  refuseOpenOrder(schema);
  const rest = schema.fields.map((_, at) => `c${at} ASC NULLS LAST`);
  return [...by.map(ordering), ...rest].join(", ");
}

/** Lists have no order here, and of floats -0 comes before 0, which tie in DuckDB. */
function refuseOpenOrder({ fields }: Schema): void {
  if (fields.some(({ type }) => isCarried(type) || type.kind === "float")) throw new Untranslatable("order");
}

interface Ordering {
  readonly column: number;
  readonly descending: boolean;
  readonly nullsFirst: boolean;
}

function ordering({ column, descending, nullsFirst }: Ordering): string {
  return `c${column} ${descending ? "DESC" : "ASC"} NULLS ${nullsFirst ? "FIRST" : "LAST"}`;
}

function limited({ input, count, offset }: Extract<BoundPlan, { kind: "limit" }>): string {
  if (isOrdered(input) && input.kind !== "sort") throw new Untranslatable("an order further down");
  const by = input.kind === "sort" ? input.by : [];
  return `SELECT * FROM ${from(input)} ORDER BY ${allInOrder(input.schema, by)} LIMIT ${count} OFFSET ${offset}`;
}

function beside(plan: Extract<BoundPlan, { kind: "over" }>): string {
  const { input, functions } = plan;
  const width = input.schema.fields.length;
  const columns = functions.map(
    (fn, at) => `${overSql(plan, fn, plan.schema.fields[width + at]!.type)} AS c${width + at}`,
  );
  return `SELECT *, ${columns.join(", ")} FROM ${from(input)}`;
}

function overSql(
  { input, partition, by, frame }: Extract<BoundPlan, { kind: "over" }>,
  fn: BoundOverFunction,
  type: DataType,
): string {
  const parts = partition.length === 0 ? "" : `PARTITION BY ${partition.map((at) => `c${at}`).join(", ")}`;
  const whole = allInOrder(input.schema, by);
  const peers = by.length === 0 ? "" : ` ORDER BY ${by.map(ordering).join(", ")}`;
  if ("counting" in fn) {
    if (fn.counting === "frameNumber") throw new Untranslatable(fn.counting);
    const name = { rowNumber: "row_number", rank: "rank", denseRank: "dense_rank" }[fn.counting];
    return `${name}() OVER (${parts} ${fn.counting === "rowNumber" ? `ORDER BY ${whole}` : peers})`;
  }
  if ("aggregate" in fn) {
    return aggregateSql(
      fn.aggregate,
      type,
      (call) => `${call} OVER (${parts} ${frameSql(frame, whole, peers)})`,
    );
  }
  const { value } = fn;
  if (value.fn === "shift") {
    const otherwise = value.otherwise === null ? "" : `, ${sql(value.otherwise)}`;
    const name = value.offset < 0n ? "lag" : "lead";
    const size = value.offset < 0n ? -value.offset : value.offset;
    return `${name}(${sql(value.argument)}, ${size}${otherwise}) OVER (${parts} ORDER BY ${whole})`;
  }
  if (frame.unit === "range") throw new Untranslatable("the first of a frame by values");
  const name = value.fn === "firstValue" ? "first_value" : "last_value";
  return `${name}(${sql(value.argument)}) OVER (${parts} ${frameSql(frame, whole, peers)})`;
}

function frameSql({ unit, from: first, to }: BoundFrame, whole: string, peers: string): string {
  if (unit === "rows")
    return `ORDER BY ${whole} ROWS BETWEEN ${edge(first, "PRECEDING")} AND ${edge(to, "FOLLOWING")}`;
  const isPlain = (first === null || first === 0n) && (to === null || to === 0n);
  if (!isPlain) throw new Untranslatable("distances");
  if (peers === "") return "";
  return `${peers} RANGE BETWEEN ${edge(first, "PRECEDING")} AND ${edge(to, "FOLLOWING")}`;
}

function edge(distance: bigint | null, unbounded: string): string {
  if (distance === null) return `UNBOUNDED ${unbounded}`;
  if (distance === 0n) return "CURRENT ROW";
  return distance < 0n ? `${-distance} PRECEDING` : `${distance} FOLLOWING`;
}

function joined(plan: Extract<BoundPlan, { kind: "join" }>): string {
  const { left, right, how, keys, residual, nullsEqual, nullAware, time } = plan;
  if (nullAware) throw new Untranslatable("not in");
  const width = left.schema.fields.length;
  const both = (index: number) => (index < width ? `l.c${index}` : `r.c${index - width}`);
  const conditions = keys.map(
    (key) =>
      `${sql(key.left, (at) => `l.c${at}`)} ${nullsEqual ? "IS NOT DISTINCT FROM" : "="} ${sql(key.right, (at) => `r.c${at}`)}`,
  );
  if (residual !== null) conditions.push(sql(residual, both));
  if (time !== null) {
    const { spec } = time;
    if (spec.mode !== JoinTime.WITHIN) throw new Untranslatable("as of");
    const { low, high } = spec;
    const [a, b] = time.instants;
    if (a.type.kind !== "int" || b.type.kind !== "int") throw new Untranslatable("times of two units");
    const distance = `(${sql(b, (at) => `r.c${at}`)}::HUGEINT - ${sql(a, (at) => `l.c${at}`)}::HUGEINT)`;
    conditions.push(`${distance} BETWEEN ${low} AND ${high}`);
  }
  const on = conditions.length === 0 ? "true" : conditions.map((one) => `(${one})`).join(" AND ");
  if (how === "semi" || how === "anti") {
    const exists = `EXISTS (SELECT 1 FROM ${from(right, "r")} WHERE ${on})`;
    return `SELECT l.* FROM ${from(left, "l")} WHERE ${how === "semi" ? "" : "NOT "}${exists}`;
  }
  const columns = plan.schema.fields.map((_, at) => `${both(at)} AS c${at}`);
  return `SELECT ${columns.join(", ")} FROM ${from(left, "l")} ${how.toUpperCase()} JOIN ${from(right, "r")} ON ${on}`;
}

// ---- aggregates

function aggregateSql(
  aggregate: BoundAggregate,
  type: DataType,
  over: (call: string) => string = (call) => call,
): string {
  const { fn: name, argument, second, others, orderBy, limit, distinct, filter, parameter } = aggregate;
  const when = filter === null ? "" : ` FILTER (WHERE ${sql(filter)})`;
  const is = (text: string) => `CAST(${over(`${text}${when}`)} AS ${sqlType(type)})`;
  if (argument === null) return is("count(*)");
  const x = sql(argument);
  const kind = argument.type.kind;
  const isFloat = kind === "float";
  const once = distinct ? "DISTINCT " : "";
  switch (name) {
    case "count":
      return is(`count(${once}${x})`);
    case "countDistinct":
      if (others !== undefined) throw new Untranslatable(name);
      return is(`count(DISTINCT ${x})`);
    case "min":
    case "any":
      return is(`min(${x})`);
    case "max":
      return is(`max(${x})`);
    case "sum":
    case "avg":
      if (isFloat) throw new Untranslatable("sums of floats");
      return is(`${name}(${once}${kind === "int" ? `${x}::HUGEINT` : x})`);
    case "boolAnd":
      return is(`bool_and(${x})`);
    case "boolOr":
      return is(`bool_or(${x})`);
    case "bitAnd":
    case "bitOr":
    case "bitXor":
      return is(`bit_${name.slice(3).toLowerCase()}(${once}${x})`);
    case "quantileDisc":
      if (isFloat || kind === "bool" || distinct) throw new Untranslatable(name);
      return is(`quantile_disc(${x}, ${parameter})`);
    case "argMin":
    case "argMax":
    case "first":
    case "last": {
      if (second === undefined || second.type.kind === "float" || isFloat) throw new Untranslatable(name);
      const by = sql(second);
      const least = name === "argMin" || name === "first";
      const pair = `CASE WHEN ${by} IS NOT NULL THEN {'by': ${by}, 'value': ${x}} END`;
      return is(`${least ? "arg_min" : "arg_max"}(${x}, ${pair})`);
    }
    case "topK":
    case "bottomK":
    case "arrayAgg":
    case "stringAgg": {
      const isText = name === "stringAgg";
      if (isFloat || orderBy !== undefined || distinct || (second !== undefined && !isText))
        throw new Untranslatable(name);
      const isDown = name === "topK" || (name !== "bottomK" && parameter === 1);
      const order = `ORDER BY ${x} ${isDown ? "DESC" : "ASC"}`;
      if (isText) return is(`string_agg(${x}, ${sql(second!)} ${order})`);
      const present = filter === null ? `${x} IS NOT NULL` : `${x} IS NOT NULL AND ${sql(filter)}`;
      const list = `list(${x} ${order}) FILTER (WHERE ${present})`;
      return `CAST(${name === "arrayAgg" ? over(list) : `${over(list)}[1:${limit}]`} AS ${sqlType(type)})`;
    }
    default:
      throw new Untranslatable(name);
  }
}

// ---- expressions

type Columns = (index: number) => string;

function sql(expression: BoundExpression, column: Columns = (index) => `c${index}`): string {
  const inner = (one: BoundExpression) => sql(one, column);
  switch (expression.kind) {
    case "column":
      return column(expression.index);
    case "literal":
      return sqlLiteral(expression.value, expression.type);
    case "call":
      return `(${callSql(expression, expression.args.map(inner))})`;
    case "in": {
      const { value, list, hasNull } = expression;
      const items = list.map((item) => sqlLiteral(item, value.type));
      if (hasNull) items.push(sqlLiteral(null, value.type));
      if (items.length === 0) throw new Untranslatable("in ()");
      return `(${inner(value)} IN (${items.join(", ")}))`;
    }
    case "case": {
      const branches = expression.branches.map(
        ({ condition, value }) => `WHEN ${inner(condition)} THEN ${inner(value)}`,
      );
      return `(CASE ${branches.join(" ")} ELSE ${inner(expression.otherwise)} END)`;
    }
    case "coalesce":
      return `coalesce(${expression.args.map(inner).join(", ")})`;
    case "concat":
      return `(${expression.args.map(inner).join(" || ")})`;
    case "like": {
      const escaped =
        expression.escape === null ? "" : ` ESCAPE ${sqlLiteral(expression.escape, expression.value.type)}`;
      return `(${inner(expression.value)} LIKE ${sqlLiteral(expression.pattern, expression.value.type)}${escaped})`;
    }
    case "cast":
      return castSql(expression, inner(expression.value));
    case "round":
      if (expression.type.kind !== "int") throw new Untranslatable("round");
      return `CAST(round(${inner(expression.value)}, ${expression.digits}) AS ${sqlType(expression.type)})`;
    default:
      throw new Untranslatable(expression.kind);
  }
}

function castSql(
  { type, value, try: isTry }: Extract<BoundExpression, { kind: "cast" }>,
  text: string,
): string {
  const [to, of] = [type, value.type];
  const isWhole = of.kind === "int" || of.kind === "bool";
  const isPlain =
    (isWhole && (to.kind === "int" || (to.kind === "float" && to.bits === 64) || to.kind === "decimal")) ||
    (of.kind === "decimal" && to.kind === "decimal" && to.scale >= of.scale) ||
    (of.kind === "float" && to.kind === "float" && to.bits === 64) ||
    ((isWhole || of.kind === "utf8" || of.kind === "largeUtf8") &&
      (to.kind === "utf8" || to.kind === "largeUtf8"));
  if (!isPlain || (of.kind === "bool" && to.kind === "decimal")) throw new Untranslatable("cast");
  return `${isTry ? "TRY_CAST" : "CAST"}(${text} AS ${sqlType(type)})`;
}

const INFIX: Readonly<Record<string, string>> = {
  add: "+",
  subtract: "-",
  multiply: "*",
  divide: "/",
  integerDivide: "//",
  modulo: "%",
  equal: "=",
  notEqual: "<>",
  less: "<",
  lessEqual: "<=",
  greater: ">",
  greaterEqual: ">=",
  same: "IS NOT DISTINCT FROM",
  and: "AND",
  or: "OR",
};

function callSql(
  { fn, args, type }: Extract<BoundExpression, { kind: "call" }>,
  [a, ...others]: string[],
): string {
  const of = args[0]!.type;
  const b = others[0];
  const isFloat = of.kind === "float";
  const isTime = (one: DataType) => one.kind === "date" || one.kind === "timestamp";
  switch (fn) {
    case "integerDivide":
      // DuckDB rounds quotients of decimals: -0.03 // -0.04 is 1 there.
      if (args.some((one) => one.type.kind === "decimal")) throw new Untranslatable(fn);
      if (isFloat || type.kind === "float") throw new Untranslatable(fn);
      break;
    case "modulo":
    case "floor":
    case "ceil":
    case "sign":
    case "abs":
    case "negate":
      if (isFloat || type.kind === "float" || isTime(of)) throw new Untranslatable(fn);
      break;
    case "add":
    case "subtract":
    case "multiply":
      // float32 is not computed in doubles there.
      if ((type.kind === "float" && type.bits === 32) || args.some((one) => isTime(one.type)))
        throw new Untranslatable(fn);
      break;
    case "divide":
      if (type.kind !== "float" || type.bits === 32 || !isFloat) throw new Untranslatable(fn);
      break;
    default:
  }
  if (fn === "and" || fn === "or") return [a, ...others].join(` ${INFIX[fn]} `);
  const infix = INFIX[fn];
  if (infix !== undefined) {
    const text = `${a} ${infix} ${b}`;
    return type.kind === "decimal" || type.kind === "int" ? `CAST(${text} AS ${sqlType(type)})` : text;
  }
  switch (fn) {
    case "not":
      return `NOT ${a}`;
    case "isNull":
      return `${a} IS NULL`;
    case "isNotNull":
      return `${a} IS NOT NULL`;
    case "isNaN":
      return `isnan(${a})`;
    case "negate":
      return `CAST(-${a} AS ${sqlType(type)})`;
    case "abs":
    case "floor":
    case "ceil":
    case "sign":
      return `CAST(${fn}(${a}) AS ${sqlType(type)})`;
    case "length":
      return `length(${a})`;
    case "octetLength":
      return `strlen(${a})`;
    case "startsWith":
      return `starts_with(${a}, ${b})`;
    case "endsWith":
      return `ends_with(${a}, ${b})`;
    case "contains":
      return `contains(${a}, ${b})`;
    default:
      throw new Untranslatable(fn);
  }
}
