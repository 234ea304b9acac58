import { QueryClient } from "@tanstack/react-query";
import { afterEach, expect, it, vi } from "vitest";
import { coursesOf } from "./courses";

afterEach(() => void vi.unstubAllGlobals());

/** A service that answers with the course of every job but `none`, and the ids that each request named. */
function service(): { asked: string[][] } {
  const asked: string[][] = [];
  vi.stubGlobal("sessionStorage", { getItem: () => null });
  vi.stubGlobal("fetch", (url: string) => {
    const ids = new URLSearchParams(url.split("?")[1]).getAll("job");
    asked.push(ids);
    if (ids.length > 200) return Promise.resolve(new Response("{}", { status: 422 }));
    const items = ids.filter((id) => id !== "none").map((id) => ({ job_id: id, metric: "accuracy", values: [0.5] }));
    return Promise.resolve(Response.json({ items }));
  });
  return { asked };
}

const listed = (id: string, completed = 3) => ({ id, progress: { completed } });

it("asks for many jobs in slices, and again only for those whose trials have ended since", async () => {
  const { asked } = service();
  const cache = new QueryClient();
  const jobs = Array.from({ length: 450 }, (_, number) => listed(`j${number}`));
  expect((await coursesOf(cache, jobs)).size).toBe(450);
  expect(asked.map((ids) => ids.length)).toEqual([200, 200, 50]);
  const later = [listed("new"), ...jobs.map((job) => (job.id === "j7" ? listed("j7", 4) : job))];
  expect((await coursesOf(cache, later)).size).toBe(451);
  expect(asked.slice(3)).toEqual([["new", "j7"]]);
});

it("remembers that a job has no course", async () => {
  const { asked } = service();
  const cache = new QueryClient();
  expect([...(await coursesOf(cache, [listed("none"), listed("j1")])).keys()]).toEqual(["j1"]);
  await coursesOf(cache, [listed("none")]);
  expect(asked).toHaveLength(1);
});
