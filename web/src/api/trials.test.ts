import { Int32, Table, tableToIPC, vectorFromArray } from "apache-arrow";
import { QueryClient } from "@tanstack/react-query";
import { afterEach, expect, it, vi } from "vitest";
import { trialsOf } from "./trials";

/** On a slow and busy machine. */
const PATIENCE_MS = 120_000;

afterEach(() => void vi.unstubAllGlobals());

/** A service whose trials have every number below `last` but one, and the requests that it was sent. */
function service(last: number, gap: number): { asked: string[]; atOnce: () => number } {
  const asked: string[] = [];
  let [open, most] = [0, 0];
  const numbers = Array.from({ length: last }, (_, number) => number).filter((number) => number !== gap);
  vi.stubGlobal("sessionStorage", { getItem: () => null });
  vi.stubGlobal("fetch", async (url: string) => {
    open += 1;
    most = Math.max(most, open);
    await new Promise((answer) => setTimeout(answer));
    open -= 1;
    const query = new URLSearchParams(url.split("?")[1]);
    asked.push(url);
    const below = numbers.filter((number) => number < Number(query.get("before") ?? Infinity));
    const number = vectorFromArray(below.slice(-Number(query.get("limit"))), new Int32());
    return new Response(tableToIPC(new Table({ number }), "stream") as BodyInit);
  });
  return { asked, atOnce: () => most };
}

it(
  "loads tens of thousands of trials in pieces, each once, whatever numbers are missing",
  async () => {
    const { asked, atOnce } = service(60_000, 40_000);
    const cache = new QueryClient();
    const trials = await cache.fetchQuery(trialsOf(cache, "j1"));
    expect(trials).toHaveLength(59_999);
    expect(new Set(trials.map((trial) => trial.number)).size).toBe(59_999);
    expect(trials.every((trial, at) => at === 0 || trial.number > (trials[at - 1]?.number ?? 0))).toBe(true);
    expect(asked).toHaveLength(7);
    expect(atOnce()).toBe(1);
  },
  PATIENCE_MS,
);

it(
  "asks once for a small job, and once more where the first piece is full",
  async () => {
    const small = service(999, -1);
    const cache = new QueryClient();
    expect(await cache.fetchQuery(trialsOf(cache, "j1"))).toHaveLength(999);
    expect(small.asked).toHaveLength(1);
    const full = service(1500, 3);
    expect(await cache.fetchQuery(trialsOf(cache, "j2"))).toHaveLength(1499);
    expect(full.asked).toHaveLength(2);
  },
  PATIENCE_MS,
);
