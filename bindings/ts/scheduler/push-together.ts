// Several aggregations of the same rows pushed in one call, by one program (kernel/operator/aggregate-together.ts).

import { OperatorKind } from "../../../kernel/abi/operator.js";
import { Status } from "../../../kernel/abi/status.js";
import type { InputBatch, Kernel, Operator } from "../kernel/index.js";
import type { TogetherProgram } from "../plan/index.js";
import { SET_BYTES } from "../pool/index.js";
import type { Schema } from "../type/data-type.js";
import type { MillraceError } from "../type/error.js";
import type { Target } from "./shared-push.js";

/** Pushes in a row that found no room for all sets at once, after which they are pushed one by one for good. */
const MOST_REFUSED = 2;

export class PushTogether implements Target {
  readonly kernel: Kernel;
  /** Those of the sets. */
  readonly operators: readonly Operator[];
  /** The projection whose program all share. */
  readonly #leader: Operator;
  #sets = 0;
  #refused = 0;

  /** @param operators of the sets, in the order of `program.outputs` */
  constructor(kernel: Kernel, program: TogetherProgram, operators: readonly Operator[]) {
    this.kernel = kernel;
    this.operators = operators;
    const { config, columns, instructions } = program;
    this.#leader = kernel.operator({
      kind: OperatorKind.PROJECT,
      config,
      columns,
      output: { fields: [] },
      instruction: (index) => instructions[index],
    });
    try {
      this.#sets = this.#list(program.outputs);
    } catch (error) {
      this.free();
      throw error;
    }
  }

  #list(outputs: readonly (readonly number[])[]): number {
    const heads = SET_BYTES * outputs.length;
    const numbers = outputs.flat();
    const address = this.kernel.allocate(heads + 4 * numbers.length);
    const { view } = this.kernel.memory;
    let at = address + heads;
    for (const [index, own] of outputs.entries()) {
      view.setUint32(address + SET_BYTES * index, this.operators[index]!.handle, true);
      view.setUint32(address + SET_BYTES * index + 4, at, true);
      at += 4 * own.length;
    }
    for (const [index, output] of numbers.entries())
      view.setUint32(address + heads + 4 * index, output, true);
    return address;
  }

  get handle(): number {
    return this.#leader.handle;
  }

  get columns(): readonly number[] {
    return this.#leader.columns;
  }

  /** The sets as the kernel is told of them. */
  get sets(): number {
    return this.#sets;
  }

  /** HAS_MORE when any set has changes to give. */
  push(input: InputBatch, start: number, rows: number, firstRow: number): Status {
    const address = input.describe(this.columns, start, rows, firstRow);
    const status = this.pushDescribed(address, input.schema, firstRow + start);
    input.accepted?.(this.columns, start, rows);
    return status;
  }

  /** The same with a morsel that lies described in kernel memory, whose row 0 is `firstRow`. */
  pushDescribed(address: number, schema: Schema, firstRow: number): Status {
    const count = this.operators.length;
    if (this.#refused < MOST_REFUSED) {
      const status = this.#leader.pushTogether(address, schema, firstRow, this.#sets, count);
      this.#refused = status === null ? this.#refused + 1 : 0;
      if (status !== null) return status;
    }
    let all: Status = Status.NEED_INPUT;
    for (let index = 0; index < count; index++) {
      const set = this.#sets + SET_BYTES * index;
      if (this.#leader.pushTogether(address, schema, firstRow, set, 1) === Status.HAS_MORE)
        all = Status.HAS_MORE;
    }
    return all;
  }

  pushError(record: number, schema: Schema, firstRow: number): MillraceError {
    return this.#leader.pushError(record, schema, firstRow);
  }

  free(): void {
    this.#leader.destroy();
    if (this.#sets !== 0 && this.kernel.isAlive) this.kernel.free(this.#sets);
    this.#sets = 0;
  }
}
