// A transform of the kernel's compiler: puts functions that are alike beside each other, for gzip.
//
// gzip finds again what it has seen in the last 32 KB only, and a build is 577 KB of functions, in the order of how
// often they are called: loops over one type lie far from those over the next. Beside each other they take 7 KB less
// of 200 KB. What does not change is the code: only the order of functions, and the numbers that calls name them by.
//
// After the largest function, the next one is always that with the most bytes in common with the last 32 KB, for its
// size: runs of 6 bytes are counted that lie there, h of n, and h^1.5 / n is the greatest; or another power near that,
// whichever turns out best: a function more changes the order of all, and so the size by up to 0.4 KB either way. How an
// order does is estimated from the functions by themselves, and known once their calls have the new numbers: the likeliest
// few orders are tried, 0.15 KB less than the likeliest alone. Tried:
// h / n (1.3 KB more) and h^2 / n (0.9), runs of 4, 5 and 8 bytes (0.2 to 2.5), lines of text for bytes (2), the 128
// functions that are called most in front, for calls of 2 bytes (1.5), and the order of names, which is nearly the
// compiler's (7).
import { gzipSync } from "node:zlib";
import binaryen from "assemblyscript/binaryen";

const POWERS = [1.2, 1.25, 1.3, 1.3125, 1.325, 1.3375, 1.35, 1.3625, 1.375, 1.4, 1.45, 1.5, 1.55];
/** Orders that are tried. */
const LIKELIEST = 5;
const WINDOW_BYTES = 32_768;
const RUN_BYTES = 6;
const CODE_SECTION = 10;

export function afterCompile(module) {
  const emitBinary = module.emitBinary;
  // Functions are what they stay only once the compiler has optimized them, which it tells no one of.
  module.emitBinary = (...sourceMapUrl) => {
    const texts = orderedTexts(module.emitText(), functionBodies(emitBinary.call(module)));
    let best = null;
    let least = Number.POSITIVE_INFINITY;
    for (const text of texts) {
      const emitted = emitText(text, module.getFeatures(), sourceMapUrl);
      const bytes = gzipSync(emitted.binary ?? emitted).length;
      if (bytes < least) [best, least] = [emitted, bytes];
    }
    return best;
  };
}

function emitText(text, features, sourceMapUrl) {
  const module = binaryen.parseText(text);
  module.setFeatures(features);
  try {
    return module.emitBinary(...sourceMapUrl);
  } finally {
    module.dispose();
  }
}

/** The module's text with its functions in orders of their bodies' likeness, the likeliest to be small first. */
function orderedTexts(text, bodies) {
  if (bodies.length === 0) return [text];
  const first = text.indexOf("\n (func ") + 1;
  const end = text.lastIndexOf("\n)");
  const functions = text.slice(first, end).split(/\n(?= \(func )/);
  return likelyOrders(bodies).map((order) => {
    const ordered = order.map((index) => functions[index]);
    return `${text.slice(0, first)}${ordered.join("\n")}${text.slice(end)}`;
  });
}

/** The bytes of each function of a binary, in their order there. */
function functionBodies(bytes) {
  let at = 8;
  const number = () => {
    let value = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = bytes[at++];
      value += (byte & 127) * 2 ** shift;
      if (byte < 128) return value;
    }
  };
  const take = (length) => {
    at += length;
    return bytes.subarray(at - length, at);
  };
  while (at < bytes.length) {
    const section = bytes[at++];
    const length = number();
    if (section === CODE_SECTION) return Array.from({ length: number() }, () => take(number()));
    at += length;
  }
  return [];
}

/** Numbers of `bodies` in some orders of likeness, the one first that gzip takes the fewest bytes for. */
export function likelyOrders(bodies) {
  const runs = bodies.map(runsOf);
  const sized = POWERS.map((power) => {
    const order = likenessOrder(bodies, runs, power);
    return { order, bytes: gzipSync(Buffer.concat(order.map((index) => bodies[index]))).length };
  });
  sized.sort((a, b) => a.bytes - b.bytes);
  return sized.slice(0, LIKELIEST).map(({ order }) => order);
}

/** Numbers of `bodies`, the largest first, each next one the most like those of the last `WINDOW_BYTES`. */
function likenessOrder(bodies, runs, power) {
  /** Bodies that a run is in. */
  const owners = new Map();
  runs.forEach((each, index) => {
    for (const run of each) owners.get(run)?.push(index) ?? owners.set(run, [index]);
  });
  /** How often a run is in the window, and how many of a body's runs are. */
  const inWindow = new Map();
  const shared = new Float64Array(bodies.length);
  const put = (body, change) => {
    for (const run of runs[body]) {
      const before = inWindow.get(run) ?? 0;
      inWindow.set(run, before + change);
      if (before === 0 || before + change === 0) for (const owner of owners.get(run)) shared[owner] += change;
    }
  };
  const order = [];
  const left = new Set(bodies.keys());
  let oldest = 0;
  let windowBytes = 0;
  while (left.size > 0) {
    let next = -1;
    let most = -1;
    for (const body of left) {
      const likeness = order.length === 0 ? bodies[body].length : shared[body] ** power / runs[body].size;
      if (likeness > most) [next, most] = [body, likeness];
    }
    left.delete(next);
    order.push(next);
    put(next, 1);
    windowBytes += bodies[next].length;
    for (; windowBytes > WINDOW_BYTES && order[oldest] !== next; oldest++) {
      put(order[oldest], -1);
      windowBytes -= bodies[order[oldest]].length;
    }
  }
  return order;
}

/** What a body's runs of bytes are, as hashes: of a shorter one, of all of it. */
function runsOf(bytes) {
  const runs = new Set();
  for (let at = 0; at === 0 || at + RUN_BYTES <= bytes.length; at++) {
    let hash = 0;
    for (const byte of bytes.subarray(at, at + RUN_BYTES)) hash = Math.imul(hash ^ byte, 0x9e3779b1);
    runs.add(hash ^ (hash >>> 15));
  }
  return runs;
}
