// Progress on stderr: one line that is rewritten, and nothing at all where stderr is no terminal.

export interface Progress {
  show(text: string): void;
  clear(): void;
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
