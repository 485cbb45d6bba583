// What goes wrong in files: text that is not of the file's format, and values that are not of a column's type.

import { type ErrorDetails, MillraceError } from "../type/error.js";

export interface FileErrorDetails extends ErrorDetails {
  readonly path: string;
  /** Line of the file, counted from 1; undefined for binary files. */
  readonly line?: number | undefined;
}

/** A file that cannot be read as its format, or a value in it that cannot be read as its column's type. */
export class MalformedFileError extends MillraceError {
  readonly path: string;
  readonly line: number | undefined;

  /** The message is put behind `path:line: `. */
  constructor(message: string, details: FileErrorDetails) {
    const place = details.line === undefined ? details.path : `${details.path}:${details.line}`;
    super("MALFORMED_FILE", `${place}: ${message}`, details);
    this.path = details.path;
    this.line = details.line;
  }
}
