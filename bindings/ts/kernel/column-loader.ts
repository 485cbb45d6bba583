// Columns by name as a program: the friendly forms of operators, which take columns as they are.

import { Type } from "../../../kernel/abi/layout.js";
import { type DataType, type Field, physicalType, typeName, valueType } from "../type/data-type.js";
import { ArgumentError, TypeMismatchError, UnknownColumnError } from "../type/error.js";
import { ProgramBuilder } from "./program.js";

/** A column of the input batches, in their order. */
export interface ColumnSpec {
  readonly name: string;
  readonly type: DataType;
  readonly nullable?: boolean | undefined;
}

/** Columns by name, each loaded once into a program. */
export class ColumnLoader {
  readonly program = new ProgramBuilder();
  /** Columns in use, as indices into the input. */
  readonly columns: number[] = [];
  readonly input: Field[] = [];
  readonly #specs: readonly ColumnSpec[];
  readonly #outputs = new Map<string, number>();

  constructor(specs: readonly ColumnSpec[]) {
    this.#specs = specs;
  }

  /** @throws UnknownColumnError, or TypeMismatchError for a type that the kernel does not know. */
  field(name: string): Field {
    const spec = this.#specs.find((column) => column.name === name);
    if (spec === undefined) {
      throw new UnknownColumnError(
        name,
        this.#specs.map((column) => column.name),
      );
    }
    if (loadedType(spec.type) === Type.NONE) {
      throw new TypeMismatchError(
        `column "${name}" is a ${typeName(spec.type)}, which Millrace cannot compute on`,
        {
          column: name,
        },
      );
    }
    return { name, type: spec.type, nullable: spec.nullable ?? true };
  }

  /** Index of the program output that is the column. */
  output(name: string): number {
    let output = this.#outputs.get(name);
    if (output === undefined) {
      output = this.program.output(this.program.load(this.#column(name)));
      this.#outputs.set(name, output);
    }
    return output;
  }

  /** Keeps the rows where the bool column is true. Before any `output`. */
  filter(name: string): void {
    this.requireBool(name);
    this.program.filter(this.program.load(this.#column(name)));
  }

  requireBool(name: string): void {
    const { type } = this.field(name);
    if (valueType(type).kind === "bool") return;
    throw new TypeMismatchError(`a filter must be a bool column, "${name}" is ${typeName(type)}`, {
      column: name,
      expected: "bool",
    });
  }

  #column(name: string): number {
    const known = this.input.findIndex((field) => field.name === name);
    if (known >= 0) return known;
    const field = this.field(name);
    this.columns.push(this.#specs.findIndex((column) => column.name === name));
    this.input.push(field);
    return this.program.column(loadedType(field.type));
  }
}

/** Physical type of a column's values in a program: dictionaries are their values, large texts are texts. */
export function loadedType(type: DataType): Type {
  const physical = physicalType(valueType(type));
  return physical === Type.LARGE_BYTES ? Type.BYTES : physical;
}

export function refuseDuplicates(fields: readonly Field[]): void {
  const names = new Set<string>();
  for (const { name } of fields) {
    if (names.has(name))
      throw new ArgumentError(`two results are called "${name}"`, { column: name, value: name });
    names.add(name);
  }
}
