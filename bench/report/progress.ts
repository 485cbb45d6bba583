// Progress on stderr: one line that is rewritten, and nothing at all where stderr is no terminal.

export interface Progress {
  show(text: string): void;
  clear(): void;
}

/** In words. */
export function timeLeftText(ms: number): string {
  const seconds = Math.round(ms / 1000);
  return `about ${seconds < 100 ? `${seconds} s` : `${Math.round(seconds / 60)} min`} left`;
}

/** How far rows are: how many, how fast, and the time left once half a second has shown it. */
export function rowsText(rows: number, total: number, elapsedMs: number): string {
  const text = `${rows.toLocaleString("en-US")} of ${total.toLocaleString("en-US")} rows`;
  if (rows === 0 || elapsedMs < 500) return text;
  const rate = `${(rows / elapsedMs / 1000).toPrecision(3)} M rows/s`;
  return `${text}, ${rate}, ${timeLeftText((elapsedMs / rows) * (total - rows))}`;
}

export function progressOn(stream: NodeJS.WriteStream, quiet = false): Progress {
  if (quiet || !stream.isTTY) return { show() {}, clear() {} };
  const clear = () => {
    stream.write("\r\u001b[K");
  };
  return {
    show(text) {
      clear();
      stream.write(text.slice(0, Math.max(20, (stream.columns ?? 80) - 1)));
    },
    clear,
  };
}
