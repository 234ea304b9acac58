import { describe, expect, it } from "vitest";
import { followEvents, type ServerEvent, type StreamStatus } from "./sse";

/** A body that arrives in pieces, cut anywhere. */
const pieces = (...chunks: string[]) =>
  new Response(
    new ReadableStream({
      start(controller) {
        for (const chunk of chunks) controller.enqueue(new TextEncoder().encode(chunk));
        controller.close();
      },
    }),
  );

describe("followEvents", () => {
  it("reads events wherever the stream is cut, and takes comments for signs of life", async () => {
    const stream = 'id: 7\r\nevent: front\r\ndata: {"size":1}\r\n\r\n: heartbeat\n\nid: 8\ndata: a\ndata: b\n\n';
    for (const cut of [3, 8, 20, 41, 60]) {
      const stop = new AbortController();
      const seen: ServerEvent[] = [];
      await followEvents({
        open: async () => pieces(stream.slice(0, cut), stream.slice(cut)),
        onEvent: (event) => seen.push(event),
        onStatus: (status) => status.state === "waiting" && stop.abort(),
        isFinal: () => false,
        signal: stop.signal,
      });
      expect(seen).toEqual([
        { id: "7", kind: "front", data: '{"size":1}' },
        { id: "8", kind: "message", data: "a\nb" },
      ]);
    }
  });

  it("resumes after the last event it saw and reports its state", async () => {
    const stop = new AbortController();
    const asked: string[] = [];
    const seen: ServerEvent[] = [];
    const states: StreamStatus["state"][] = [];
    const bodies = ["id: 1\ndata: one\n\n", "id: 2\ndata: two\n\n"];
    await followEvents({
      open: async (lastEventId) => {
        asked.push(lastEventId);
        return new Response(bodies.shift() ?? "");
      },
      onEvent: (event) => {
        seen.push(event);
        if (event.id === "2") stop.abort();
      },
      onStatus: (status) => states.push(status.state),
      isFinal: () => false,
      signal: stop.signal,
    });
    expect(asked).toEqual(["", "1"]);
    expect(seen.map((event) => event.data)).toEqual(["one", "two"]);
    expect(states).toEqual(["connecting", "live", "waiting", "connecting", "live"]);
  });

  it("says why it waits when the service cannot be reached", async () => {
    const stop = new AbortController();
    const statuses: StreamStatus[] = [];
    await followEvents({
      open: () => Promise.reject(new Error("refused")),
      onEvent: () => {},
      onStatus: (status) => {
        statuses.push(status);
        if (status.state === "waiting") stop.abort();
      },
      isFinal: () => false,
      signal: stop.signal,
    });
    expect(statuses.at(-1)).toEqual({ state: "waiting", seconds: 1, reason: "refused" });
  });

  it("gives up when it is refused", async () => {
    const statuses: StreamStatus[] = [];
    await followEvents({
      open: () => Promise.reject(new Error("no such job")),
      onEvent: () => {},
      onStatus: (status) => statuses.push(status),
      isFinal: (error) => error instanceof Error && error.message === "no such job",
      signal: new AbortController().signal,
    });
    expect(statuses).toEqual([{ state: "connecting" }, { state: "refused", reason: "no such job" }]);
  });
});
