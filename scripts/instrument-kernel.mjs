// Marks in the kernel's source for scripts/cover-kernel.mjs: where branches begin, found in the compiler's own syntax
// tree, and the source with a mark set in each.
import assemblyscript from "assemblyscript/dist/assemblyscript.js";

/** Kinds of nodes, as the compiler numbers them. */
const Kind = {
  TERNARY: 23,
  BLOCK: 31,
  DO: 34,
  FOR: 40,
  IF: 42,
  SWITCH: 45,
  WHILE: 50,
  FUNCTION: 56,
  METHOD: 59,
};

/** What is set when `mark` is passed: a bit of a global that the host shares with every instance. */
export const WORD_BITS = 64;
const setMark = (mark) =>
  `hit${Math.floor(mark / WORD_BITS)}(0x${(1n << BigInt(mark % WORD_BITS)).toString(16)})`;

/**
 * One source file.
 * @param first the number of its first mark
 * @returns the marks, each `{ line, what, text }`, and the source with them set
 */
export function instrument(path, source, first) {
  const parser = assemblyscript.newProgram(assemblyscript.newOptions());
  assemblyscript.parse(parser, source, path, true);
  const tree = parser.sources.find(({ internalPath }) => internalPath === path.replace(/\.ts$/, ""));
  const lines = lineStarts(source);
  const marks = [];
  const opened = [];
  const closed = [];
  const insert = (at, text) => opened.push({ at, text });
  // A statement's range may end before its semicolon.
  const close = ({ range }, text) =>
    closed.push({ at: source[range.end] === ";" ? range.end + 1 : range.end, text });

  function mark(node, what) {
    const line = lineOf(lines, node.range.start);
    marks.push({ line, what, text: source.slice(lines[line - 1], lines[line] - 1).trim() });
    return setMark(first + marks.length - 1);
  }
  /** A statement that may stand without braces. */
  function statement(node, what, after = "") {
    const call = mark(node, what);
    const isBlock = node.kind === Kind.BLOCK;
    insert(isBlock ? node.range.start + 1 : node.range.start, isBlock ? ` ${call};` : `{ ${call}; `);
    close(node, isBlock ? after : ` }${after}`);
  }
  function visit(node, inFunction) {
    switch (node.kind) {
      case Kind.FUNCTION:
      case Kind.METHOD:
        if (node.body?.kind === Kind.BLOCK) statement(node.body, "function");
        return children(node, true);
      case Kind.IF: {
        const otherwise = node.ifFalse === null ? ` else { ${mark(node, "else, not written")}; }` : "";
        statement(node.ifTrue, "if", otherwise);
        if (node.ifFalse !== null) statement(node.ifFalse, "else");
        break;
      }
      case Kind.FOR:
      case Kind.WHILE:
      case Kind.DO:
        statement(node.body ?? node.statement, "loop");
        break;
      case Kind.SWITCH:
        for (const one of node.cases) {
          if (one.statements.length > 0) insert(one.statements[0].range.start, `${mark(one, "case")}; `);
        }
        break;
      case Kind.TERNARY:
        if (inFunction) {
          for (const [arm, what] of [
            [node.ifThen, "then"],
            [node.ifElse, "otherwise"],
          ]) {
            insert(arm.range.start, `(${mark(arm, what)}, `);
            closed.push({ at: arm.range.end, text: ")" });
          }
        }
        break;
      default:
    }
    children(node, inFunction);
  }
  function children(node, inFunction) {
    for (const [name, value] of Object.entries(node)) {
      if (name === "range" || name === "source") continue;
      for (const one of Array.isArray(value) ? value : [value]) {
        if (one !== null && typeof one === "object" && "kind" in one && "range" in one)
          visit(one, inFunction);
      }
    }
  }
  for (const node of tree.statements) visit(node, false);
  // Nodes are visited from outside in: at one place inner ones close first, and outer ones open first.
  return { marks, source: withInsertions(source, [...closed.reverse(), ...opened]) };
}

function withInsertions(source, insertions) {
  const sorted = insertions.sort((a, b) => a.at - b.at);
  let result = "";
  let from = 0;
  for (const { at, text } of sorted) {
    result += source.slice(from, at) + text;
    from = at;
  }
  return result + source.slice(from);
}

function lineStarts(source) {
  const starts = [0];
  for (let at = source.indexOf("\n"); at >= 0; at = source.indexOf("\n", at + 1)) starts.push(at + 1);
  starts.push(source.length + 1);
  return starts;
}

function lineOf(starts, position) {
  let line = 1;
  while (starts[line] <= position) line++;
  return line;
}
