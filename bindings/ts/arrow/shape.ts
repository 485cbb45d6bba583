// What Millrace reads of apache-arrow's objects, by their shape.
//
// A program may hold two copies of apache-arrow (its own, and one below a library): `instanceof` then
// says no to perfectly good tables. These interfaces name the few properties that versions 17 to 21 share.

/** Any typed array or DataView. */
export type ArrowBuffer = ArrayBufferView;

export interface ArrowType {
  readonly typeId: number;
  readonly children?: readonly ArrowField[] | null;
  readonly isSigned?: boolean;
  readonly bitWidth?: number;
  readonly precision?: number;
  readonly scale?: number;
  readonly unit?: number;
  readonly timezone?: string | null;
  readonly byteWidth?: number;
  readonly listSize?: number;
  readonly keysSorted?: boolean;
  readonly mode?: number;
  readonly typeIds?: ArrayLike<number>;
  readonly typeIdToChildIndex?: { readonly [typeId: number]: number };
  readonly indices?: ArrowType;
  readonly dictionary?: ArrowType;
  readonly isOrdered?: boolean;
  readonly id?: number;
}

export interface ArrowField {
  readonly name: string;
  readonly type: ArrowType;
  readonly nullable: boolean;
  readonly metadata?: Map<string, string>;
}

export interface ArrowSchema {
  readonly fields: readonly ArrowField[];
}

/** One chunk of a column. `offset` counts bits of `nullBitmap` (and of a boolean's `values`); the other buffers begin at row 0. */
export interface ArrowData {
  readonly type: ArrowType;
  readonly length: number;
  readonly offset: number;
  readonly nullCount: number;
  readonly _nullCount?: number;
  readonly stride: number;
  readonly nullBitmap?: Uint8Array | null;
  readonly values?: ArrowBuffer | null;
  readonly valueOffsets?: ArrowBuffer | null;
  readonly typeIds?: Int8Array | null;
  readonly children: readonly ArrowData[];
  readonly dictionary?: ArrowVector | null;
  readonly variadicBuffers?: readonly Uint8Array[];
  slice(offset: number, length: number): ArrowData;
}

export interface ArrowVector {
  readonly type: ArrowType;
  readonly data: readonly ArrowData[];
}

export interface ArrowBatch {
  readonly schema: ArrowSchema;
  readonly data: ArrowData;
}

export interface ArrowTable {
  readonly schema: ArrowSchema;
  readonly batches: readonly ArrowBatch[];
}

/** apache-arrow's `Type`, as instances carry it in `typeId`. */
export const TypeId = {
  Dictionary: -1,
  Null: 1,
  Int: 2,
  Float: 3,
  Binary: 4,
  Utf8: 5,
  Bool: 6,
  Decimal: 7,
  Date: 8,
  Time: 9,
  Timestamp: 10,
  Interval: 11,
  List: 12,
  Struct: 13,
  Union: 14,
  FixedSizeBinary: 15,
  FixedSizeList: 16,
  Map: 17,
  Duration: 18,
  LargeBinary: 19,
  LargeUtf8: 20,
  LargeList: 21,
  BinaryView: 23,
  Utf8View: 24,
} as const;

type Loose = { readonly [key: string]: unknown };

function isObject(value: unknown): value is Loose {
  return typeof value === "object" && value !== null;
}

function isSchema(value: unknown): boolean {
  return isObject(value) && Array.isArray(value.fields);
}

export function isArrowTable(value: unknown): value is ArrowTable {
  return isObject(value) && isSchema(value.schema) && Array.isArray(value.batches);
}

export function isArrowBatch(value: unknown): value is ArrowBatch {
  return isObject(value) && isSchema(value.schema) && isArrowData(value.data);
}

export function isArrowVector(value: unknown): value is ArrowVector {
  return isObject(value) && isType(value.type) && Array.isArray(value.data) && value.data.every(isArrowData);
}

export function isArrowData(value: unknown): value is ArrowData {
  return (
    isObject(value) && isType(value.type) && Array.isArray(value.children) && typeof value.length === "number"
  );
}

function isType(value: unknown): boolean {
  return isObject(value) && typeof value.typeId === "number";
}

/** Bytes that may hold Arrow IPC. */
export function isBytes(value: unknown): value is Uint8Array | ArrayBuffer {
  return (
    value instanceof Uint8Array ||
    value instanceof ArrayBuffer ||
    (typeof SharedArrayBuffer !== "undefined" && value instanceof SharedArrayBuffer)
  );
}

/** The bytes under a view of any element type; none for an absent buffer. */
export function viewBytes(view: ArrowBuffer | null | undefined): Uint8Array {
  return view ? new Uint8Array(view.buffer, view.byteOffset, view.byteLength) : new Uint8Array(0);
}
