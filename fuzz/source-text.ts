// Plain data as TypeScript source: a found case as a test to paste.

const INDENT = "  ";
/** Wider than this, an object is written a member a line. */
const WIDTH = 100;

/** The value as an expression. Members that are undefined are left out. */
export function sourceText(value: unknown, indent = ""): string {
  if (value === null || value === undefined || typeof value === "boolean") return String(value);
  if (typeof value === "bigint") return `${value}n`;
  if (typeof value === "number") {
    if (Object.is(value, -0)) return "-0";
    return Number.isNaN(value) ? "Number.NaN" : String(value);
  }
  if (typeof value === "string") return JSON.stringify(value);
  if (value instanceof Uint8Array) return `Uint8Array.of(${value.join(", ")})`;
  if (value instanceof Date) return `new Date(${value.getTime()})`;
  const inner = indent + INDENT;
  if (value instanceof Map) return `new Map(${sourceText([...value], indent)})`;
  const [open, close, members] = Array.isArray(value)
    ? ["[", "]", value.map((item) => sourceText(item, inner))]
    : [
        "{ ",
        " }",
        Object.entries(value as object)
          .filter(([, member]) => member !== undefined)
          .map(([name, member]) => `${name}: ${sourceText(member, inner)}`),
      ];
  if (members.length === 0) return Array.isArray(value) ? "[]" : "{}";
  const line = `${open}${members.join(", ")}${close}`;
  if (!line.includes("\n") && line.length + indent.length <= WIDTH) return line;
  return `${open.trim()}\n${members.map((member) => `${inner}${member},\n`).join("")}${indent}${close.trim()}`;
}
