// A transform of the kernel's compiler: turns loops that ask at their beginning into loops that ask at their end.
//
//   loop $l                                  if C
//     if C                                     loop $l|turn
//       BODY                           ->        block $l
//       br $l                                      BODY
//                                                end
//                                                br_if $l|turn C
//
// V8 takes out of a loop what stays the same in it (splats of a column's constants, masks, addresses) only where all ways
// out of the loop come by it: in a loop that may end before its first row it makes them anew for each. So the others, of
// vectors, are worth it. What leaves BODY by `br $l` goes on with C, as it did.
//
// Measured over 10 million rows: sums and means of floats by 100 and by 100,000 keys take 0.9 of the time, a median and a
// deviation 0.91, the two largest values 0.95. Tried: all loops, of which those without vectors gain nothing.
import binaryen from "assemblyscript/binaryen";

/** Where a loop may lie in an expression, by the names that binaryen has for its parts. */
const PARTS = {
  Block: ["children"],
  Loop: ["body"],
  If: ["condition", "ifTrue", "ifFalse"],
  Break: ["condition", "value"],
  LocalSet: ["value"],
  Drop: ["value"],
  Return: ["value"],
  Call: ["operands"],
  Load: ["ptr"],
  Store: ["ptr", "value"],
  Unary: ["value"],
  Binary: ["left", "right"],
  Select: ["ifTrue", "ifFalse", "condition"],
};
const KINDS = new Map(Object.keys(PARTS).map((kind) => [binaryen[`${kind}Id`], kind]));
/** What tells that a loop uses vectors. */
const VECTOR = /v128|\d+x\d+\./;
/** What a condition cannot be there twice with: labels are unique, and a function with one caller is put in its place. */
const ONCE = /\((block \$|loop|call (?!\S+#get:))/;

export function afterCompile(module) {
  for (let index = 0; index < module.getNumFunctions(); index++) {
    const ref = module.getFunctionByIndex(index);
    const { body } = binaryen.getFunctionInfo(ref);
    if (body !== 0) binaryen.Function.setBody(ref, rotated(module, body));
  }
}

/** `expression` with the loops in it turned round. */
function rotated(module, expression) {
  const kind = KINDS.get(binaryen.getExpressionId(expression));
  if (kind === undefined) return expression;
  const info = binaryen.getExpressionInfo(expression);
  for (const part of PARTS[kind]) {
    const set = `set${part[0].toUpperCase()}${part.slice(1)}`;
    const within = info[part];
    if (Array.isArray(within))
      binaryen[kind][set](
        expression,
        within.map((each) => rotated(module, each)),
      );
    else if (within !== 0) binaryen[kind][set](expression, rotated(module, within));
  }
  return kind === "Loop" ? rotatedLoop(module, expression) : expression;
}

function rotatedLoop(module, loop) {
  const { name, body, type } = binaryen.getExpressionInfo(loop);
  const { id, condition, ifTrue, ifFalse } = binaryen.getExpressionInfo(body);
  if (type !== binaryen.none || id !== binaryen.IfId || ifFalse !== 0) return loop;
  if (!VECTOR.test(binaryen.emitText(body)) || ONCE.test(binaryen.emitText(condition))) return loop;
  const rows = binaryen.getExpressionInfo(ifTrue);
  const last =
    rows.id === binaryen.BlockId && rows.name === null && binaryen.getExpressionInfo(rows.children.at(-1));
  if (!last || last.id !== binaryen.BreakId || last.name !== name || last.condition !== 0) return loop;
  const turn = `${name}|turn`;
  const again = module.br(turn, module.copyExpression(condition));
  const once = module.block(name, rows.children.slice(0, -1), binaryen.none);
  return module.if(condition, module.loop(turn, module.block(null, [once, again])));
}
