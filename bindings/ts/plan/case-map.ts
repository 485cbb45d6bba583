// Simple case mappings of Unicode: the pairs of code points that `lower` and `upper` exchange.
//
// Taken from the host's own String methods, so no table ships here. "Simple" leaves out what changes the
// number of letters (ß has no single capital) or depends on the letters around (final sigma).

export type CasePairs = readonly (readonly [from: number, to: number])[];

/** The planes above hold ideographs, tags and private use: nothing with case. */
const LAST_CODE_POINT = 0x1ffff;
const SURROGATES = { first: 0xd800, last: 0xdfff };

const cache = new Map<"lower" | "upper", CasePairs>();

/** Every code point that has a single other code point as its lower or upper case, ascending (some 1400). */
export function casePairs(to: "lower" | "upper"): CasePairs {
  let pairs = cache.get(to);
  if (pairs === undefined) {
    pairs = findPairs(to);
    cache.set(to, pairs);
  }
  return pairs;
}

function findPairs(to: "lower" | "upper"): CasePairs {
  const pairs: [number, number][] = [];
  for (let from = 0; from <= LAST_CODE_POINT; from++) {
    if (from === SURROGATES.first) from = SURROGATES.last + 1;
    const text = String.fromCodePoint(from);
    const mapped = to === "lower" ? text.toLowerCase() : text.toUpperCase();
    if (mapped === text) continue;
    const code = mapped.codePointAt(0)!;
    if (String.fromCodePoint(code) === mapped) pairs.push([from, code]);
  }
  return pairs;
}

const maps = new Map<"lower" | "upper", ReadonlyMap<number, number>>();

/** `text` with every code point mapped. */
export function mapCase(text: string, to: "lower" | "upper"): string {
  let map = maps.get(to);
  if (map === undefined) {
    map = new Map(casePairs(to));
    maps.set(to, map);
  }
  return Array.from(text, (letter) => {
    const code = map.get(letter.codePointAt(0)!);
    return code === undefined ? letter : String.fromCodePoint(code);
  }).join("");
}
