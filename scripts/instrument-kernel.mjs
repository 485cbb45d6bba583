// Marks in the kernel's source for scripts/cover-kernel.mjs: where branches begin, found in the compiler's own syntax
// tree, and the source with a mark set in each.
//
// A branch that is kept though no test reaches it says why in the source: `// unreached: WHY` at the end of its line,
// or on a line of its own before it. That holds for all branches that begin in this line, and for what lies in them.
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

const UNREACHED = /\/\/ unreached: (.+)$/;

/**
 * One source file.
 * @param first the number of its first mark
 * @returns the marks, each `{ line, what, text }` and, where no test need reach it, `reason`; its `isOwn` tells whether
 * the mark's line gives it, and not a branch around; and the source with the marks set
 */
export function instrument(path, source, first) {
  const parser = assemblyscript.newProgram(assemblyscript.newOptions());
  assemblyscript.parse(parser, source, path, true);
  const tree = parser.sources.find(({ internalPath }) => internalPath === path.replace(/\.ts$/, ""));
  const lines = lineStarts(source);
  const texts = source.split("\n");
  const marks = [];
  /** Why the branches that begin with these nodes need not be reached. */
  const reasons = new Map();
  const opened = [];
  const closed = [];
  const insert = (at, text) => opened.push({ at, text });
  // A statement's range may end before its semicolon.
  const close = ({ range }, text) =>
    closed.push({ at: source[range.end] === ";" ? range.end + 1 : range.end, text });

  function mark(node, what, around) {
    const line = lineOf(lines, node.range.start);
    const own = reasonOf(texts, line);
    marks.push({ line, what, text: texts[line - 1].trim(), reason: own ?? around, isOwn: own !== undefined });
    return setMark(first + marks.length - 1);
  }
  /** What begins with a node. */
  function branch(node, what, around) {
    const call = mark(node, what, around);
    reasons.set(node, marks[marks.length - 1].reason);
    return call;
  }
  /** A statement that may stand without braces. */
  function statement(node, what, around, after = "") {
    const call = branch(node, what, around);
    const isBlock = node.kind === Kind.BLOCK;
    insert(isBlock ? node.range.start + 1 : node.range.start, isBlock ? ` ${call};` : `{ ${call}; `);
    close(node, isBlock ? after : ` }${after}`);
  }
  function visit(node, inFunction, outer) {
    const around = reasons.get(node) ?? outer;
    switch (node.kind) {
      case Kind.FUNCTION:
      case Kind.METHOD:
        if (node.body?.kind === Kind.BLOCK) statement(node.body, "function", around);
        return children(node, true, around);
      case Kind.IF: {
        const otherwise =
          node.ifFalse === null ? ` else { ${mark(node, "else, not written", around)}; }` : "";
        statement(node.ifTrue, "if", around, otherwise);
        if (node.ifFalse !== null) statement(node.ifFalse, "else", around);
        break;
      }
      case Kind.FOR:
      case Kind.WHILE:
      case Kind.DO:
        statement(node.body ?? node.statement, "loop", around);
        break;
      case Kind.SWITCH:
        for (const { statements } of node.cases) {
          if (statements.length === 0) continue;
          insert(statements[0].range.start, `${branch(statements[0], "case", around)}; `);
          for (const other of statements) reasons.set(other, reasons.get(statements[0]));
        }
        break;
      case Kind.TERNARY:
        if (inFunction) {
          for (const [arm, what] of [
            [node.ifThen, "then"],
            [node.ifElse, "otherwise"],
          ]) {
            insert(arm.range.start, `(${branch(arm, what, around)}, `);
            closed.push({ at: arm.range.end, text: ")" });
          }
        }
        break;
      default:
    }
    children(node, inFunction, around);
  }
  function children(node, inFunction, around) {
    for (const [name, value] of Object.entries(node)) {
      if (name === "range" || name === "source") continue;
      for (const one of Array.isArray(value) ? value : [value]) {
        if (one !== null && typeof one === "object" && "kind" in one && "range" in one)
          visit(one, inFunction, around);
      }
    }
  }
  for (const node of tree.statements) visit(node, false, undefined);
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

/** Why what begins in a line, counted from 1, need not be reached. */
function reasonOf(texts, line) {
  const before = texts[line - 2]?.trim() ?? "";
  return (UNREACHED.exec(texts[line - 1]) ??
    (before.startsWith("// unreached") ? UNREACHED.exec(before) : null))?.[1];
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
