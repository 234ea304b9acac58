import { describe, expect, it } from "vitest";
import type { Trial } from "../api/types";
import { methodRows } from "./method-rows";

const trials = [
  ["lora", 0.5, "completed"],
  ["lora", 0.7, "completed"],
  ["lora", 0.9, "stopped"],
  ["ia3", 0.8, "completed"],
  ["ia3", null, "completed"],
].map(
  ([method, accuracy, state], number) =>
    ({ id: `j-${number}`, number, state, config: { method }, metrics: { accuracy } }) as unknown as Trial,
);

describe("methodRows", () => {
  it("has the method with the best trial first, from trials trained to their end", () => {
    const rows = methodRows(trials, "accuracy", "maximize", new Set(["j-3"]));
    expect(rows.map((row) => [row.method, row.trials.length, row.best.number, row.onFront])).toEqual([
      ["ia3", 1, 3, 1],
      ["lora", 2, 1, 0],
    ]);
    expect([rows[1]?.quarter, rows[1]?.median, rows[1]?.threeQuarters].map((value) => value?.toFixed(2))).toEqual([
      "0.55",
      "0.60",
      "0.65",
    ]);
    expect(methodRows(trials, "accuracy", "minimize", new Set()).map((row) => row.method)).toEqual(["lora", "ia3"]);
  });
});
