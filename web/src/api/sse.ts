/** Server-sent events over `fetch`: the browser's own EventSource cannot send an Authorization header. */
import { EventSourceParserStream } from "eventsource-parser/stream";

export interface ServerEvent {
  id: string;
  kind: string;
  data: string;
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
    const reader = response.body
      .pipeThrough(new TextDecoderStream())
      .pipeThrough(new EventSourceParserStream({ onComment: heard }))
      .getReader();
    for (let part = await reader.read(); !part.done; part = await reader.read()) {
      heard();
      const { id = "", event = "message", data } = part.value;
      onEvent({ id, kind: event, data });
    }
  } finally {
    clearTimeout(watchdog);
    signal.removeEventListener("abort", abort);
  }
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
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
