// What every file reader gives: the schema at once, the batches on demand, once.

import type { BatchData } from "../type/column.js";
import type { Schema } from "../type/data-type.js";

export interface BatchSource {
  readonly schema: Schema;
  /** The batches in order. May be called once. */
  batches(): AsyncIterable<BatchData>;
}
