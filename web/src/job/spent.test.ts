import { expect, it } from "vitest";
import type { Job, Trial } from "../api/types";
import { spentAt } from "./spent";

const trial = (finished: string, seconds: number) =>
  ({ finished_at: `2026-01-01T00:${finished}:00Z`, metrics: { train_seconds: seconds } }) as unknown as Trial;
const trials = [trial("02", 60), trial("05", 90)];
const job = { started_at: "2026-01-01T00:00:00Z", created_at: "2025-01-01T00:00:00Z" } as Job;

it("counts trials, minutes since the start and minutes of training", () => {
  expect(spentAt("finished trials", trials, job)).toEqual([1, 2]);
  expect(spentAt("minutes since the start", trials, job)).toEqual([2, 5]);
  expect(spentAt("minutes of training", trials, job)).toEqual([1, 2.5]);
});
