// Dates and timestamps as text: ISO 8601 in the forms that databases write.
//
//   2020-11-11                    a date; also with slashes
//   2020-11-11 00:00:12.345678    a timestamp; T or a blank between; seconds and up to 9 decimals may be missing
//   ...Z, ...+08:00, ...+0800     with its distance from UTC
//
// Read from bytes, without strings; civil dates to days after Howard Hinnant, "chrono-compatible low-level date
// algorithms".

const DASH = 0x2d;
const SLASH = 0x2f;
const COLON = 0x3a;

/** What `parseTime` found. Valid until it is called again. */
export const parsed = {
  /** Days since 1970-01-01. */
  days: 0,
  /** Seconds since that midnight, less the zone's distance from UTC; may be negative. */
  seconds: 0,
  nanoseconds: 0,
  /** Decimals of the second that were written. */
  decimals: 0,
  /** Whether there was a time behind the date. */
  timed: false,
  zoned: false,
};

/** Reads [start, end) as a date or timestamp into `parsed`; false when it is neither. */
export function parseTime(bytes: Uint8Array, start: number, end: number): boolean {
  if (!parseDate(bytes, start, end)) return false;
  parsed.seconds = 0;
  parsed.nanoseconds = 0;
  parsed.decimals = 0;
  parsed.zoned = false;
  parsed.timed = end - start > 10;
  if (!parsed.timed) return true;
  const separator = bytes[start + 10];
  if (separator !== 0x54 && separator !== 0x20 && separator !== 0x74) return false;
  return parseClock(bytes, start + 11, end);
}

function parseDate(bytes: Uint8Array, start: number, end: number): boolean {
  if (end - start < 10) return false;
  const separator = bytes[start + 4];
  if ((separator !== DASH && separator !== SLASH) || bytes[start + 7] !== separator) return false;
  const year = digits(bytes, start, 4);
  const month = digits(bytes, start + 5, 2);
  const day = digits(bytes, start + 8, 2);
  if (year < 0 || month < 1 || month > 12 || day < 1 || day > daysOfMonth(year, month)) return false;
  parsed.days = daysFromCivil(year, month, day);
  return true;
}

function parseClock(bytes: Uint8Array, at: number, end: number): boolean {
  if (end - at < 5 || bytes[at + 2] !== COLON) return false;
  const hour = digits(bytes, at, 2);
  const minute = digits(bytes, at + 3, 2);
  let second = 0;
  at += 5;
  if (at < end && bytes[at] === COLON) {
    if (end - at < 3) return false;
    second = digits(bytes, at + 1, 2);
    at += 3;
    if (at < end && bytes[at] === 0x2e) at = parseFraction(bytes, at + 1, end);
  }
  if (at < 0 || hour < 0 || hour > 23 || minute < 0 || minute > 59 || second < 0 || second > 59) return false;
  parsed.seconds = hour * 3600 + minute * 60 + second;
  return at === end || parseZone(bytes, at, end);
}

/** Answers where the decimals end, -1 when there are none or more than nine. */
function parseFraction(bytes: Uint8Array, at: number, end: number): number {
  let value = 0;
  let count = 0;
  for (; at < end && isDigit(bytes[at]!); at++) {
    value = value * 10 + bytes[at]! - 0x30;
    count += 1;
  }
  if (count === 0 || count > 9) return -1;
  parsed.decimals = count;
  for (; count < 9; count++) value *= 10;
  parsed.nanoseconds = value;
  return at;
}

function parseZone(bytes: Uint8Array, at: number, end: number): boolean {
  parsed.zoned = true;
  const sign = bytes[at];
  if (sign === 0x5a || sign === 0x7a) return at + 1 === end;
  if ((sign !== 0x2b && sign !== DASH) || end - at < 3) return false;
  const hours = digits(bytes, at + 1, 2);
  let minutes = 0;
  if (end - at === 5) minutes = digits(bytes, at + 3, 2);
  else if (end - at === 6 && bytes[at + 3] === COLON) minutes = digits(bytes, at + 4, 2);
  else if (end - at !== 3) return false;
  if (hours < 0 || hours > 23 || minutes < 0 || minutes > 59) return false;
  parsed.seconds -= (sign === DASH ? -1 : 1) * (hours * 3600 + minutes * 60);
  return true;
}

/** The number of `count` digits, -1 when one of them is not a digit. */
function digits(bytes: Uint8Array, at: number, count: number): number {
  let value = 0;
  for (let i = 0; i < count; i++) {
    const byte = bytes[at + i]!;
    if (!isDigit(byte)) return -1;
    value = value * 10 + byte - 0x30;
  }
  return value;
}

function isDigit(byte: number): boolean {
  return byte >= 0x30 && byte <= 0x39;
}

function daysOfMonth(year: number, month: number): number {
  if (month === 2) return year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0) ? 29 : 28;
  return month === 4 || month === 6 || month === 9 || month === 11 ? 30 : 31;
}

function daysFromCivil(year: number, month: number, day: number): number {
  const shifted = month <= 2 ? year - 1 : year;
  const era = Math.floor(shifted / 400);
  const yearOfEra = shifted - era * 400;
  const dayOfYear = Math.floor((153 * (month > 2 ? month - 3 : month + 9) + 2) / 5) + day - 1;
  const dayOfEra = yearOfEra * 365 + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100) + dayOfYear;
  return era * 146097 + dayOfEra - 719468;
}
