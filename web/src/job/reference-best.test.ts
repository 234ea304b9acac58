import { describe, expect, it } from "vitest";
import type { Trial } from "../api/types";
import { bestOfEachName } from "./reference-best";

const trial = (id: string, label: string, loss?: number) =>
  ({ id, label, metrics: loss === undefined ? {} : { loss } }) as unknown as Trial;
const reference = [
  trial("a", "uniform", 0.5),
  trial("b", "natural", 0.7),
  trial("c", "uniform", 0.3),
  trial("d", "base"),
];

describe("reference trials", () => {
  it("of one name are the best of them, and none that did not measure", () => {
    const names = (direction: "minimize" | "maximize") =>
      bestOfEachName(reference, { metric: "loss", direction }).map((one) => one.id);
    expect(names("minimize")).toEqual(["c", "b"]);
    expect(names("maximize")).toEqual(["a", "b"]);
  });
});
