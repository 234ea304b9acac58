import { describe, expect, it } from "vitest";
import type { Job, Trial } from "../api/types";
import { boundsOf, endsOn } from "./bounds";
import { courseOf, endedBy, inOrder } from "./finished";

const trial = (number: number, minute: number, accuracy: number | null, params: number, state = "completed") =>
  ({
    number,
    state,
    finished_at: new Date(minute * 60_000).toISOString(),
    metrics: { accuracy, trainable_params: params },
  }) as unknown as Trial;
const objectives: Job["objectives"] = [
  { metric: "accuracy", direction: "maximize" },
  { metric: "trainable_params", direction: "minimize" },
];
const job = {
  objectives,
  spec: { constraints: [{ metric: "trainable_params", max: 1000 }] },
} as unknown as Job;
const trials = [
  trial(0, 5, 0.7, 100),
  trial(1, 1, 0.6, 500),
  trial(2, 3, 0.5, 50),
  trial(3, 2, 0.9, 5000),
  trial(4, 4, null, 10),
  trial(5, 4, 0.4, 10, "stopped"),
];

describe("the course of a search", () => {
  it("is that of completed trials that have every objective, by the time they finished", () =>
    expect(inOrder(trials, objectives).map(({ number }) => number)).toEqual([1, 3, 2, 0]));
  it("has the front of each moment, without what breaks a constraint", () => {
    const { frontAfter } = courseOf(job, inOrder(trials, objectives));
    const numbers = (count: number) => frontAfter(count).map(({ number }) => number);
    expect([0, 1, 2, 3, 4].map(numbers)).toEqual([[], [1], [1], [1, 2], [2, 0]]);
  });
  it("has those that had ended at a moment, however they ended", () =>
    expect(endedBy(trials, trials[4]).map(({ number }) => number)).toEqual([1, 2, 3, 4, 5]));
});

describe("bounds", () => {
  it("are those of the spec, and none where it has none", () => {
    expect(endsOn(boundsOf(job.spec), "trainable_params")).toEqual([{ value: 1000, text: "trainable_params ≤ 1000" }]);
    expect(endsOn(boundsOf(job.spec), "accuracy")).toEqual([]);
    expect(boundsOf({})).toEqual([]);
  });
});
