// Where windows and slices lie on the line of time: arithmetic only.
//
// A slice is a stretch of time that no window's edge cuts, so that a row belongs to exactly one slice, and a
// window is a run of slices. Both are numbered:
//
//   TUMBLE    slice k = window k
//   HOP       a step holds one slice, or two when it does not divide the length: the windows that begin in a step
//             and those that end in it have one edge each in it. Window k begins with step k.
//   CUMULATE  a length holds a slice for each step, the last one shorter when the step does not divide the length.
//             Window w ends with slice w, and begins where the length around it does.
//   GLOBAL    slice 0, window 0
//
// Windows are numbered in the order of their ends. Divisions round down, below 0 too. Times so near the ends of 64
// bits that a window around them might not fit are refused before any of this (`shapeLowest`, `shapeHighest`).

import { WindowKind } from "../abi/window";

// @ts-ignore: decorator
@unmanaged
export class Shape {
  kind: u32;
  /** Slices of one period. */
  parts: u32;
  /** The step of HOP, else the length: after it everything repeats. */
  period: i64;
  length: i64;
  step: i64;
  /** From 0 up to the period. */
  offset: i64;
  /** HOP: what is left of the length after whole steps. */
  rest: i64;
  /** HOP: slices of one window. */
  span: i64;
  /** CUMULATE: slices of one period. */
  steps: i64;
}

export const SHAPE_SIZE: usize = 64;

/** Lengths up to here leave room for sums of a few of them. */
const LONGEST: i64 = 1 << 60;

// @ts-ignore: decorator
@inline
export function floorDivide(a: i64, b: i64): i64 {
  const quotient = a / b;
  return quotient - <i64>(a - quotient * b < 0);
}

/** Fills `shape`; false when it makes no sense. */
export function shapeInit(shape: Shape, kind: u32, length: i64, step: i64, offset: i64): bool {
  shape.kind = kind;
  shape.length = length;
  shape.step = step;
  if (kind == <u32>WindowKind.GLOBAL) return true;
  if (length < 1 || length > LONGEST) return false;
  if (kind == <u32>WindowKind.SESSION) return true;
  if (kind == <u32>WindowKind.TUMBLE) shape.step = length;
  else if (kind != <u32>WindowKind.HOP && kind != <u32>WindowKind.CUMULATE) return false;
  if (shape.step < 1 || shape.step > length) return false;
  shape.period = kind == <u32>WindowKind.HOP ? step : length;
  shape.offset = offset - floorDivide(offset, shape.period) * shape.period;
  shape.rest = length % shape.step;
  const whole = length / shape.step;
  shape.parts = kind == <u32>WindowKind.HOP && shape.rest != 0 ? 2 : 1;
  shape.span = whole * <i64>shape.parts + (shape.rest != 0 ? 1 : 0);
  shape.steps = whole + (shape.rest != 0 ? 1 : 0);
  return true;
}

/** The first time whose windows all begin within 64 bits. */
export function shapeLowest(shape: Shape): i64 {
  if (shape.kind == <u32>WindowKind.GLOBAL || shape.kind == <u32>WindowKind.SESSION) return i64.MIN_VALUE;
  return i64.MIN_VALUE + shape.length + shape.step;
}

/** The last time whose windows all end within 64 bits. */
export function shapeHighest(shape: Shape): i64 {
  if (shape.kind == <u32>WindowKind.GLOBAL) return i64.MAX_VALUE;
  if (shape.kind == <u32>WindowKind.SESSION) return i64.MAX_VALUE - shape.length - 1;
  return i64.MAX_VALUE - shape.length - shape.step;
}

/** The slice of a time. */
export function sliceOf(shape: Shape, time: i64): i64 {
  if (shape.kind == <u32>WindowKind.GLOBAL) return 0;
  const at = time - shape.offset;
  const period = floorDivide(at, shape.period);
  if (shape.kind == <u32>WindowKind.CUMULATE) return period * shape.steps + (at - period * shape.period) / shape.step;
  if (shape.parts == 1) return period;
  return (period << 1) + <i64>(at - period * shape.period >= shape.rest);
}

/** First tick of a slice. */
export function sliceStart(shape: Shape, slice: i64): i64 {
  if (shape.kind == <u32>WindowKind.GLOBAL) return i64.MIN_VALUE;
  if (shape.kind == <u32>WindowKind.CUMULATE) {
    const period = floorDivide(slice, shape.steps);
    return shape.offset + period * shape.period + (slice - period * shape.steps) * shape.step;
  }
  if (shape.parts == 1) return shape.offset + slice * shape.period;
  return shape.offset + (slice >> 1) * shape.period + ((slice & 1) != 0 ? shape.rest : 0);
}

/** The tick after a slice's last one. GLOBAL: the last tick, which `sliceOf` is not asked about. */
export function sliceEnd(shape: Shape, slice: i64): i64 {
  if (shape.kind == <u32>WindowKind.GLOBAL) return i64.MAX_VALUE;
  if (shape.kind == <u32>WindowKind.CUMULATE) return windowEnd(shape, slice);
  return sliceStart(shape, slice + 1);
}

/** The first window that a slice is part of. */
export function sliceFirstWindow(shape: Shape, slice: i64): i64 {
  if (shape.kind != <u32>WindowKind.HOP) return slice;
  return shape.parts == 1 ? slice - shape.span + 1 : ((slice - shape.span) >> 1) + 1;
}

/** The last one. */
export function sliceLastWindow(shape: Shape, slice: i64): i64 {
  if (shape.kind == <u32>WindowKind.HOP) return shape.parts == 1 ? slice : slice >> 1;
  if (shape.kind != <u32>WindowKind.CUMULATE) return slice;
  return floorDivide(slice, shape.steps) * shape.steps + shape.steps - 1;
}

/** The first slice of a window. */
export function windowFirstSlice(shape: Shape, window: i64): i64 {
  if (shape.kind == <u32>WindowKind.HOP) return window * <i64>shape.parts;
  if (shape.kind != <u32>WindowKind.CUMULATE) return window;
  return floorDivide(window, shape.steps) * shape.steps;
}

/** The last one. */
export function windowLastSlice(shape: Shape, window: i64): i64 {
  return shape.kind == <u32>WindowKind.HOP ? window * <i64>shape.parts + shape.span - 1 : window;
}

export function windowStart(shape: Shape, window: i64): i64 {
  if (shape.kind == <u32>WindowKind.GLOBAL) return i64.MIN_VALUE;
  return sliceStart(shape, windowFirstSlice(shape, window));
}

/** The tick after a window's last one; GLOBAL: the last tick. */
export function windowEnd(shape: Shape, window: i64): i64 {
  if (shape.kind == <u32>WindowKind.GLOBAL) return i64.MAX_VALUE;
  const start = windowStart(shape, window);
  if (shape.kind != <u32>WindowKind.CUMULATE) return start + shape.length;
  const steps = window - windowFirstSlice(shape, window) + 1;
  return steps == shape.steps ? start + shape.length : start + steps * shape.step;
}

/** Whether a watermark has closed a window: no row of it can come any more. GLOBAL closes at the end of time. */
// @ts-ignore: decorator
@inline
export function windowIsClosed(shape: Shape, window: i64, watermark: i64): bool {
  if (shape.kind == <u32>WindowKind.GLOBAL) return watermark == i64.MAX_VALUE;
  return watermark >= windowEnd(shape, window) - 1;
}

/** The first window that a watermark, which has closed some window around a time that is taken, leaves open. */
export function firstOpenWindow(shape: Shape, watermark: i64): i64 {
  const tick = watermark + 1;
  if (shape.kind == <u32>WindowKind.HOP) return floorDivide(tick - shape.length - shape.offset, shape.step) + 1;
  return sliceOf(shape, tick);
}
