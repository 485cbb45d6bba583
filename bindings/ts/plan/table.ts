// The one place where plans touch Arrow: the schema of a table that a plan is built from.

import { isArrowTable } from "../arrow/shape.js";
import { fromArrowSchema } from "../arrow/type.js";
import type { Schema } from "../type/data-type.js";
import { ArgumentError } from "../type/error.js";

/** Schema of an Arrow table, of any copy of apache-arrow. Throws ArgumentError for anything else. */
export function readTableSchema(value: object): Schema {
  if (!isArrowTable(value)) {
    throw new ArgumentError(
      `from takes the name of a source, source(...) or an Arrow table, not ${value?.constructor?.name ?? typeof value}`,
      { value, expected: "a name, source(...) or an Arrow table" },
    );
  }
  return fromArrowSchema(value.schema);
}
