// The algorithms of single kernels in portable C: what WebAssembly costs, and what is left to gain.
//
//   kernels NAME ROWS COLUMN...      columns are files of plain little-endian values, without nulls
//
// Prints "ready" when the data is loaded, then answers lines on standard input:
//   run            runs once, from an empty state to the complete result: prints "NANOSECONDS ROWS"
//   result FILE    writes the last result, column after column, 8 bytes a value: prints "written"
//
// The same steps as in kernel/, in the same order, on the same layout: vectors of 2048 rows through scratch memory
// that stays in the cache, group numbers first, then the accumulators; slots of 8 bytes with a 32-bit tag over dense
// rows (kernel/hash/slots.ts, kernel/group/row-table.ts); exact sums in two 40-bit limbs (kernel/aggregate/
// sum-exact.ts); rows set aside in 256 partitions (kernel/operator/aggregate-backlog.ts); integers of a byte each by keys
// of a byte each (kernel/aggregate/byte-rows.ts, kernel/operator/narrow-sums.ts). Written plainly, with no intrinsics:
// what the compiler makes of it at -O3 -march=native is the measure.

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#ifdef __GLIBC__
#include <malloc.h>
#endif

#define VECTOR 2048u
#define MORSEL 65536u
#define CHUNK 256u
#define BLOCK 128u

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;
typedef int32_t i32;
typedef int64_t i64;

static void die(const char *message) {
  fprintf(stderr, "%s\n", message);
  exit(1);
}

static void *room(size_t bytes) {
  void *block = aligned_alloc(64, (bytes + 64) & ~(size_t)63);
  if (block == NULL) die("out of memory");
  return block;
}

static void *grown(void *old, size_t used, size_t bytes) {
  void *block = room(bytes);
  if (used != 0) memcpy(block, old, used);
  free(old);
  return block;
}

static u32 least(u32 a, u32 b) { return a < b ? a : b; }

// ---- input and result

static u32 rows;
static const void *column[4];

static u32 result_rows;
static u32 result_columns;
static u64 *result[4];

static void result_init(u32 count, u32 columns) {
  for (u32 at = 0; at < 4; at++) {
    free(result[at]);
    result[at] = at < columns ? room((size_t)count * 8) : NULL;
  }
  result_rows = count;
  result_columns = columns;
}

static u64 bits_of(double value) {
  u64 bits;
  memcpy(&bits, &value, 8);
  return bits;
}

// ---- sums

static void sum_int(void) {
  const i32 *values = column[0];
  i64 sum = 0;
  for (u32 start = 0; start < rows; start += VECTOR) {
    const u32 count = least(VECTOR, rows - start);
    for (u32 row = 0; row < count; row++) sum += values[start + row];
  }
  result_init(1, 1);
  result[0][0] = (u64)sum;
}

// Two limbs, the lower one weighing 2^(40 low - 1074).
static u32 low_limb;

static double magic(u32 limb) {
  const u64 bits = ((u64)(limb * 40 + 1) << 52) | ((u64)1 << 51);
  double value;
  memcpy(&value, &bits, 8);
  return value;
}

static double reach(void) { return ldexp(1, (int)(low_limb + 2) * 40 - 1074 + 1); }

// The window of limbs that holds every value: two, or this program is not for the data.
static void choose_limbs(const double *values) {
  u32 low = UINT32_MAX, high = 0;
  for (u32 row = 0; row < rows; row++) {
    const u64 bits = bits_of(values[row]);
    const u32 field = (u32)(bits >> 52) & 0x7ff;
    if (bits << 1 == 0) continue;
    if (field == 0 || field == 0x7ff) die("values that two limbs do not hold");
    const u32 lowest = (field - 1 + (u32)__builtin_ctzll((bits & 0xfffffffffffff) | ((u64)1 << 52))) / 40;
    const u32 top = field + 51;
    const u32 highest = top % 40 == 0 && top >= 40 ? top / 40 - 1 : top / 40;
    if (lowest < low) low = lowest;
    if (highest > high) high = highest;
  }
  if (low == UINT32_MAX) low = 0;
  if (high > low + 1) die("values that two limbs do not hold");
  low_limb = low;
}

static double rounded(const i64 *limbs) {
  const __int128 whole = (__int128)limbs[1] * ((__int128)1 << 40) + limbs[0];
  return ldexp((double)whole, (int)low_limb * 40 - 1074);
}

// Cuts a chunk into limbs, interleaved; 0 when a value does not fit.
static int cut(const double *values, i64 *limbs, u32 count) {
  const double m0 = magic(low_limb), m1 = magic(low_limb + 1), limit = reach();
  const u64 bits0 = bits_of(m0), bits1 = bits_of(m1);
  u64 bad = 0;
  for (u32 row = 0; row < count; row++) {
    double r = values[row];
    bad |= !(fabs(r) < limit);
    const double q = r + m1;
    r -= q - m1;
    const double p = r + m0;
    bad |= p - m0 != r;
    limbs[2 * row] = (i64)(bits_of(p) - bits0);
    limbs[2 * row + 1] = (i64)(bits_of(q) - bits1);
  }
  return bad == 0;
}

static void sum_exact(void) {
  const double *values = column[0];
  i64 limbs[2 * CHUNK];
  i64 sum[2] = {0, 0};
  for (u32 start = 0; start < rows; start += CHUNK) {
    const u32 count = least(CHUNK, rows - start);
    if (!cut(values + start, limbs, count)) die("a value that two limbs do not hold");
    i64 low = 0, high = 0;
    for (u32 row = 0; row < count; row++) low += limbs[2 * row];
    for (u32 row = 0; row < count; row++) high += limbs[2 * row + 1];
    sum[0] += low;
    sum[1] += high;
  }
  result_init(1, 1);
  result[0][0] = bits_of(rounded(sum));
}

// ---- groups computed from keys

#define SLOTS 4096u

static u32 numbers[VECTOR];
static i64 lanes[SLOTS + 1];
static i64 limb_lanes[2 * (SLOTS + 1)];
static u8 occupied[SLOTS + 1];

// Codes of 4-byte keys that lie within SLOTS of each other, watched as they come.
typedef struct {
  i32 low, high;
  u32 marked;
  int full;
} Direct;

static Direct direct_new(void) {
  memset(occupied, 0, sizeof occupied);
  return (Direct){INT32_MAX, INT32_MIN, 0, 0};
}

static void direct_map(Direct *self, const i32 *keys, u32 count) {
  i32 low = self->low, high = self->high;
  for (u32 row = 0; row < count; row++) {
    low = keys[row] < low ? keys[row] : low;
    high = keys[row] > high ? keys[row] : high;
  }
  if ((i64)high - low >= SLOTS) die("keys that are too far apart");
  if (low != self->low || high != self->high) self->full = 0;
  self->low = low;
  self->high = high;
  for (u32 row = 0; row < count; row++) numbers[row] = ((u32)keys[row] & (SLOTS - 1)) + 1;
  if (self->full) return;
  for (u32 row = 0; row < count; row++) occupied[numbers[row]] = 1;
  self->marked += count;
  const u32 range = (u32)(high - low) + 1;
  if (self->marked < range) return;
  self->marked = 0;
  for (u32 at = 0; at < range; at++) {
    if (!occupied[((u32)(low + (i32)at) & (SLOTS - 1)) + 1]) return;
  }
  self->full = 1;
}

static void direct_sum(void) {
  const i32 *keys = column[0], *values = column[1];
  memset(lanes, 0, sizeof lanes);
  Direct direct = direct_new();
  for (u32 start = 0; start < rows; start += VECTOR) {
    const u32 count = least(VECTOR, rows - start);
    direct_map(&direct, keys + start, count);
    for (u32 row = 0; row < count; row++) lanes[numbers[row]] += values[start + row];
  }
  result_init(SLOTS, 2);
  result_rows = 0;
  for (i64 key = direct.low; key <= direct.high; key++) {
    const u32 number = ((u32)key & (SLOTS - 1)) + 1;
    if (!occupied[number]) continue;
    result[0][result_rows] = (u64)key;
    result[1][result_rows++] = (u64)lanes[number];
  }
}

static void direct_sum_exact(void) {
  const i32 *keys = column[0];
  const double *values = column[1];
  const double m0 = magic(low_limb), m1 = magic(low_limb + 1), limit = reach();
  const u64 bits0 = bits_of(m0), bits1 = bits_of(m1);
  memset(limb_lanes, 0, sizeof limb_lanes);
  Direct direct = direct_new();
  for (u32 start = 0; start < rows; start += VECTOR) {
    const u32 count = least(VECTOR, rows - start);
    direct_map(&direct, keys + start, count);
    u64 bad = 0;
    for (u32 row = 0; row < count; row++) {
      double r = values[start + row];
      bad |= !(fabs(r) < limit);
      const double q = r + m1;
      r -= q - m1;
      const double p = r + m0;
      bad |= p - m0 != r;
      i64 *lane = limb_lanes + 2 * (size_t)numbers[row];
      lane[0] += (i64)(bits_of(p) - bits0);
      lane[1] += (i64)(bits_of(q) - bits1);
    }
    if (bad) die("a value that two limbs do not hold");
  }
  result_init(SLOTS, 2);
  result_rows = 0;
  for (i64 key = direct.low; key <= direct.high; key++) {
    const u32 number = ((u32)key & (SLOTS - 1)) + 1;
    if (!occupied[number]) continue;
    result[0][result_rows] = (u64)key;
    result[1][result_rows++] = bits_of(rounded(limb_lanes + 2 * (size_t)number));
  }
}

// Dictionary codes are group numbers, 0 being null: see kernel/group/interner.ts.
static void dictionary_sum(void) {
  const i32 *codes = column[0], *values = column[1];
  u32 size = 0;
  u32 capacity = SLOTS;
  i64 *sums = room(capacity * 8);
  u8 *seen = room(capacity);
  memset(sums, 0, capacity * 8);
  memset(seen, 0, capacity);
  for (u32 start = 0; start < rows; start += VECTOR) {
    const u32 count = least(VECTOR, rows - start);
    u32 most = 0;
    for (u32 row = 0; row < count; row++) {
      const u32 code = (u32)codes[start + row];
      most = code > most ? code : most;
    }
    if (most + 2 > capacity) die("more codes than this program has room for");
    if (most + 1 > size) size = most + 1;
    for (u32 row = 0; row < count; row++) numbers[row] = (u32)codes[start + row] + 1;
    for (u32 row = 0; row < count; row++) seen[numbers[row]] = 1;
    for (u32 row = 0; row < count; row++) sums[numbers[row]] += values[start + row];
  }
  result_init(size, 2);
  result_rows = 0;
  for (u32 code = 0; code < size; code++) {
    if (!seen[code + 1]) continue;
    result[0][result_rows] = code;
    result[1][result_rows++] = (u64)sums[code + 1];
  }
  free(sums);
  free(seen);
}

// ---- keys and values of a byte each

#define BYTES 256u
#define PAIRS (BYTES * BYTES)
#define MOMENTS 8u

// Counts of rows in the upper half of a word, sums of values in the lower: a morsel's do not overflow.
static void byte_sum(void) {
  const u8 *keys = column[0], *values = column[1];
  static u64 places[BYTES];
  i64 sums[BYTES] = {0}, counts[BYTES] = {0};
  for (u32 start = 0; start < rows; start += MORSEL) {
    const u32 count = least(MORSEL, rows - start);
    memset(places, 0, sizeof places);
    for (u32 row = 0; row < count; row++) places[keys[start + row]] += (u64)1 << 32 | values[start + row];
    for (u32 key = 0; key < BYTES; key++) sums[key] += (u32)places[key];
    for (u32 key = 0; key < BYTES; key++) counts[key] += (i64)(places[key] >> 32);
  }
  result_init(BYTES, 2);
  result_rows = 0;
  for (u32 key = 0; key < BYTES; key++) {
    if (counts[key] == 0) continue;
    result[0][result_rows] = key;
    result[1][result_rows++] = (u64)sums[key];
  }
}

// The values that two keys lie between, and which pairs of them have rows: watched until all have.
typedef struct {
  u32 low, high, other_low, other_high;
  int full;
} Pairs;

static u8 has_rows[PAIRS];

static void range_of(const u8 *bytes, u32 count, u32 *low, u32 *high) {
  u8 lowest = 255, highest = 0;
  for (u32 row = 0; row < count; row++) {
    lowest = bytes[row] < lowest ? bytes[row] : lowest;
    highest = bytes[row] > highest ? bytes[row] : highest;
  }
  *low = lowest;
  *high = highest;
}

static Pairs pairs_new(void) {
  memset(has_rows, 0, sizeof has_rows);
  return (Pairs){255, 0, 255, 0, 0};
}

static void pairs_watch(Pairs *self, const u8 *keys, const u8 *others, u32 count) {
  u32 low, high, other_low, other_high;
  range_of(keys, count, &low, &high);
  range_of(others, count, &other_low, &other_high);
  const int within = low >= self->low && high <= self->high && other_low >= self->other_low && other_high <= self->other_high;
  if (within && self->full) return;
  if (low < self->low) self->low = low;
  if (high > self->high) self->high = high;
  if (other_low < self->other_low) self->other_low = other_low;
  if (other_high > self->other_high) self->other_high = other_high;
  for (u32 row = 0; row < count; row++) has_rows[keys[row] + others[row] * BYTES] = 1;
  self->full = 1;
  for (u32 other = self->other_low; other <= self->other_high; other++) {
    for (u32 key = self->low; key <= self->high; key++) self->full &= has_rows[key + other * BYTES];
  }
}

// Words of 32 bits hold a morsel; numbers are computed first, some rows at a time, and read again.
static void byte_pair_sum(void) {
  const u8 *keys = column[0], *others = column[1], *values = column[2];
  static i64 sums[PAIRS];
  static u32 words[PAIRS];
  static u16 pair_numbers[VECTOR];
  memset(sums, 0, sizeof sums);
  Pairs pairs = pairs_new();
  for (u32 start = 0; start < rows; start += MORSEL) {
    const u32 count = least(MORSEL, rows - start);
    pairs_watch(&pairs, keys + start, others + start, count);
    const u32 width = pairs.high - pairs.low + 1, height = pairs.other_high - pairs.other_low + 1;
    const u32 first = pairs.low + pairs.other_low * width;
    memset(words, 0, (size_t)width * height * 4);
    for (u32 at = start; at < start + count; at += VECTOR) {
      const u32 some = least(VECTOR, start + count - at);
      for (u32 row = 0; row < some; row++) pair_numbers[row] = (u16)(keys[at + row] + others[at + row] * width - first);
      for (u32 row = 0; row < some; row++) words[pair_numbers[row]] += values[at + row];
    }
    for (u32 other = 0; other < height; other++) {
      i64 *lane = sums + pairs.low + (size_t)(pairs.other_low + other) * BYTES;
      for (u32 key = 0; key < width; key++) lane[key] += words[key + other * width];
    }
  }
  result_init(PAIRS, 3);
  result_rows = 0;
  for (u32 at = 0; at < PAIRS; at++) {
    if (!has_rows[at]) continue;
    result[0][result_rows] = at % BYTES;
    result[1][result_rows] = at / BYTES;
    result[2][result_rows++] = (u64)sums[at];
  }
}

// x, y, their squares, their product and the count of rows: 32 bits each, in a record a pair, while these hold them.
static i32 records[PAIRS][MOMENTS];
static i64 moments[PAIRS][MOMENTS];

static void records_flush(void) {
  for (u32 at = 0; at < PAIRS; at++) {
    for (u32 lane = 0; lane < MOMENTS; lane++) moments[at][lane] += records[at][lane];
  }
  memset(records, 0, sizeof records);
}

static void byte_corr(void) {
  const u8 *keys = column[0], *others = column[1], *x = column[2], *y = column[3];
  memset(records, 0, sizeof records);
  memset(moments, 0, sizeof moments);
  Pairs pairs = pairs_new();
  // No sum in a record is above.
  u64 bound = 0;
  for (u32 start = 0; start < rows; start += VECTOR) {
    const u32 count = least(VECTOR, rows - start);
    pairs_watch(&pairs, keys + start, others + start, count);
    u32 low, most_x, most_y;
    range_of(x + start, count, &low, &most_x);
    range_of(y + start, count, &low, &most_y);
    const u64 most = (u64)count * (most_x > most_y ? most_x * most_x : most_y * most_y);
    if (bound + most > INT32_MAX) {
      records_flush();
      bound = 0;
    }
    bound += most;
    for (u32 row = start; row < start + count; row++) {
      i32 *record = records[keys[row] + others[row] * BYTES];
      const i32 a = x[row], b = y[row];
      record[0] += a;
      record[1] += b;
      record[2] += a * a;
      record[3] += b * b;
      record[4] += a * b;
      record[5] += 1;
    }
  }
  records_flush();
  result_init(PAIRS, 3);
  result_rows = 0;
  for (u32 at = 0; at < PAIRS; at++) {
    if (!has_rows[at]) continue;
    const i64 *of = moments[at];
    const __int128 count = of[5];
    const double xx = (double)(count * of[2] - (__int128)of[0] * of[0]);
    const double yy = (double)(count * of[3] - (__int128)of[1] * of[1]);
    const double xy = (double)(count * of[4] - (__int128)of[0] * of[1]);
    result[0][result_rows] = at % BYTES;
    result[1][result_rows] = at / BYTES;
    result[2][result_rows++] = bits_of(xy / sqrt(xx * yy));
  }
}

// ---- hash tables

#define PIECES 256u
#define FIRST_SLOTS 1024u
#define SPLIT_SLOTS 32768u
#define FOLD 0x94d049bb133111ebull
#define STEP 0x9e3779b97f4a7c15ull
#define K2 0xbf58476d1ce4e5b9ull

typedef struct {
  u64 *slots;
  u32 mask, used, grow_at;
} Piece;

typedef struct {
  Piece pieces[PIECES];
  u32 piece_count;
  // Words of a row, and the dense rows.
  u32 words;
  u64 *keys;
  u32 entries, capacity;
  i64 *sums;
  u64 add, multiply;
  u32 low, high;
} Table;

static u64 hash_finish(u64 hash) {
  u64 h = (hash ^ (hash >> 30)) * K2;
  h = (h ^ (h >> 27)) * FOLD;
  return h ^ (h >> 31);
}

static void piece_init(Piece *piece, u32 count) {
  piece->slots = room((size_t)count * 8);
  memset(piece->slots, 0, (size_t)count * 8);
  piece->mask = count - 1;
  piece->used = 0;
  piece->grow_at = count - (count >> 2) - (count >> 3);
}

static void place(Piece *piece, u64 entry) {
  u32 at = (u32)(entry >> 32) & piece->mask;
  while (piece->slots[at] != 0) at = (at + 1) & piece->mask;
  piece->slots[at] = entry;
  piece->used++;
}

static void enlarge(Piece *piece, u32 size) {
  const Piece old = *piece;
  piece_init(piece, size);
  for (u32 at = 0; at <= old.mask; at++) {
    if (old.slots[at] != 0) place(piece, old.slots[at]);
  }
  free(old.slots);
}

static void grow(Table *self, Piece *piece) {
  const u32 count = piece->mask + 1;
  if (self->piece_count != 1 || count < SPLIT_SLOTS) {
    enlarge(piece, count << (count < 4096 ? 2 : 1));
    return;
  }
  const Piece whole = *piece;
  for (u32 index = 0; index < PIECES; index++) piece_init(&self->pieces[index], (count << 2) / PIECES);
  self->piece_count = PIECES;
  for (u32 at = 0; at < count; at++) {
    const u64 entry = whole.slots[at];
    if (entry == 0) continue;
    Piece *target = &self->pieces[entry >> 56];
    place(target, entry);
    if (target->used >= target->grow_at) enlarge(target, (target->mask + 1) << 1);
  }
  free(whole.slots);
}

static Table *table_new(u32 words) {
  Table *self = room(sizeof(Table));
  memset(self, 0, sizeof(Table));
  self->words = words;
  self->piece_count = 1;
  piece_init(&self->pieces[0], FIRST_SLOTS);
  self->add = hash_finish(STEP);
  self->multiply = hash_finish(STEP * 2) | 1;
  const u64 halves = hash_finish(STEP * 3);
  self->low = (u32)halves;
  self->high = (u32)(halves >> 32);
  return self;
}

static void table_free(Table *self) {
  for (u32 index = 0; index < self->piece_count; index++) free(self->pieces[index].slots);
  free(self->keys);
  free(self->sums);
  free(self);
}

// Room for `more` further entries, in keys and sums.
static void table_reserve(Table *self, u32 more) {
  const u64 need = (u64)self->entries + more;
  if (need <= self->capacity) return;
  u64 capacity = (u64)self->capacity + (self->capacity < 1u << 20 ? self->capacity : self->capacity >> 1);
  if (capacity < need) capacity = need;
  self->keys = grown(self->keys, (size_t)self->entries * self->words * 8, capacity * self->words * 8);
  self->sums = grown(self->sums, (size_t)self->entries * 8, capacity * 8);
  memset(self->sums + self->entries, 0, (capacity - self->entries) * 8);
  self->capacity = (u32)capacity;
}

static inline u64 hash_word(u64 word, u64 add, u64 multiply) {
  const u64 h = word * multiply + add;
  return (h ^ (h >> 32)) * FOLD;
}

static inline u64 product(u64 word, u32 low, u32 high) {
  return (u64)(u32)((u32)word + low) * (u64)(u32)((u32)(word >> 32) + high);
}

static void hash_rows(const Table *self, const u64 *keys, u32 count, u32 *tags) {
  const u64 add = self->add, multiply = self->multiply;
  if (self->words == 1) {
    for (u32 row = 0; row < count; row++) tags[row] = (u32)(hash_word(keys[row], add, multiply) >> 32);
    return;
  }
  for (u32 row = 0; row < count; row++) {
    const u64 first = product(keys[2 * row], self->low, self->high);
    const u64 hash = first * multiply + product(keys[2 * row + 1], self->low, self->high);
    tags[row] = (u32)(hash_word(hash, add, multiply) >> 32);
  }
}

static inline Piece *piece_of(Table *self, u32 tag) { return &self->pieces[(tag >> 24) & (self->piece_count - 1)]; }

static inline u64 differs(const u64 *a, const u64 *b, u32 words) {
  return words == 1 ? a[0] ^ b[0] : (a[0] ^ b[0]) | (a[1] ^ b[1]);
}

static inline void map_block(Table *self, const u64 *keys, u32 count, u32 *entries, const u32 *tags, int known, u32 words) {
  u16 pending[BLOCK];
  u32 left = 0;
  if (known && self->entries != 0) {
    const u32 choice = self->piece_count - 1;
    for (u32 row = 0; row < count; row++) {
      const u32 tag = tags[row];
      const Piece *piece = &self->pieces[(tag >> 24) & choice];
      const u64 found = piece->slots[tag & piece->mask];
      entries[row] = (u32)(found >> 32) == tag ? (u32)found : 0;
    }
    for (u32 row = 0; row < count; row++) {
      const u32 found = entries[row];
      const u32 entry = (found > 1 ? found : 1) - 1;
      const u64 different = differs(self->keys + (size_t)entry * words, keys + (size_t)row * words, words);
      entries[row] = entry;
      pending[left] = (u16)row;
      left += (different != 0) | (found == 0);
    }
  } else {
    for (; left < count; left++) pending[left] = (u16)left;
  }
  for (u32 index = 0; index < left; index++) {
    const u32 row = pending[index];
    const u32 tag = tags[row];
    const u64 *key = keys + (size_t)row * words;
    Piece *piece = piece_of(self, tag);
    u32 at = tag & piece->mask;
    u64 found = piece->slots[at];
    while (found != 0) {
      if ((u32)(found >> 32) == tag && differs(self->keys + (size_t)((u32)found - 1) * words, key, words) == 0) break;
      at = (at + 1) & piece->mask;
      found = piece->slots[at];
    }
    if (found == 0) {
      const u32 entry = self->entries++;
      piece->slots[at] = ((u64)tag << 32) | (entry + 1);
      memcpy(self->keys + (size_t)entry * words, key, words * 8);
      if (++piece->used >= piece->grow_at) grow(self, piece);
      found = (u64)entry + 1;
    }
    entries[row] = (u32)found - 1;
  }
}

// `near`: the rows are of one partition. Blocks after one of mostly new rows are then probed without a first try.
static inline void map_words(Table *self, const u64 *keys, u32 count, u32 *entries, int near, u32 words) {
  static u32 tags[VECTOR];
  hash_rows(self, keys, count, tags);
  int known = 1;
  for (u32 start = 0; start < count; start += BLOCK) {
    const u32 block = least(BLOCK, count - start);
    const u32 before = self->entries;
    map_block(self, keys + (size_t)start * words, block, entries + start, tags + start, known, words);
    known = !near || (self->entries - before) * 4 < block * 3;
  }
}

static void map(Table *self, const u64 *keys, u32 count, u32 *entries, int near) {
  if (self->words == 1) map_words(self, keys, count, entries, near, 1);
  else map_words(self, keys, count, entries, near, 2);
}

static u64 packed[2 * VECTOR];

static void hash_sum(void) {
  const i32 *keys = column[0], *values = column[1];
  Table *table = table_new(1);
  for (u32 start = 0; start < rows; start += VECTOR) {
    const u32 count = least(VECTOR, rows - start);
    table_reserve(table, count);
    for (u32 row = 0; row < count; row++) packed[row] = (u32)keys[start + row];
    map(table, packed, count, numbers, 0);
    for (u32 row = 0; row < count; row++) table->sums[numbers[row]] += values[start + row];
  }
  result_init(table->entries, 2);
  for (u32 entry = 0; entry < table->entries; entry++) {
    result[0][entry] = (u64)(i64)(i32)table->keys[entry];
    result[1][entry] = (u64)table->sums[entry];
  }
  table_free(table);
}

// Two 4-byte keys and the null mask in a row of 16 bytes, a column at a time.
static void packed_sum(void) {
  const i32 *first = column[0], *second = column[1], *values = column[2];
  Table *table = table_new(2);
  u32 *words = (u32 *)packed;
  for (u32 start = 0; start < rows; start += VECTOR) {
    const u32 count = least(VECTOR, rows - start);
    table_reserve(table, count);
    for (u32 row = 0; row < count; row++) packed[2 * row + 1] = 0;
    for (u32 row = 0; row < count; row++) words[4 * row] = (u32)first[start + row];
    for (u32 row = 0; row < count; row++) words[4 * row + 1] = (u32)second[start + row];
    map(table, packed, count, numbers, 0);
    for (u32 row = 0; row < count; row++) table->sums[numbers[row]] += values[start + row];
  }
  result_init(table->entries, 3);
  for (u32 entry = 0; entry < table->entries; entry++) {
    const u64 key = table->keys[2 * (size_t)entry];
    result[0][entry] = (u64)(i64)(i32)key;
    result[1][entry] = (u64)(i64)(i32)(key >> 32);
    result[2][entry] = (u64)table->sums[entry];
  }
  table_free(table);
}

// ---- rows set aside

#define BEGIN_GROUPS (1u << 18)
#define BACKLOG_ROWS (1u << 22)
#define PART_CHUNK 2040u

typedef struct Part {
  struct Part *next;
  u32 count;
  // Key, then value and null bits.
  u64 rows[2 * PART_CHUNK];
} Part;

static void work_off(Table *table, Part *part, u32 waiting) {
  static u64 keys[VECTOR];
  // Slots, keys and sums for all that wait: as many new keys as rows, at worst.
  table_reserve(table, waiting);
  while (part != NULL) {
    for (u32 row = 0; row < part->count; row++) keys[row] = part->rows[2 * row];
    map(table, keys, part->count, numbers, 1);
    for (u32 row = 0; row < part->count; row++) table->sums[numbers[row]] += (i32)part->rows[2 * row + 1];
    Part *next = part->next;
    free(part);
    part = next;
  }
}

static void set_aside_sum(void) {
  const u64 *keys = column[0];
  const i32 *values = column[1];
  static Part *first[PIECES];
  static Part *last[PIECES];
  static u32 tags[VECTOR];
  u32 waiting_of[PIECES] = {0};
  u32 waiting = 0, next = 0;
  memset(first, 0, sizeof first);
  memset(last, 0, sizeof last);
  Table *table = table_new(1);
  for (u32 start = 0; start < rows; start += VECTOR) {
    const u32 count = least(VECTOR, rows - start);
    if (table->entries < BEGIN_GROUPS) {
      table_reserve(table, count);
      map(table, keys + start, count, numbers, 0);
      for (u32 row = 0; row < count; row++) table->sums[numbers[row]] += values[start + row];
      continue;
    }
    while (waiting + count > BACKLOG_ROWS) {
      work_off(table, first[next], waiting_of[next]);
      waiting -= waiting_of[next];
      waiting_of[next] = 0;
      first[next] = last[next] = NULL;
      next = (next + 1) % PIECES;
    }
    hash_rows(table, keys + start, count, tags);
    for (u32 row = 0; row < count; row++) {
      const u32 index = tags[row] >> 24;
      Part *part = last[index];
      if (part == NULL || part->count == PART_CHUNK) {
        Part *fresh = room(sizeof(Part));
        fresh->next = NULL;
        fresh->count = 0;
        if (part == NULL) first[index] = fresh;
        else part->next = fresh;
        last[index] = part = fresh;
      }
      u64 *to = part->rows + 2 * (size_t)part->count++;
      to[0] = keys[start + row];
      to[1] = (u32)values[start + row];
      waiting_of[index]++;
    }
    waiting += count;
  }
  for (u32 index = 0; index < PIECES; index++) work_off(table, first[index], waiting_of[index]);
  result_init(table->entries, 2);
  memcpy(result[0], table->keys, (size_t)table->entries * 8);
  memcpy(result[1], table->sums, (size_t)table->entries * 8);
  table_free(table);
}

// ---- filter

// Keeps column 1 where column 0 is at most 2. Each morsel's output takes the place of the one before, as in the
// kernel; `all` keeps them for the result.
static u32 filter_rows(double *out, int all) {
  const i32 *tested = column[0];
  const double *values = column[1];
  static u16 selected[VECTOR];
  u32 total = 0;
  for (u32 morsel = 0; morsel < rows; morsel += MORSEL) {
    const u32 end = morsel + least(MORSEL, rows - morsel);
    u32 kept = 0;
    for (u32 start = morsel; start < end; start += VECTOR) {
      const u32 count = least(VECTOR, end - start);
      u32 found = 0;
      for (u32 row = 0; row < count; row++) {
        selected[found] = (u16)row;
        found += tested[start + row] <= 2;
      }
      double *to = out + (all ? total : 0) + kept;
      for (u32 row = 0; row < found; row++) to[row] = values[start + selected[row]];
      kept += found;
    }
    total += kept;
  }
  return total;
}

static double *filtered;

static void filter(void) {
  if (filtered == NULL) filtered = room(MORSEL * 8);
  result_rows = filter_rows(filtered, 0);
  result_columns = 0;
}

static void filter_result(void) {
  result_init(rows, 1);
  result_rows = filter_rows((double *)result[0], 1);
}

// ---- the protocol

typedef struct {
  const char *name;
  void (*run)(void);
  // Bytes of a value, column by column; 0 ends.
  u32 widths[4];
  // The column of floats that are summed exactly, or -1.
  int floats;
  // Whether columns are brought into a byte a value as they are loaded.
  int bytes;
} Kernel;

static const Kernel KERNELS[] = {
    {"sum-int", sum_int, {4}, -1, 0},
    {"sum-exact", sum_exact, {8}, 0, 0},
    {"direct-sum", direct_sum, {4, 4}, -1, 0},
    {"direct-sum-exact", direct_sum_exact, {4, 8}, 1, 0},
    {"dictionary-sum", dictionary_sum, {4, 4}, -1, 0},
    {"byte-sum", byte_sum, {4, 4}, -1, 1},
    {"byte-pair-sum", byte_pair_sum, {4, 4, 4}, -1, 1},
    {"byte-corr", byte_corr, {4, 4, 4, 4}, -1, 1},
    {"hash-sum", hash_sum, {4, 4}, -1, 0},
    {"packed-sum", packed_sum, {4, 4, 4}, -1, 0},
    {"set-aside", set_aside_sum, {8, 4}, -1, 0},
    {"filter", filter, {4, 8}, -1, 0},
};

static const void *loaded(const char *path, u32 width) {
  void *block = room((size_t)rows * width);
  FILE *file = fopen(path, "rb");
  if (file == NULL || fread(block, width, rows, file) != rows) die("a column file is missing or too short");
  fclose(file);
  return block;
}

static const void *in_bytes(const u32 *values) {
  u8 *bytes = room(rows);
  for (u32 row = 0; row < rows; row++) {
    if (values[row] > 255) die("a value that is no byte");
    bytes[row] = (u8)values[row];
  }
  free((void *)values);
  return bytes;
}

static void write_result(const char *path) {
  FILE *file = fopen(path, "wb");
  if (file == NULL) die("the result's file cannot be written");
  for (u32 at = 0; at < result_columns; at++) {
    if (fwrite(result[at], 8, result_rows, file) != result_rows) die("the result could not be written");
  }
  if (fclose(file) != 0) die("the result could not be written");
}

int main(int count, char **arguments) {
#ifdef __GLIBC__
  // Memory that was freed serves the next run, as the kernel's heap does: no run pays for fresh pages.
  mallopt(M_MMAP_MAX, 0);
  mallopt(M_TRIM_THRESHOLD, -1);
#endif
  if (count < 3) die("usage: kernels NAME ROWS COLUMN...");
  const Kernel *kernel = NULL;
  for (size_t at = 0; at < sizeof KERNELS / sizeof *KERNELS; at++) {
    if (strcmp(KERNELS[at].name, arguments[1]) == 0) kernel = &KERNELS[at];
  }
  if (kernel == NULL) die("no such kernel");
  rows = (u32)strtoul(arguments[2], NULL, 10);
  for (int at = 0; at < 4 && kernel->widths[at] != 0; at++) {
    if (at + 3 >= count) die("too few columns");
    column[at] = loaded(arguments[at + 3], kernel->widths[at]);
    if (kernel->bytes) column[at] = in_bytes(column[at]);
  }
  if (kernel->floats >= 0) choose_limbs(column[kernel->floats]);
  puts("ready");
  fflush(stdout);
  char line[4096];
  while (fgets(line, sizeof line, stdin) != NULL) {
    line[strcspn(line, "\n")] = 0;
    if (strcmp(line, "run") == 0) {
      struct timespec start, end;
      clock_gettime(CLOCK_MONOTONIC, &start);
      kernel->run();
      clock_gettime(CLOCK_MONOTONIC, &end);
      const i64 nanoseconds = (i64)(end.tv_sec - start.tv_sec) * 1000000000 + (end.tv_nsec - start.tv_nsec);
      printf("%lld %u\n", (long long)nanoseconds, result_rows);
    } else if (strncmp(line, "result ", 7) == 0) {
      if (kernel->run == filter) filter_result();
      write_result(line + 7);
      puts("written");
    } else {
      die("run or result FILE");
    }
    fflush(stdout);
  }
  return 0;
}
