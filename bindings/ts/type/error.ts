// The errors that users see: one small hierarchy with stable codes.
//
// `code` is for programs, `message` for people; the fields say where, as far as it is known.

export type ErrorCode =
  | "PLAN"
  | "UNKNOWN_COLUMN"
  | "TYPE"
  | "SCHEMA_MISMATCH"
  | "MALFORMED_ARROW"
  | "MALFORMED_FILE"
  | "OVERFLOW"
  | "CAST"
  | "RETRACTION"
  | "MEMORY_LIMIT"
  | "SPILL"
  | "CORRUPT_STATE"
  | "CHECKPOINT"
  | "KERNEL_TRAP"
  | "WORKER"
  | "CLOSED"
  | "ARGUMENT";

export interface ErrorDetails {
  /** The column (or result) that the error is about. */
  readonly column?: string | undefined;
  /** Row, counted from 0 over the whole input of the run. */
  readonly row?: number | undefined;
  /** The value itself: number, bigint, string or bytes. */
  readonly value?: unknown;
  /** What was expected instead. */
  readonly expected?: string | undefined;
  readonly cause?: unknown;
}

/** Base class of everything that Millrace throws on purpose. */
export class MillraceError extends Error implements ErrorDetails {
  readonly code: ErrorCode;
  readonly column: string | undefined;
  readonly row: number | undefined;
  readonly value: unknown;
  readonly expected: string | undefined;

  constructor(code: ErrorCode, message: string, details: ErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.name = new.target.name;
    this.code = code;
    this.column = details.column;
    this.row = details.row;
    this.value = details.value;
    this.expected = details.expected;
  }
}

/** A plan that cannot work, whatever the data: found when it is built or bound. */
export class PlanError extends MillraceError {
  constructor(message: string, details?: ErrorDetails, code: ErrorCode = "PLAN") {
    super(code, message, details);
  }
}

/** A column name that does not exist; the message lists the nearest names. */
export class UnknownColumnError extends PlanError {
  constructor(column: string, available: readonly string[]) {
    const near = nearestNames(column, available);
    const hint =
      near.length > 0
        ? `did you mean ${near.map((name) => `"${name}"`).join(" or ")}?`
        : `there is no such column.`;
    super(
      `unknown column "${column}": ${hint} Columns: ${available.length > 0 ? available.join(", ") : "(none)"}`,
      { column, expected: near.join(", ") },
      "UNKNOWN_COLUMN",
    );
  }
}

/** An operation on a type that it is not defined for. */
export class TypeMismatchError extends PlanError {
  constructor(message: string, details?: ErrorDetails) {
    super(message, details, "TYPE");
  }
}

/** A batch whose schema differs from the schema of the plan or of the batches before it. */
export class SchemaMismatchError extends MillraceError {
  constructor(message: string, details?: ErrorDetails) {
    super("SCHEMA_MISMATCH", message, details);
  }
}

/** An Arrow buffer that contradicts itself. */
export class MalformedArrowError extends MillraceError {
  constructor(message: string, details?: ErrorDetails) {
    super("MALFORMED_ARROW", message, details);
  }
}

/** A value does not fit its result type. */
export class OverflowError extends MillraceError {
  constructor(message: string, details?: ErrorDetails) {
    super("OVERFLOW", message, details);
  }
}

/** A changelog that takes more back than came, or has a row kind that there is not. */
export class RetractionError extends MillraceError {
  constructor(message: string, details?: ErrorDetails) {
    super("RETRACTION", message, details);
  }
}

/** A value cannot be converted. */
export class CastError extends MillraceError {
  constructor(message: string, details?: ErrorDetails) {
    super("CAST", message, details);
  }
}

/** Who holds how much of the memory. */
export interface MemoryHolder {
  readonly what: string;
  readonly bytes: number;
}

/** The memory budget (or the 4 GiB of a WebAssembly memory) is exhausted. The engine stays usable. */
export class MemoryLimitError extends MillraceError {
  /** What held how much when it happened, most first; empty where no run knows. */
  readonly held: readonly MemoryHolder[];

  constructor(message: string, details?: ErrorDetails & { readonly held?: readonly MemoryHolder[] }) {
    super("MEMORY_LIMIT", message, details);
    this.held = details?.held ?? [];
  }
}

/** A spill file that cannot be written (the disk is full) or read back, or a spill directory that cannot be used. */
export class SpillError extends MillraceError {
  readonly path: string;

  constructor(message: string, details: ErrorDetails & { readonly path: string }) {
    super("SPILL", message, details);
    this.path = details.path;
  }
}

/** A state batch that another version, operator or configuration wrote, or that is damaged. */
export class CorruptStateError extends MillraceError {
  constructor(message: string, details?: ErrorDetails) {
    super("CORRUPT_STATE", message, details);
  }
}

/** A stream that cannot be saved, as one of its steps cannot be, or a checkpoint of another plan or version. */
export class CheckpointError extends MillraceError {
  constructor(message: string, details?: ErrorDetails) {
    super("CHECKPOINT", message, details);
  }
}

/** The kernel trapped: a defect of Millrace. The engine is dead; open another. */
export class KernelTrapError extends MillraceError {
  constructor(message: string, details?: ErrorDetails) {
    super("KERNEL_TRAP", message, details);
  }
}

/** A thread of the engine's worker pool did not start, or ended while it was at work on the query. The engine stays usable. */
export class WorkerError extends MillraceError {
  constructor(message: string, details?: ErrorDetails) {
    super("WORKER", message, details);
  }
}

/** The engine, run or operator was closed before. */
export class ClosedError extends MillraceError {
  constructor(message: string, details?: ErrorDetails) {
    super("CLOSED", message, details);
  }
}

/** An argument of a call is out of range or of the wrong type. */
export class ArgumentError extends MillraceError {
  constructor(message: string, details?: ErrorDetails) {
    super("ARGUMENT", message, details);
  }
}

/** The names nearest to `name` by edit distance, best first, at most three. */
export function nearestNames(name: string, available: readonly string[]): string[] {
  const limit = Math.max(2, Math.floor(name.length / 3));
  return available
    .map((candidate) => ({ candidate, distance: editDistance(name.toLowerCase(), candidate.toLowerCase()) }))
    .filter(({ distance }) => distance <= limit)
    .sort((a, b) => a.distance - b.distance)
    .slice(0, 3)
    .map(({ candidate }) => candidate);
}

/** Levenshtein distance, two rows of the table at a time. */
function editDistance(a: string, b: string): number {
  let previous = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i++) {
    const current = [i];
    for (let j = 1; j <= b.length; j++) {
      const substitution = previous[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1);
      current.push(Math.min(previous[j]! + 1, current[j - 1]! + 1, substitution));
    }
    previous = current;
  }
  return previous[b.length]!;
}
