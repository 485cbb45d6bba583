// Windows, written for being obviously right: for each row every window around its time, by the definition, and
// for each window a list of its rows.

/** Lengths are in ticks; `start`s of windows are `offset` and whole steps from it. */
export type TwinWindow =
  | { readonly kind: "tumble"; readonly length: bigint; readonly offset: bigint }
  | { readonly kind: "hop"; readonly length: bigint; readonly step: bigint; readonly offset: bigint }
  | { readonly kind: "cumulate"; readonly length: bigint; readonly step: bigint; readonly offset: bigint }
  | { readonly kind: "session"; readonly gap: bigint }
  | { readonly kind: "global" };

/** What happens, in order: a row with its time (null: none), or a watermark: no more rows at or before `time`. */
export type TwinEvent =
  | { readonly row: number; readonly time: bigint | null }
  | { readonly watermark: bigint };

export interface TwinWindowed {
  /** In the order of ends, then starts; each with the numbers of its rows. */
  readonly windows: readonly { readonly start: bigint; readonly end: bigint; readonly rows: number[] }[];
  /** Rows that no window took any more. */
  readonly late: readonly number[];
  /** Rows that some window no longer took; rows behind the watermark that a session begins with. */
  readonly partlyLate: readonly number[];
  readonly nullTimes: number;
  /** Watermarks that went backwards. */
  readonly backward: number;
}

export const FIRST_TICK = -(2n ** 63n);
export const LAST_TICK = 2n ** 63n - 1n;

/**
 * @param bound how much older than the newest row before it a row may be; null: only watermarks move time
 * @param keyOf name of a row's key, for sessions
 * @param lateness how long after its close a window still takes rows (not the global one, which closes with the input)
 */
export function windowTwin(
  events: readonly TwinEvent[],
  window: TwinWindow,
  bound: bigint | null,
  keyOf: (row: number) => string = () => "",
  lateness = 0n,
): TwinWindowed {
  const sessions = window.kind === "session" ? new TwinSessions(window.gap, keyOf) : null;
  const allowed = window.kind === "global" ? 0n : lateness;
  const windows = new Map<string, { start: bigint; end: bigint; rows: number[] }>();
  // The one window of GLOBAL is there without rows too.
  if (window.kind === "global")
    windows.set(`${FIRST_TICK}:${LAST_TICK}`, { start: FIRST_TICK, end: LAST_TICK, rows: [] });
  const late: number[] = [];
  const partlyLate: number[] = [];
  let [nullTimes, backward] = [0, 0];
  let watermark = FIRST_TICK;
  for (const event of events) {
    if ("watermark" in event) {
      if (event.watermark < watermark) backward++;
      else watermark = event.watermark;
      continue;
    }
    const { row, time } = event;
    if (time === null) {
      nullTimes++;
      continue;
    }
    const passed = watermark - allowed;
    const around = windowsAround(window, time);
    const open = around.filter(({ end }) => passed < closing(window, end));
    const session = sessions?.take(row, time, passed) ?? null;
    if (session === null && open.length === 0) late.push(row);
    else if (session === null ? open.length < around.length : time <= passed && session.start === time)
      partlyLate.push(row);
    for (const { start, end } of open) {
      const name = `${start}:${end}`;
      const known = windows.get(name) ?? { start, end, rows: [] };
      known.rows.push(row);
      windows.set(name, known);
    }
    if (bound !== null && time - bound - 1n > watermark) watermark = time - bound - 1n;
  }
  const sorted = [...windows.values(), ...(sessions?.all ?? [])].sort(
    (a, b) => compare(a.end, b.end) || compare(a.start, b.start),
  );
  return { windows: sorted, late, partlyLate, nullTimes, backward };
}

/** The watermark that closes a window. */
function closing(window: TwinWindow, end: bigint): bigint {
  return window.kind === "global" ? end : end - 1n;
}

function compare(a: bigint, b: bigint): number {
  return a < b ? -1 : Number(a > b);
}

/** Sessions by key: intervals that a row joins to one when it lies in, or exactly a gap from, several of them. */
class TwinSessions {
  readonly all: { start: bigint; end: bigint; rows: number[]; key: string }[] = [];
  readonly #gap: bigint;
  readonly #keyOf: (row: number) => string;

  constructor(gap: bigint, keyOf: (row: number) => string) {
    this.#gap = gap;
    this.#keyOf = keyOf;
  }

  /** The row's session; null for a late row: one whose session, with all that it joins, the watermark has reached the end of. */
  take(row: number, time: bigint, watermark: bigint): { readonly start: bigint } | null {
    const session = { start: time, end: time + this.#gap, rows: [row], key: this.#keyOf(row) };
    for (;;) {
      const at = this.all.findIndex(
        ({ key, start, end }) =>
          key === session.key && end > watermark && start <= session.end && session.start <= end,
      );
      if (at < 0) break;
      const [other] = this.all.splice(at, 1);
      if (other!.start < session.start) session.start = other!.start;
      if (other!.end > session.end) session.end = other!.end;
      session.rows.unshift(...other!.rows);
    }
    if (session.end <= watermark) return null;
    session.rows.sort((a, b) => a - b);
    this.all.push(session);
    return session;
  }
}

/** Every window [start, end) that contains a time. */
export function windowsAround(window: TwinWindow, time: bigint): { start: bigint; end: bigint }[] {
  if (window.kind === "session") return [];
  if (window.kind === "global") return [{ start: FIRST_TICK, end: LAST_TICK }];
  const { length, offset } = window;
  const found: { start: bigint; end: bigint }[] = [];
  const contains = (start: bigint, end: bigint) => start <= time && time < end;
  if (window.kind === "cumulate") {
    const start = offset + floorDivide(time - offset, length) * length;
    for (let size = window.step; size < length + window.step; size += window.step) {
      const end = start + shorter(size, length);
      if (contains(start, end)) found.push({ start, end });
    }
    return found;
  }
  const step = window.kind === "hop" ? window.step : length;
  const last = offset + floorDivide(time - offset, step) * step;
  for (let start = last; start > time - length; start -= step) {
    if (contains(start, start + length)) found.push({ start, end: start + length });
  }
  return found;
}

function shorter(a: bigint, b: bigint): bigint {
  return compare(a, b) < 0 ? a : b;
}

function floorDivide(a: bigint, b: bigint): bigint {
  const quotient = a / b;
  return a % b < 0n ? quotient - 1n : quotient;
}
