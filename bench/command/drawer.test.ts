import { expect, test } from "vitest";
import { drawer } from "./drawer.js";

test("what draws is loaded when it is asked for, and told to be missing as bad usage", async () => {
  expect(await drawer()).toMatchObject({ reportPage: expect.any(Function), cardSvg: expect.any(Function) });
  const missing = Object.assign(new Error("Cannot find package"), { code: "ERR_MODULE_NOT_FOUND" });
  await expect(drawer(() => Promise.reject(missing))).rejects.toThrow(
    /not installed: npm install @observablehq\/plot linkedom/,
  );
  await expect(drawer(() => Promise.reject(new TypeError("broken")))).rejects.toThrow(TypeError);
});
