// Checkpoints as bytes: everything that a stream needs to go on elsewhere, in one piece that can be written to a file.
//
//   +0   8 bytes "MILLCKPT"   +8 u32 format version   +12 u32 bytes of the manifest
//   +16  u64 checksum of all bytes behind it
//   +24  the manifest: JSON in UTF-8, then spaces up to a multiple of 8
//        Arrow IPC streams one after the other, each followed by zeroes up to a multiple of 8
//
// A section of an operator's state is one stream, whatever the order in which its batches came: the manifest has that.
// So bytes can be looked into with any reader of Arrow. What the manifest says of streams is checked before it is believed,
// though the checksum has found what went wrong on a disk by then: it does not keep out who made the bytes on purpose.

import { Abi } from "../../../kernel/abi/layout.js";
import { fromIpc, IpcStreamWriter, joinInto, listItems, toArrowSchema } from "../arrow/index.js";
import { checkHeld, checkHeldRows, type StateBatch } from "../kernel/index.js";
import type { BatchData } from "../type/column.js";
import type { Schema } from "../type/data-type.js";
import { ArgumentError, CheckpointError, CorruptStateError } from "../type/error.js";
import type { ChainPrint } from "./plan-print.js";

/** How far a stream had read one of its sources. */
export interface SourcePosition {
  readonly name: string;
  /** Rows that the stream has taken in: the next one to give it has this number. */
  readonly rows: number;
  /** Batches that it has taken in whole; `rows` can end within the next one where batches pass 65,536 rows. */
  readonly batches: number;
  /** Whether the source had ended: it is not read again. */
  readonly ended: boolean;
  /** In ticks of the source's time column; null before the first, or without watermarks. */
  readonly watermark: bigint | null;
}

/** What a checkpoint says about itself. */
export interface Checkpoint {
  /** Of the format. */
  readonly version: number;
  /** In the order in which the plan reads them. */
  readonly sources: readonly SourcePosition[];
  /** The steps of the plan, as `explain` names them. */
  readonly plan: readonly string[];
  /** Rows of results that the stream had handed out. */
  readonly rowsOut: number;
}

/** A stream of batches: where it lies behind the manifest. */
interface Stream {
  readonly offset: number;
  readonly bytes: number;
}

interface SavedState {
  /** The sections in the order in which their batches came. */
  readonly order: readonly number[];
  readonly sections: { readonly [section: string]: Stream };
}

/** What a step keeps beside the state of its operators: plain JSON. */
export type Kept = Readonly<Record<string, unknown>>;

/** A step as it is saved, and found again. */
export interface SavedStep {
  readonly kept: Kept;
  readonly states: readonly Iterable<StateBatch>[];
}

interface WrittenStep {
  readonly kept: Kept;
  readonly states: readonly SavedState[];
}

export interface SourceState {
  readonly name: string;
  readonly rows: number;
  readonly batches: number;
  readonly ended: boolean;
  /** Ticks, as texts: the watermark, and what the source's clock goes by. */
  readonly watermark: string | null;
  readonly clock: string | null;
  /** Of the batches: for a source that has nothing more to give. */
  readonly schema: Schema;
}

/** Rows and batches of a run so far, and watermarks that were ignored. */
export interface Counts {
  readonly rowsIn: number;
  readonly batchesIn: number;
  readonly rowsOut: number;
  readonly batchesOut: number;
  readonly backwardWatermarks: number;
}

/** What a chain of steps is made of: a step that has ended is null. */
export interface SavedChain {
  readonly open: readonly number[];
  readonly steps: readonly (SavedStep | null)[];
}

/** All of a checkpoint but its bytes. */
export interface Saved {
  readonly plan: readonly ChainPrint[];
  readonly sources: readonly SourceState[];
  readonly counts: Counts;
  /** Whether all sources have ended and every result is there: nothing is read or computed any more. */
  readonly ended: boolean;
  readonly lateRows: number;
  readonly partlyLateRows: number;
  readonly nullTimes: number;
  readonly chains: readonly SavedChain[];
  /** Results that nobody has been handed. */
  readonly pending: readonly BatchData[];
}

interface Manifest extends Omit<Saved, "chains" | "pending"> {
  readonly abi: number;
  readonly chains: readonly {
    readonly open: readonly number[];
    readonly steps: readonly (WrittenStep | null)[];
  }[];
  readonly pending: Stream | null;
}

const MAGIC = "MILLCKPT";
export const CHECKPOINT_VERSION = 1;
export const HEAD_BYTES = 24;

/** Writes a checkpoint. */
export function writeCheckpoint({ chains, pending, ...saved }: Saved): Uint8Array {
  const body = new Body();
  const written = chains.map(({ open, steps }) => ({
    open,
    steps: steps.map(
      (step) => step && { kept: step.kept, states: step.states.map((state) => writeState(body, state)) },
    ),
  }));
  const manifest: Manifest = {
    abi: Abi.VERSION,
    ...saved,
    chains: written,
    pending: pending.length === 0 ? null : body.stream(pending),
  };
  const text = new TextEncoder().encode(JSON.stringify(manifest));
  const head = aligned(text.length);
  const bytes = new Uint8Array(HEAD_BYTES + head + body.bytes);
  bytes.set(new TextEncoder().encode(MAGIC));
  const view = new DataView(bytes.buffer);
  view.setUint32(8, CHECKPOINT_VERSION, true);
  view.setUint32(12, text.length, true);
  bytes.set(text, HEAD_BYTES);
  bytes.fill(0x20, HEAD_BYTES + text.length, HEAD_BYTES + head);
  body.copy(bytes.subarray(HEAD_BYTES + head));
  seal(bytes);
  return bytes;
}

/** Writes the checksum of what the bytes hold. */
export function seal(bytes: Uint8Array): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const [low, high] = checksum(bytes.subarray(HEAD_BYTES));
  view.setUint32(16, low, true);
  view.setUint32(20, high, true);
}

function writeState(body: Body, batches: Iterable<StateBatch>): SavedState {
  const order: number[] = [];
  const sections = new Map<number, BatchData[]>();
  for (const batch of batches) {
    if (batch.length === 0) continue;
    order.push(batch.section);
    const known = sections.get(batch.section);
    if (known === undefined) sections.set(batch.section, [batch]);
    else known.push(batch);
  }
  return {
    order,
    sections: Object.fromEntries([...sections].map(([section, list]) => [section, body.stream(list)])),
  };
}

/** What comes behind the manifest. */
class Body {
  readonly #pieces: Uint8Array[] = [];
  bytes = 0;

  /** Batches of one schema. */
  stream(batches: readonly BatchData[]): Stream {
    const [{ schema }] = batches as [BatchData];
    const writer = new IpcStreamWriter(schema);
    const offset = this.bytes;
    this.#add(writer.head);
    // A message is the writer's, which writes the next one over it.
    for (const batch of batches) this.#add(writer.encode({ ...batch, schema }).slice());
    const length = this.bytes - offset;
    this.#add(new Uint8Array(aligned(length) - length));
    return { offset, bytes: length };
  }

  #add(piece: Uint8Array): void {
    this.#pieces.push(piece);
    this.bytes += piece.length;
  }

  copy(to: Uint8Array): void {
    joinInto(this.#pieces, to);
  }
}

function aligned(bytes: number): number {
  return (bytes + 7) & ~7;
}

/**
 * Two lanes of 32 bits, each of which any change of one word changes: it goes through a multiplication by an odd number and a
 * rotation, which nothing of it gets lost in. 2 GB/s here.
 */
function checksum(bytes: Uint8Array): [number, number] {
  const whole = bytes.byteOffset % 4 === 0 ? bytes : bytes.slice();
  const words = new Uint32Array(whole.buffer, whole.byteOffset, whole.length >> 2);
  let low = 0x9e3779b9;
  let high = 0x85ebca6b;
  for (let at = 0; at < words.length; at++) {
    const word = words[at]!;
    low = Math.imul(low ^ word, 0x9e3779b1);
    low = (low << 13) | (low >>> 19);
    high = Math.imul(high + word, 0xc2b2ae35);
    high = (high << 7) | (high >>> 25);
  }
  return [low >>> 0, high >>> 0];
}

// ---- reading

/** A checkpoint whose bytes have been found sound; states are read from them when they are asked for. */
export interface Restored extends Saved {
  readonly version: number;
}

/**
 * @throws ArgumentError for what is no checkpoint, CheckpointError for another version's, CorruptStateError for bytes
 *   that are not those that were written.
 */
export function parseCheckpoint(given: unknown): Restored {
  const bytes = bytesOf(given);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.length < HEAD_BYTES || new TextDecoder().decode(bytes.slice(0, 8)) !== MAGIC)
    throw new ArgumentError("the bytes are no checkpoint: Run.snapshot() gives one", {
      expected: "a checkpoint",
    });
  const version = view.getUint32(8, true);
  if (version !== CHECKPOINT_VERSION) {
    throw new CheckpointError(
      `the checkpoint has format ${version}, this version of Millrace reads ${CHECKPOINT_VERSION}`,
      { value: version, expected: String(CHECKPOINT_VERSION) },
    );
  }
  const [low, high] = checksum(bytes.subarray(HEAD_BYTES));
  if (bytes.length % 8 !== 0 || low !== view.getUint32(16, true) || high !== view.getUint32(20, true))
    throw damaged("its bytes are not those that were written");
  const text = view.getUint32(12, true);
  if (text > bytes.length - HEAD_BYTES) throw damaged("its manifest ends behind it");
  const manifest = manifestOf(bytes.slice(HEAD_BYTES, HEAD_BYTES + text));
  if (manifest.abi !== Abi.VERSION) {
    throw new CheckpointError(
      `the checkpoint holds states of ABI version ${manifest.abi}, this kernel has ${Abi.VERSION}`,
      { value: manifest.abi, expected: String(Abi.VERSION) },
    );
  }
  const body = bytes.subarray(HEAD_BYTES + aligned(text));
  try {
    return { version, ...found(manifest, body) };
  } catch (error) {
    // A manifest that is JSON, but not what was written.
    if (error instanceof TypeError) throw damaged(`its manifest makes no sense (${error.message})`);
    throw error;
  }
}

/** What a checkpoint says about itself, such as how far its sources had been read. */
export function readCheckpoint(bytes: Uint8Array): Checkpoint {
  const { version, sources, plan, counts, pending } = parseCheckpoint(bytes);
  return {
    version,
    sources: sources.map(({ name, rows, batches, ended, watermark }) => ({
      name,
      rows,
      batches,
      ended,
      watermark: watermark === null ? null : BigInt(watermark),
    })),
    plan: plan.flatMap(({ stages }) => stages.map(({ title }) => title)),
    rowsOut: counts.rowsOut - totalRows(pending),
  };
}

/** From the start of a block, so that streams are read where they lie. */
function bytesOf(given: unknown): Uint8Array {
  if (given instanceof ArrayBuffer) return new Uint8Array(given);
  if (!ArrayBuffer.isView(given)) {
    throw new ArgumentError("restore: a checkpoint is a Uint8Array, as Run.snapshot() gives it", {
      value: given,
      expected: "Uint8Array",
    });
  }
  const view = new Uint8Array(given.buffer, given.byteOffset, given.byteLength);
  return view.byteOffset % 8 === 0 ? view : view.slice();
}

function damaged(why: string): CorruptStateError {
  return new CorruptStateError(`the checkpoint is damaged: ${why}`);
}

function manifestOf(bytes: Uint8Array): Manifest {
  try {
    return JSON.parse(new TextDecoder().decode(bytes)) as Manifest;
  } catch (cause) {
    throw new CorruptStateError("the checkpoint is damaged: its manifest is no JSON", { cause });
  }
}

function found(manifest: Manifest, body: Uint8Array): Saved {
  const { plan, sources, counts, ended, lateRows, partlyLateRows, nullTimes, chains, pending } = manifest;
  const isCount = (count: number) => Number.isSafeInteger(count) && count >= 0;
  const { rowsIn, batchesIn, rowsOut, batchesOut, backwardWatermarks } = counts;
  const all = [
    rowsIn,
    batchesIn,
    rowsOut,
    batchesOut,
    backwardWatermarks,
    lateRows,
    partlyLateRows,
    nullTimes,
  ];
  if (!all.every(isCount)) throw damaged("it has an impossible count");
  const isText = (text: unknown) => typeof text === "string";
  if (
    !plan.every(
      ({ source, columns, stages }) =>
        isText(source) &&
        columns.every(isText) &&
        stages.every(({ title, hash }) => isText(title) && isText(hash)),
    )
  )
    throw damaged("it does not tell its plan");
  for (const { rows, batches, watermark, clock } of sources) {
    const isTicks = (ticks: string | null) => ticks === null || /^-?\d{1,20}$/.test(ticks);
    if (!isCount(rows) || !isCount(batches) || !isTicks(watermark) || !isTicks(clock))
      throw damaged("it has an impossible position of a source");
  }
  const waiting = pending === null ? [] : streamOf(pending, body);
  // What the run had given by then. Rows of no columns take no bytes that would tell.
  if (waiting.some(({ length }) => !isCount(length)) || totalRows(waiting) > rowsOut)
    throw damaged("it has more results than it counts");
  return {
    plan,
    sources,
    counts,
    ended,
    lateRows,
    partlyLateRows,
    nullTimes,
    chains: chains.map(({ open, steps }) => ({
      open,
      steps: steps.map(
        (step) => step && { kept: step.kept, states: step.states.map((state) => batchesOf(state, body)) },
      ),
    })),
    pending: waiting,
  };
}

function totalRows(batches: readonly BatchData[]): number {
  return batches.reduce((sum, { length }) => sum + length, 0);
}

function streamOf({ offset, bytes }: Stream, body: Uint8Array): readonly BatchData[] {
  const isInside = Number.isSafeInteger(offset) && Number.isSafeInteger(bytes) && offset >= 0 && bytes >= 0;
  if (!isInside || offset % 8 !== 0 || offset + bytes > body.length)
    throw damaged("a stream lies outside it");
  return fromIpc(body.subarray(offset, offset + bytes)).batches;
}

/**
 * Whether results that waited when a run was saved are what its plan gives: they are handed out as they are, while all else
 * goes through the kernel, which looks at it. Of columns that are carried along only lists are looked into.
 * @throws CorruptStateError for other columns, MalformedArrowError for buffers that do not hold their rows.
 */
export function checkPending(pending: readonly BatchData[], schema: Schema): void {
  const columnsOf = (one: Schema) =>
    toArrowSchema(one)
      .fields.map(({ name, type }) => `${name}: ${type}`)
      .join(", ");
  const wanted = columnsOf(schema);
  for (const batch of pending) {
    const columns = columnsOf(batch.schema);
    if (columns !== wanted) throw damaged(`it has results of (${columns}), its plan gives (${wanted})`);
    checkHeld(batch);
    batch.columns.forEach((column, at) => {
      const list = listItems(column);
      if (list === null) return;
      const field = batch.schema.fields[at]!;
      const { length, type } = list.items;
      if (!list.ends.every((end, row) => end >= (list.ends[row - 1] ?? 0) && end <= length))
        throw damaged(`lists of column "${field.name}" lie outside their items`);
      checkHeldRows(list.items, { ...field, type }, 0, length);
    });
  }
}

/** The batches of a state in the order in which they came. */
function* batchesOf({ order, sections }: SavedState, body: Uint8Array): Generator<StateBatch> {
  const streams = new Map(
    Object.entries(sections).map(([section, stream]) => [Number(section), streamOf(stream, body).values()]),
  );
  for (const section of order) {
    const next = streams.get(section)?.next();
    if (next === undefined || next.done) throw damaged(`a batch of section ${section} is missing`);
    yield { ...next.value, section };
  }
}
