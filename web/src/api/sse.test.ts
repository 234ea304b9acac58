import { describe, expect, it } from "vitest";
import { EventParser, followEvents, type ServerEvent, type StreamStatus } from "./sse";

const parse = (...chunks: string[]) => {
  const parser = new EventParser();
  return chunks.flatMap((chunk) => parser.push(chunk));
};

describe("EventParser", () => {
  const stream =
    'id: 7\nevent: trial.completed\ndata: {"trial_id":"j1-3"}\n\n: heartbeat\n\nid: 8\ndata: a\ndata: b\n\n';

  it("reads id, kind and data, and skips comments", () => {
    expect(parse(stream)).toEqual([
      { id: "7", kind: "trial.completed", data: '{"trial_id":"j1-3"}' },
      { id: "8", kind: "message", data: "a\nb" },
    ]);
  });

  it("gives the same events wherever the stream is cut", () => {
    const whole = parse(stream);
    for (let cut = 1; cut < stream.length; cut++) {
      expect(parse(stream.slice(0, cut), stream.slice(cut))).toEqual(whole);
    }
  });

  it("understands carriage returns, also when a chunk ends between the two", () => {
    expect(parse("data: x\r", "\n\r\ndata: y\r\n\r\n").map((event) => event.data)).toEqual(["x", "y"]);
  });

  it("keeps the last id for events that carry none, and drops events without data", () => {
    expect(parse("id: 1\ndata: a\n\nevent: note\n\ndata: b\n\n")).toEqual([
      { id: "1", kind: "message", data: "a" },
      { id: "1", kind: "message", data: "b" },
    ]);
  });
});

describe("followEvents", () => {
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
