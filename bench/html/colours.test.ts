// Whether the colours of a legend can be told apart without one kind of cone: each pair is looked at as people without it
// see them (Machado, Oliveira, Fernandes, 2009, at full strength), and compared in CIELAB.

import { expect, test } from "vitest";
import { COLOURS } from "./page.js";

/** Rows of a matrix on linear red, green and blue. */
const SIGHTS = {
  all: [1, 0, 0, 0, 1, 0, 0, 0, 1],
  protanopia: [0.152286, 1.052583, -0.204868, 0.114503, 0.786281, 0.099216, -0.003882, -0.048116, 1.051998],
  deuteranopia: [0.367322, 0.860646, -0.227968, 0.280085, 0.672501, 0.047413, -0.01182, 0.04294, 0.968881],
  tritanopia: [1.255528, -0.076749, -0.178779, -0.078411, 0.930809, 0.147602, 0.004733, 0.691367, 0.3039],
} as const;

/** Distances below 2.3 are hardly seen side by side; across a page it takes several of them. */
const LEAST_DISTANCE = 10;

type Triple = readonly [number, number, number];

function linear(hex: string): Triple {
  const channel = (at: number) => {
    const value = Number.parseInt(hex.slice(at, at + 2), 16) / 255;
    return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
  };
  return [channel(1), channel(3), channel(5)];
}

function times(matrix: readonly number[], [a, b, c]: Triple): Triple {
  const row = (at: number) => matrix[at]! * a + matrix[at + 1]! * b + matrix[at + 2]! * c;
  return [row(0), row(3), row(6)];
}

/** CIELAB under daylight (D65). */
function lab(rgb: Triple): Triple {
  const clipped = rgb.map((value) => Math.min(1, Math.max(0, value))) as unknown as Triple;
  const toXyz = [0.412456, 0.357576, 0.180438, 0.212673, 0.715152, 0.072175, 0.019334, 0.119192, 0.950304];
  const [x, y, z] = times(toXyz, clipped);
  const f = (value: number) => (value > 0.008856 ? Math.cbrt(value) : 7.787 * value + 16 / 116);
  const [fx, fy, fz] = [f(x / 0.95047), f(y), f(z / 1.08883)];
  return [116 * fy - 16, 500 * (fx - fy), 200 * (fy - fz)];
}

test.each(Object.keys(SIGHTS) as (keyof typeof SIGHTS)[])("colours differ to the eyes of %s", (sight) => {
  const seen = COLOURS.map((colour) => ({ colour, at: lab(times(SIGHTS[sight], linear(colour))) }));
  const close = seen.flatMap((a, index) =>
    seen.slice(index + 1).flatMap((b) => {
      const distance = Math.hypot(...a.at.map((value, axis) => value - b.at[axis]!));
      return distance < LEAST_DISTANCE ? [`${a.colour} ${b.colour}: ${distance.toFixed(1)}`] : [];
    }),
  );
  expect(close).toEqual([]);
});
