import { describe, expect, it } from "vitest";
import type { Trial } from "../api/types";
import { meeting } from "./clauses";
import {
  clausesOf,
  endsOf,
  intervalsOf,
  labelAt,
  marksOf,
  parallelAxes,
  type ParallelAxis,
  place,
} from "./parallel-axes";

const trials = [
  [1, "qv", 1e-4, 0.5],
  [8, "all", 1e-3, 0.7],
  [64, "qv", 1e-2, 0.6],
].map(
  ([rank, targets, learning_rate, accuracy], number) =>
    ({
      number,
      metrics: { accuracy },
      config: { method: "lora", rank, learning_rate, ...(number ? { targets } : {}) },
    }) as unknown as Trial,
);
const axes = parallelAxes(trials, ["accuracy"]);
const named = (name: string) => axes.find((axis) => axis.name === name) as ParallelAxis;

describe("parallelAxes", () => {
  it("are what varies, with the objectives last", () => {
    expect(axes.map((axis) => axis.name)).toEqual(["rank", "learning_rate", "targets", "accuracy"]);
  });
  it("place numbers by their scale, words by name, and what a trial lacks below them", () => {
    expect(trials.map((trial) => place(named("learning_rate"), trial))).toEqual([-4, -3, -2]);
    expect(trials.map((trial) => place(named("targets"), trial))).toEqual([-1, 0, 1]);
    const some = parallelAxes(
      [...trials, { number: 3, metrics: { accuracy: 0.4 }, config: { method: "head" } } as unknown as Trial],
      ["accuracy"],
    );
    const rank = some.find((axis) => axis.name === "rank") as ParallelAxis;
    const [low] = endsOf(rank);
    expect(rank.none).toBeLessThan(place(rank, trials[0] as Trial) as number);
    expect(rank.none).toBeGreaterThan(low);
    expect(marksOf(rank)?.map((mark) => labelAt(rank, mark))).toContain("(none)");
    expect(some.find((axis) => axis.name === "accuracy")?.none).toBeNull();
  });
});

describe("a brushed axis", () => {
  it("of lists keeps the trials whose whole list is brushed", () => {
    const lists = [["q"], ["q", "v"], ["q"]].map(
      (targets, number) => ({ number, metrics: { accuracy: 0.5 }, config: { targets } }) as unknown as Trial,
    );
    const axis = parallelAxes(lists, []).find(({ name }) => name === "targets") as ParallelAxis;
    expect(lists.map((trial) => place(axis, trial))).toEqual([0, 1, 0]);
    const asked = clausesOf(axis, [[0.6, 1.4]]);
    expect(lists.filter(meeting(asked)).map((trial) => trial.number)).toEqual([1]);
  });
  it("asks for what lies in the interval", () => {
    const asked = clausesOf(named("learning_rate"), [[-3.2, -1.9]]);
    expect(trials.filter(meeting(asked)).map((trial) => trial.number)).toEqual([1, 2]);
    const words = clausesOf(named("targets"), [[0.6, 1.2]]);
    expect(words).toEqual([{ name: "targets", relation: "==", values: ["qv"] }]);
    expect(clausesOf(named("rank"), [])).toEqual([]);
  });
  it("asks for those that lack a value where only their mark is brushed", () => {
    const targets = named("targets");
    const asked = clausesOf(targets, [[-1.3, -0.7]]);
    expect(trials.filter(meeting(asked)).map((trial) => trial.number)).toEqual([0]);
    expect(intervalsOf(targets, asked)).toEqual([[-1.4, -0.6]]);
    expect(clausesOf(targets, [[-1.3, 0.2]])).toEqual([{ name: "targets", relation: "==", values: ["(none)", "all"] }]);
  });
  it("is drawn again from what it asked", () => {
    for (const [name, interval] of [
      ["learning_rate", [-3.2, -1.9]],
      ["accuracy", [0.55, 0.65]],
    ] as const) {
      const [drawn] = intervalsOf(named(name), clausesOf(named(name), [interval]));
      expect(drawn?.[0]).toBeCloseTo(interval[0], 3);
      expect(drawn?.[1]).toBeCloseTo(interval[1], 3);
    }
    expect(intervalsOf(named("rank"), [])).toEqual([]);
  });
});
