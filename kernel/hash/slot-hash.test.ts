// How keys spread over the slots of tables, by the count of slots that lookups went past: structured keys, keys
// chosen to meet under the key hash, and keys chosen by one who knows another seed.

import { describe, expect, test } from "vitest";
import { Kernel } from "../../bindings/ts/kernel/kernel.js";
import * as types from "../../bindings/ts/type/data-type.js";
import type { Value } from "../../twin/values.js";
import { AggregateFault } from "../abi/operator.js";
import { BUILDS, multiset, open, pushAll, type Query, rowsOf, type Table } from "../operator/testing.js";

const SEEDS = [1, 2, 3, 0x9e3779b9, 0xffffffff];

// ---- 64-bit arithmetic and its inverses

const MASK = 2n ** 64n - 1n;
const K1 = 0x9e3779b97f4a7c15n;
const K2 = 0xbf58476d1ce4e5b9n;
const K3 = 0x94d049bb133111ebn;

const times = (a: bigint, b: bigint): bigint => (a * b) & MASK;
const fold = (h: bigint, bits: bigint): bigint => h ^ (h >> bits);

function unfold(h: bigint, bits: bigint): bigint {
  let x = h;
  for (let known = bits; known < 64n; known += bits) x = h ^ (x >> bits);
  return x;
}

/** The inverse of an odd number, by Newton's iteration. */
function inverse(odd: bigint): bigint {
  let x = odd;
  for (let round = 0; round < 6; round++) x = times(x, 2n - times(odd, x));
  return x & MASK;
}

const finish = (h: bigint): bigint => fold(times(fold(times(fold(h, 30n), K2), 27n), K3), 31n);

/** What slot-hash.ts makes of a seed. */
function numbersOf(seed: number): { add: bigint; multiply: bigint; low: bigint } {
  const start = times(BigInt(seed), K3);
  const step = (count: bigint) => finish((start + count * K1) & MASK);
  return { add: step(1n), multiply: step(2n) | 1n, low: step(3n) & 0xffffffffn };
}

const signed = (word: bigint): bigint => BigInt.asIntN(64, word);

/** A generator of random numbers below 2^64 (SplitMix64). */
function random(seed: number): () => bigint {
  let state = BigInt(seed);
  return () => {
    state = (state + K1) & MASK;
    return finish(state);
  };
}

const list = (count: number, f: (i: bigint) => Value): Value[] =>
  Array.from({ length: count }, (_, i) => f(BigInt(i)));

// ---- keys that all have one hash under the unseeded key hash (hash.ts, version 1)

const keyHash = (word: bigint): bigint => times(fold(times(fold(word, 32n), K1), 29n), K3);
const mix = (hash: bigint, word: bigint): bigint => fold(times(hash ^ word, K1), 32n);

/** 64-bit words whose hashes share their upper half. */
const sameTag = (i: bigint): bigint =>
  unfold(times(unfold(times(0x1234567800000000n + i, inverse(K3)), 29n), inverse(K1)), 32n);

/** 32-bit words whose hashes lie in a 16th of a percent of the slots. */
function sameSlots32(count: number): bigint[] {
  const words: bigint[] = [];
  for (let word = 0n; words.length < count; word++) {
    if (((keyHash(word) >> 32n) & 0xfffn) < 16n) words.push(word);
  }
  return words;
}

/** Pairs of words that a chain of `mix` takes to the same state. */
function samePair(i: bigint): readonly [bigint, bigint] {
  const first = times(i + 1n, K2);
  return [first, mix(16n, first) ^ 0xfeedn];
}

/**
 * Texts that a chain of `mix` takes to the same state wherever it starts: a difference in the top bit of one word
 * goes through the multiplication as it is, and the next word takes it back.
 */
function sameText(i: bigint): Uint8Array {
  const words = new BigUint64Array(24);
  for (let pair = 0; pair < 12; pair++) {
    const flip = (i >> BigInt(pair)) & 1n;
    words[pair * 2] = 0x0102030405060708n ^ (flip << 63n);
    words[pair * 2 + 1] = 0x1112131415161718n ^ (flip << 63n) ^ (flip << 31n);
  }
  return new Uint8Array(words.buffer);
}

const chain = (bytes: Uint8Array, start: bigint): bigint =>
  [...new BigUint64Array(bytes.slice().buffer)].reduce(mix, start);

test("the keys to try do meet under the key hash", () => {
  expect(keyHash(sameTag(5n)) >> 32n).toBe(0x12345678n);
  const pair = samePair(7n);
  expect(pair.reduce(mix, 16n)).toBe(samePair(8n).reduce(mix, 16n));
  expect(chain(sameText(0n), 99n)).toBe(chain(sameText(0xabcn), 99n));
});

describe.each(BUILDS)("slots, %s build", async (build) => {
  const kernel = await Kernel.open({ build });

  const query = (seed: number, ...keys: types.DataType[]): Query => ({
    types: keys,
    keys: keys.map((_, i) => i),
    aggregates: [{ name: "count" }],
    faults: AggregateFault.NO_DIRECT,
    seed,
  });

  /** Slots looked at for each row. */
  function cost(asked: Query, table: Table): number {
    const operator = open(kernel, asked);
    const rows = table[0]!.length;
    pushAll(operator, asked, table);
    const { groups, probes } = operator.stats();
    operator.destroy();
    expect(groups).toBe(rows);
    return 1 + probes / rows;
  }

  const N = 1 << 12;
  const draw = random(42);
  const randomWords = list(N, () => signed(draw()));
  const randomTexts = list(N, () => new Uint8Array(BigUint64Array.from({ length: 24 }, draw).buffer));

  test.each(SEEDS)("keys that meet under the key hash cost no more than random ones, seed %s", (seed) => {
    const one = query(seed, types.int64);
    expect(cost(one, [list(N, (i) => signed(sameTag(i)))])).toBeLessThan(2 * cost(one, [randomWords]));

    const small = query(seed, types.int32);
    const few = sameSlots32(512);
    const others = list(512, () => BigInt.asIntN(32, draw()));
    expect(cost(small, [few])).toBeLessThan(2 * cost(small, [others]));

    const two = query(seed, types.int64, types.int64);
    const pairs = [0, 1].map((at) => list(N, (i) => signed(samePair(i)[at]!)));
    expect(cost(two, pairs)).toBeLessThan(2 * cost(two, [randomWords, [...randomWords].reverse()]));

    const text = query(seed, types.binary);
    expect(cost(text, [list(N, sameText)])).toBeLessThan(2 * cost(text, [randomTexts]));
  });

  test("keys chosen for one seed are slow under it and not under another", () => {
    const { add, multiply, low } = numbersOf(7);
    const word = (i: bigint) =>
      signed(times(unfold(times(0x1234567800000000n + i, inverse(K3)), 32n) - add, inverse(multiply)));
    // A word whose lower half takes the seed's to 0: the upper half has no say.
    const blind = (i: bigint) => signed((-low & 0xffffffffn) | (i << 32n));
    const bytes = (i: bigint) => new Uint8Array(BigInt64Array.of(blind(i)).buffer);
    const n = 1 << 10;
    const attacks: [types.DataType[], Value[][]][] = [
      [[types.int64], [list(n, word)]],
      [
        [types.int64, types.bool],
        [list(n, blind), list(n, () => true)],
      ],
      [[types.binary], [list(n, bytes)]],
    ];
    for (const [keys, table] of attacks) {
      expect(cost(query(7, ...keys), table)).toBeGreaterThan(n / 4);
      for (const seed of SEEDS) expect(cost(query(seed, ...keys), table)).toBeLessThan(4);
    }
  });

  test("structured keys spread as random ones do", () => {
    const n = 1 << 14;
    const float = new Float64Array(1);
    const bits = new BigUint64Array(float.buffer);
    const floatOf = (word: bigint): number => {
      bits[0] = word;
      return float[0]!;
    };
    const sets: { [name: string]: [types.DataType[], Value[][]] } = {
      sequential: [[types.int64], [list(n, (i) => i)]],
      descending: [[types.int64], [list(n, (i) => -i)]],
      "whole numbers as floats": [[types.float64], [list(n, (i) => Number(i))]],
      "floats of one mantissa tail": [
        [types.float64],
        [list(n, (i) => floatOf(0x3ff0000000abcdefn + (i << 40n)))],
      ],
      "floats of one step": [[types.float64], [list(n, (i) => Number(i) * 0.01)]],
      "high bits only": [[types.int64], [list(n, (i) => signed(i << 50n))]],
      "bits apart": [[types.int64], [list(n, (i) => signed((i & 127n) | ((i >> 7n) << 57n)))]],
      pairs: [
        [types.int64, types.int64],
        [list(n, (i) => i & 127n), list(n, (i) => i >> 7n)],
      ],
      "pairs of int32": [
        [types.int32, types.int32],
        [list(n, (i) => i & 127n), list(n, (i) => i >> 7n)],
      ],
      texts: [[types.utf8], [list(n, (i) => `key-${i}`)]],
      "long texts": [
        [types.utf8],
        [list(n, (i) => `https://example.com/${"a".repeat(Number(i & 7n))}/${i}/index`)],
      ],
    };
    for (let shift = 1n; shift <= 48n; shift += 5n)
      sets[`multiples of 2^${shift}`] = [[types.int64], [list(n, (i) => signed(i << shift))]];
    const words = list(n, () => signed(draw()));
    const others = list(n, () => draw().toString(36));
    for (const seed of SEEDS.slice(0, 3)) {
      const ofWords = cost(query(seed, types.int64), [words]);
      const ofTexts = cost(query(seed, types.utf8), [others]);
      for (const [name, [keys, table]] of Object.entries(sets)) {
        const usual = keys[0] === types.utf8 ? ofTexts : ofWords;
        expect(cost(query(seed, ...keys), table), name).toBeLessThan(1.3 * usual);
      }
    }
  });

  test("no seed changes a result", () => {
    const n = 3000;
    const table: Table = [
      list(n, (i) => (i % 91n === 0n ? null : `k${(i * i) % 700n}`)),
      list(n, (i) => ((i % 1000n) - 500n) * 2n ** 40n),
      list(n, (i) => Number(i) / 7),
    ];
    const asked = (seed: number, faults: number): Query => ({
      types: [types.utf8, types.int64, types.float64],
      keys: [0, 1],
      aggregates: [
        { name: "sum", of: 2 },
        { name: "countDistinct", of: 2 },
        { name: "min", of: 0 },
      ],
      faults,
      seed,
    });
    const results = SEEDS.flatMap((seed) =>
      [AggregateFault.NO_DIRECT, AggregateFault.NO_DIRECT | AggregateFault.SET_ASIDE].map((faults) => {
        const operator = open(kernel, asked(seed, faults));
        pushAll(operator, asked(seed, faults), table, [700, 1]);
        const rows = multiset(rowsOf(operator.finish()));
        operator.destroy();
        return rows;
      }),
    );
    for (const rows of results) expect(rows).toEqual(results[0]);
  });
});
