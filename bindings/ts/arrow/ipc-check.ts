// Whether the metadata of Arrow IPC bytes can be walked at all, asked before apache-arrow walks it.
//
// Metadata are FlatBuffers: a vector says how long it is, and apache-arrow believes it. A few damaged bytes would ask
// for 2^31 fields, each an object of its own, and end the process for want of memory. So every vector of tables or
// structs must lie within the bytes of its message, and no more tables may be met than those bytes can hold (tables
// that several vectors share would else multiply with each level). What the values mean is not looked at: damage that
// leaves the metadata small is an error of apache-arrow's, or of ours, later on. But a block of a file's footer must
// name a message of its kind: apache-arrow would read another for ever.

import { MalformedArrowError } from "../type/error.js";

/** What stands at a table's fields, by number; others are scalars, or not walked. */
interface Shape {
  readonly tables?: Readonly<Record<number, () => Shape>>;
  /** Vectors of tables. */
  readonly lists?: Readonly<Record<number, () => Shape>>;
  /** Vectors of structs and scalars: bytes an item. */
  readonly items?: Readonly<Record<number, number>>;
}

// Of Arrow's Schema.fbs, Message.fbs and File.fbs.
const KEY_VALUE: Shape = {};
const FIELD: Shape = { lists: { 5: () => FIELD, 6: () => KEY_VALUE } };
const SCHEMA: Shape = { lists: { 1: () => FIELD, 2: () => KEY_VALUE }, items: { 3: 8 } };
const RECORD_BATCH: Shape = { items: { 1: 16, 2: 16, 4: 8 } };
const DICTIONARY_BATCH: Shape = { tables: { 1: () => RECORD_BATCH } };
const HEADERS: readonly (Shape | undefined)[] = [undefined, SCHEMA, DICTIONARY_BATCH, RECORD_BATCH];
const [DICTIONARY, RECORDS] = [2, 3];
const MESSAGE: Shape = { lists: { 4: () => KEY_VALUE } };
const [HEADER_TYPE, HEADER, BODY_LENGTH] = [1, 2, 3];
const BLOCK_BYTES = 24;
/** The footer's fields of blocks, with the kind of the messages there: numbers of HEADERS. */
const BLOCKS = [
  [2, DICTIONARY],
  [3, RECORDS],
] as const;
const FOOTER: Shape = {
  tables: { 1: () => SCHEMA },
  lists: { 4: () => KEY_VALUE },
  items: { 2: BLOCK_BYTES, 3: BLOCK_BYTES },
};

/** "ARROW1" stands at both ends of a file. */
const MAGIC = [0x41, 0x52, 0x52, 0x4f, 0x57, 0x31];
const MAGIC_BYTES = 8;
const CONTINUATION = -1;
/** The least that a table takes: its own offset to the fields' places. */
const TABLE_BYTES = 4;

/** @throws MalformedArrowError for metadata that contradict their own size; ends where the bytes end early. */
export function checkIpc(bytes: Uint8Array): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const isFile = MAGIC.every((byte, at) => bytes[at] === byte);
  checkStream(view, isFile ? MAGIC_BYTES : 0);
  if (isFile) checkFooter(view);
}

function checkStream(view: DataView, from: number): void {
  for (let at = from; ; ) {
    const message = checkMessage(view, at);
    if (message === null) return;
    // apache-arrow looks for the next message there: of others than batches it does not believe that they have a body.
    const isBatch = message.type === DICTIONARY || message.type === RECORDS;
    at = message.end + (isBatch ? Math.max(message.body, 0) : 0);
  }
}

/** Messages of a file lie where its footer says, and the footer lies before the file's last bytes. */
function checkFooter(view: DataView): void {
  const tail = view.byteLength - MAGIC.length;
  const end = tail - 4;
  if (end < MAGIC_BYTES || !MAGIC.every((byte, at) => view.getUint8(tail + at) === byte))
    throw malformed("a file that does not end with ARROW1 is cut off");
  const start = end - view.getInt32(end, true);
  // apache-arrow would take what lies elsewhere for a footer.
  if (start < MAGIC_BYTES || end - start < 8) throw malformed("the footer lies outside the file");
  const walk = new Walk(view, start, end);
  const root = walk.root();
  walk.table(root, FOOTER);
  for (const [field, wanted] of BLOCKS) {
    for (const block of walk.structs(root, field, BLOCK_BYTES)) {
      const message = checkMessage(view, Number(view.getBigInt64(block, true)));
      // apache-arrow reads the same block again and again until it is of its kind.
      if (message !== null && message.type !== wanted)
        throw malformed("the footer names a message of another kind");
    }
  }
}

/** The message at a place: its kind, its end, and how long its body is. Null where none can be read. */
function checkMessage(view: DataView, at: number): { type: number; end: number; body: number } | null {
  if (at < 0) throw malformed(`the footer names a message at ${at}`);
  if (at + 8 > view.byteLength) return null;
  const first = view.getInt32(at, true);
  const isMarked = first === CONTINUATION;
  const length = isMarked ? view.getInt32(at + 4, true) : first;
  const start = at + (isMarked ? 8 : 4);
  const end = start + length;
  if (length < 0) throw malformed(`a message has ${length} bytes`);
  if (length === 0 || end > view.byteLength) return null;
  const walk = new Walk(view, start, end);
  const root = walk.root();
  walk.table(root, MESSAGE);
  const kind = walk.field(root, HEADER_TYPE);
  const type = kind === 0 ? 0 : view.getUint8(kind);
  const header = walk.field(root, HEADER);
  const shape = HEADERS[type];
  if (header !== 0 && shape !== undefined) walk.table(walk.target(header), shape);
  const body = walk.field(root, BODY_LENGTH);
  if (body === 0) return { type, end, body: 0 };
  walk.within(body, 8);
  return { type, end, body: Number(view.getBigInt64(body, true)) };
}

/** One FlatBuffer, between two places of the bytes. */
class Walk {
  readonly #view: DataView;
  readonly #start: number;
  readonly #end: number;
  #left: number;

  constructor(view: DataView, start: number, end: number) {
    this.#view = view;
    this.#start = start;
    this.#end = end;
    this.#left = Math.floor((end - start) / TABLE_BYTES);
  }

  root(): number {
    return this.target(this.#start);
  }

  /** Goes through a table and all that hangs on it. */
  table(at: number, { tables = {}, lists = {}, items = {} }: Shape): void {
    if (--this.#left < 0) throw malformed("its tables are more than its bytes can hold");
    for (const [field, shape] of Object.entries(tables)) {
      const place = this.field(at, Number(field));
      if (place !== 0) this.table(this.target(place), shape());
    }
    for (const [field, shape] of Object.entries(lists)) {
      for (const item of this.structs(at, Number(field), 4)) this.table(this.target(item), shape());
    }
    for (const [field, bytes] of Object.entries(items)) this.structs(at, Number(field), bytes);
  }

  /** Place of a table's field; 0 when it has none. */
  field(at: number, number: number): number {
    this.within(at, 4);
    const places = at - this.#view.getInt32(at, true);
    this.within(places, 4);
    const slot = 4 + 2 * number;
    const size = this.#view.getUint16(places, true);
    this.within(places, size);
    if (size > 0x7fff) throw malformed("a table has more fields than there are");
    // As apache-arrow asks: of a size that is odd it reads a byte beyond it.
    if (slot >= size) return 0;
    this.within(places + slot, 2);
    const offset = this.#view.getUint16(places + slot, true);
    // apache-arrow takes it as signed.
    if (offset > 0x7fff) throw malformed("a field lies before its table");
    if (offset === 0) return 0;
    this.within(at + offset, 1);
    return at + offset;
  }

  /** Where an offset points to. */
  target(at: number): number {
    this.within(at, 4);
    return at + this.#view.getUint32(at, true);
  }

  /** Places of the items of a vector; none when there is no such field. */
  structs(at: number, field: number, bytes: number): number[] {
    const place = this.field(at, field);
    if (place === 0) return [];
    const vector = this.target(place);
    this.within(vector, 4);
    const length = this.#view.getUint32(vector, true);
    this.within(vector + 4, length * bytes);
    return Array.from({ length }, (_, item) => vector + 4 + item * bytes);
  }

  within(at: number, bytes: number): void {
    if (at < this.#start || at + bytes > this.#end)
      throw malformed(`byte ${at} of ${bytes} lies outside the message`);
  }
}

function malformed(why: string): MalformedArrowError {
  return new MalformedArrowError(`the bytes are not Arrow IPC: their metadata contradict themselves: ${why}`);
}
