import fc from "fast-check";
import { expect, test } from "vitest";
import { textOrder } from "./order.js";

test("texts in the order of their code units, short and long, ASCII and not", () => {
  const ascii = fc.string({ unit: "binary-ascii", maxLength: 33 });
  const any = fc.string({ unit: "binary", maxLength: 12 });
  fc.assert(
    fc.property(fc.oneof(fc.array(ascii), fc.array(fc.oneof(ascii, any))), (texts) => {
      const sorted = [...texts].sort((a, b) => (a < b ? -1 : Number(a > b)));
      expect(Array.from(textOrder(texts), (code) => texts[code])).toEqual(sorted);
    }),
  );
});
