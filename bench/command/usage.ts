// What the command answers its caller: exit codes, and the error that bad usage is reported by.

export const ExitCode = {
  verified: 0,
  /** A result failed verification, or a run failed. */
  failed: 1,
  usage: 2,
  targetMissed: 3,
} as const;

export class UsageError extends Error {
  constructor(message: string) {
    super(message);
    this.name = "UsageError";
  }
}
