/**
 * Server-sent events over `fetch`. The browser's own EventSource cannot send an Authorization header, hence this reader.
 * Format: https://html.spec.whatwg.org/multipage/server-sent-events.html#parsing-an-event-stream
 */

export interface ServerEvent {
  id: string;
  kind: string;
  data: string;
}

/** Turns chunks of an event stream, cut anywhere, into whole events. Remembers the last id, as the standard asks. */
export class EventParser {
  private pending = "";
  private kind = "";
  private data: string[] = [];
  private id = "";

  /** Feed the next chunk; returns the events it completed. */
  push(chunk: string): ServerEvent[] {
    this.pending += chunk;
    const lines = this.pending.split(/\r\n|\n|\r(?!$)/);
    this.pending = lines.pop() ?? "";
    return lines.map((line) => this.line(line)).filter((event) => event !== null);
  }

  private line(line: string): ServerEvent | null {
    if (line === "") return this.dispatch();
    const colon = line.indexOf(":");
    if (colon === 0) return null; // a comment: the server's heartbeat
    const field = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
    if (field === "data") this.data.push(value);
    else if (field === "event") this.kind = value;
    else if (field === "id" && !value.includes("\0")) this.id = value;
    return null;
  }

  private dispatch(): ServerEvent | null {
    const event = { id: this.id, kind: this.kind || "message", data: this.data.join("\n") };
    const empty = this.data.length === 0;
    this.kind = "";
    this.data = [];
    return empty ? null : event;
  }
}

export type StreamStatus =
  | { state: "connecting" }
  | { state: "live" }
  | { state: "waiting"; seconds: number; reason: string }
  | { state: "refused"; reason: string };

interface StreamOptions {
  open: (lastEventId: string, signal: AbortSignal) => Promise<Response>;
  onEvent: (event: ServerEvent) => void;
  onStatus: (status: StreamStatus) => void;
  signal: AbortSignal;
  /** Whether trying again cannot help. */
  isFinal: (error: unknown) => boolean;
  /** The server sends a heartbeat every 15 s; a stream silent for longer than this is taken for dead. */
  silenceMs?: number;
}

/** Follow a stream until `signal` aborts or the server refuses: resumes after the last event, waits 1, 2, 4 … 15 s between failures. */
export async function followEvents(options: StreamOptions): Promise<void> {
  let lastEventId = "";
  let failures = 0;
  while (!options.signal.aborted) {
    options.onStatus({ state: "connecting" });
    let reason = "the service closed the stream";
    try {
      await readOnce(
        options,
        lastEventId,
        (event) => {
          if (event.id) lastEventId = event.id;
          options.onEvent(event);
        },
        () => {
          failures = 0;
        },
      );
    } catch (error) {
      reason = error instanceof Error ? error.message : String(error);
      if (!options.signal.aborted && options.isFinal(error)) return options.onStatus({ state: "refused", reason });
    }
    if (options.signal.aborted) return;
    const seconds = Math.min(15, 2 ** failures);
    failures += 1;
    options.onStatus({ state: "waiting", seconds, reason });
    await pause(seconds * 1000, options.signal);
  }
}

async function readOnce(
  { open, onStatus, signal, silenceMs = 40_000 }: StreamOptions,
  lastEventId: string,
  onEvent: (event: ServerEvent) => void,
  onOpen: () => void,
): Promise<void> {
  const attempt = new AbortController();
  const abort = () => attempt.abort(signal.reason);
  signal.addEventListener("abort", abort, { once: true });
  let watchdog: ReturnType<typeof setTimeout> | undefined;
  const heard = () => {
    clearTimeout(watchdog);
    watchdog = setTimeout(() => attempt.abort(new Error("no word from the service")), silenceMs);
  };
  try {
    heard();
    const response = await open(lastEventId, attempt.signal);
    if (!response.body) throw new Error("the service sent no stream");
    onOpen();
    onStatus({ state: "live" });
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    const parser = new EventParser();
    for (let part = await reader.read(); !part.done; part = await reader.read()) {
      heard();
      parser.push(part.value).forEach(onEvent);
    }
  } finally {
    clearTimeout(watchdog);
    signal.removeEventListener("abort", abort);
  }
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    signal.addEventListener(
      "abort",
      () => {
        clearTimeout(timer);
        resolve();
      },
      { once: true },
    );
  });
}
