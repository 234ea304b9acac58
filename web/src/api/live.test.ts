import { QueryClient } from "@tanstack/react-query";
import { Int32, Table, tableToIPC, Utf8, vectorFromArray } from "apache-arrow";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { Updates } from "./live";
import { keys } from "./queries";
import type { Trial } from "./types";

/** Several batches of events. */
const A_WHILE_MS = 2000;
const JOB = "j1";
const event = (kind: string, number: number) => ({
  id: `${number}`,
  kind,
  data: JSON.stringify({ trial_id: `${JOB}-${number}` }),
});

beforeEach(() => void vi.useFakeTimers());
afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

/** A page that follows a job without trials, and what it asked of a service whose answers come when they are let go. */
function page() {
  const asked: string[] = [];
  const waiting: (() => void)[] = [];
  vi.stubGlobal("sessionStorage", { getItem: () => null });
  vi.stubGlobal("fetch", (url: string) => {
    asked.push(url);
    const number = Number(new URLSearchParams(url.split("?")[1]).get("number"));
    const table = new Table({
      number: vectorFromArray([number], new Int32()),
      state: vectorFromArray(["running"], new Utf8()),
    });
    const body = tableToIPC(table, "stream") as BodyInit;
    return new Promise((resolve) => waiting.push(() => resolve(new Response(body))));
  });
  const cache = new QueryClient();
  cache.setQueryData<Trial[]>(keys.trials(JOB), []);
  const updates = new Updates(JOB, cache, new AbortController().signal);
  const shown = () => (cache.getQueryData<Trial[]>(keys.trials(JOB)) ?? []).map(({ number }) => number);
  const answer = async () => {
    for (const go of waiting.splice(0)) go();
    await vi.advanceTimersByTimeAsync(A_WHILE_MS);
  };
  return { cache, updates, asked, answer, shown };
}

/** A deletion of the job that is under way, and what ends it. */
function deletion(cache: QueryClient) {
  const end = new EventTarget();
  const mutation = cache.getMutationCache().build(cache, {
    mutationKey: keys.deletion(JOB),
    mutationFn: () =>
      new Promise<void>((resolve, reject) => {
        end.addEventListener("succeed", () => resolve());
        end.addEventListener("fail", () => reject(new Error("it still runs")));
      }),
  });
  const over = mutation.execute(undefined).catch(() => undefined);
  return async (how: "succeed" | "fail") => {
    await vi.advanceTimersByTimeAsync(0);
    end.dispatchEvent(new Event(how));
    await over;
  };
}

describe("an event of a job", () => {
  it("brings its trial", async () => {
    const { updates, answer, shown } = page();
    updates.take(event("trial.started", 4));
    await vi.advanceTimersByTimeAsync(A_WHILE_MS);
    await answer();
    expect(shown()).toEqual([4]);
  });

  it("that comes while the job is being deleted asks for nothing, then or when it is gone", async () => {
    const { cache, updates, asked, answer, shown } = page();
    const end = deletion(cache);
    updates.take(event("trial.started", 4));
    await vi.advanceTimersByTimeAsync(A_WHILE_MS);
    expect(asked).toEqual([]);
    await end("succeed");
    updates.take(event("trial.started", 5));
    await vi.advanceTimersByTimeAsync(A_WHILE_MS);
    await answer();
    expect(asked).toEqual([]);
    expect(shown()).toEqual([]);
  });

  it("whose answer is on its way while the job is deleted brings nothing back", async () => {
    const { cache, updates, asked, answer, shown } = page();
    updates.take(event("trial.started", 4));
    await vi.advanceTimersByTimeAsync(A_WHILE_MS);
    expect(asked).toHaveLength(1);
    await deletion(cache)("succeed");
    await answer();
    expect(shown()).toEqual([]);
  });

  it("is made up for where the deletion is refused", async () => {
    const { cache, updates, asked, answer, shown } = page();
    const end = deletion(cache);
    updates.take(event("trial.started", 4));
    await vi.advanceTimersByTimeAsync(A_WHILE_MS);
    await end("fail");
    await vi.advanceTimersByTimeAsync(A_WHILE_MS);
    expect(asked).toHaveLength(1);
    await answer();
    expect(shown()).toEqual([4]);
  });
});
