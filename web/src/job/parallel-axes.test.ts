import { describe, expect, it } from "vitest";
import type { Trial } from "../api/types";
import { meets } from "./clauses";
import { clausesOf, intervalsOf, parallelAxes, type ParallelAxis, place } from "./parallel-axes";

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
  it("place numbers by their scale, words by name, and leave out what a trial lacks", () => {
    expect(trials.map((trial) => place(named("learning_rate"), trial))).toEqual([-4, -3, -2]);
    expect(trials.map((trial) => place(named("targets"), trial))).toEqual([undefined, 0, 1]);
  });
});

describe("a brushed axis", () => {
  it("asks for what lies in the interval", () => {
    const asked = clausesOf(named("learning_rate"), [[-3.2, -1.9]]);
    expect(trials.filter((trial) => meets(trial, asked)).map((trial) => trial.number)).toEqual([1, 2]);
    const words = clausesOf(named("targets"), [[0.6, 1.2]]);
    expect(words).toEqual([{ name: "targets", relation: "==", values: ["qv"] }]);
    expect(clausesOf(named("rank"), [])).toEqual([]);
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
