/// <reference lib="esnext.disposable" preserve="true" />
// Dividing rows among n partitions by their keys: the same way on every machine, whatever the encoding.

import { Abi } from "../../../kernel/abi/layout.js";
import { OperatorKind } from "../../../kernel/abi/operator.js";
import { Status } from "../../../kernel/abi/status.js";
import type { BatchData } from "../type/column.js";
import { type Schema, valueType } from "../type/data-type.js";
import { ArgumentError } from "../type/error.js";
import { ColumnLoader, type ColumnSpec, refuseDuplicates } from "./column-loader.js";
import { encodePartitionConfig } from "./config.js";
import type { InputBatch } from "./input.js";
import type { Kernel } from "./kernel.js";
import type { Operator } from "./operator.js";

export interface PartitionSpec {
  /** All columns of the input batches; those of types that the kernel does not know cannot be divided. */
  readonly columns: readonly ColumnSpec[];
  /** Names of the columns that decide. Equal keys (null too) go to the same partition. */
  readonly keys: readonly string[];
  /** How many partitions, 1 to 65,536. */
  readonly parts: number;
}

/** Rows of one partition. */
export interface PartitionBatch extends BatchData {
  readonly partition: number;
}

const MAX_PARTS = 65536;

export class Partition {
  readonly schema: Schema;
  readonly #operator: Operator;
  /** Place of each column of the schema among the operator's outputs, whose first are the keys. */
  readonly #places: readonly number[];

  /** @throws ArgumentError, UnknownColumnError or TypeMismatchError for a specification that does not hold. */
  constructor(kernel: Kernel, spec: PartitionSpec) {
    const { columns, keys, parts } = spec;
    if (!Number.isInteger(parts) || parts < 1 || parts > MAX_PARTS) {
      throw new ArgumentError(`parts: ${parts}: there can be 1 to ${MAX_PARTS} partitions`, { value: parts });
    }
    if (keys.length === 0) throw new ArgumentError("a partition needs a key");
    const loader = new ColumnLoader(columns);
    const fields = columns.map(({ name }) => {
      const field = loader.field(name);
      return { ...field, type: valueType(field.type) };
    });
    refuseDuplicates(fields);
    for (const name of keys) loader.output(name);
    this.#places = columns.map(({ name }) => loader.output(name));
    this.schema = { fields };
    const output = [...fields].sort((a, b) => loader.output(a.name) - loader.output(b.name));
    this.#operator = kernel.operator({
      kind: OperatorKind.PARTITION,
      config: encodePartitionConfig(loader.program.encode(), fields.length, new Set(keys).size, parts),
      columns: loader.columns,
      input: loader.input,
      output: { fields: output },
      emitsPerPush: true,
      labels: output.map(({ name }) => `column "${name}"`),
    });
  }

  /** Yields the rows of a batch, partition by partition (of each morsel); rows of a partition keep their order. */
  *split(input: InputBatch | BatchData): Generator<PartitionBatch> {
    const operator = this.#operator;
    while (operator.pull() !== null);
    const batch = operator.stage(input);
    for (let start = 0; start < batch.rows; start += Abi.MORSEL_ROWS) {
      const rows = Math.min(Abi.MORSEL_ROWS, batch.rows - start);
      if (operator.push(batch, start, rows) !== Status.HAS_MORE) continue;
      for (let part = operator.pullSection(); part !== null; part = operator.pullSection()) {
        const columns = this.#places.map((place) => part!.columns[place]!);
        yield { schema: this.schema, length: part.length, columns, partition: part.section };
      }
    }
  }

  /** Gives the memory back. Safe to call twice, and after a failure. */
  destroy(): void {
    this.#operator.destroy();
  }

  [Symbol.dispose](): void {
    this.destroy();
  }
}
