import { describe, expect, it } from "vitest";
import { bestSoFar, stepLine, turns } from "./front";
import { countScale, fitScale, shareScale } from "./scale";

const box = { x: [0, 10], y: [0, 1] } as const;

describe("stepLine", () => {
  it("turns at the corner that both neighbours dominate", () => {
    const line = stepLine(
      [
        [5, 0.8],
        [1, 0.5],
      ],
      ["minimize", "maximize"],
      box,
    );
    expect(line).toEqual([
      [1, 0],
      [1, 0.5],
      [5, 0.5],
      [5, 0.8],
      [10, 0.8],
    ]);
  });
  it("mirrors when both are minimized or both maximized", () => {
    expect(
      stepLine(
        [
          [1, 0.8],
          [5, 0.2],
        ],
        ["minimize", "minimize"],
        box,
      ),
    ).toEqual([
      [1, 1],
      [1, 0.8],
      [5, 0.8],
      [5, 0.2],
      [10, 0.2],
    ]);
    expect(
      stepLine(
        [
          [1, 0.8],
          [5, 0.2],
        ],
        ["maximize", "maximize"],
        box,
      ),
    ).toEqual([
      [0, 0.8],
      [1, 0.8],
      [1, 0.2],
      [5, 0.2],
      [5, 0],
    ]);
  });
  it("is empty without points", () => expect(stepLine([], ["minimize", "maximize"], box)).toEqual([]));
});

describe("so far", () => {
  it("keeps the best", () => {
    expect(bestSoFar([3, 1, 2], "minimize")).toEqual([3, 1, 1]);
    expect(bestSoFar([1, 3, 2], "maximize")).toEqual([1, 3, 3]);
  });
  it("needs a point only where it turns, and its end", () => {
    expect(turns([1, 1, 3, 3, 3, 4, 4])).toEqual([0, 2, 5, 6]);
    expect(turns([2])).toEqual([0]);
    expect(turns([])).toEqual([]);
  });
});

describe("fitScale", () => {
  it("shows decades when values span them, and zero below the smallest", () => {
    const scale = fitScale([0, 1536, 73728, 300000]);
    expect(scale.kind).toBe("log");
    expect(scale.toAxis(0)).toBe(2);
    expect(scale.label(2)).toBe("0");
    expect(scale.label(4)).toBe("10k");
    expect(scale.toAxis(100000)).toBeCloseTo(5);
    expect(scale.min).toBeLessThan(2);
    expect(scale.ticks?.map(scale.label)).toEqual(["0", "1k", "2k", "5k", "10k", "20k", "50k", "100k", "200k"]);
    const wide = fitScale([10, 1e7]);
    expect(wide.ticks?.map(wide.label)).toEqual(["10", "100", "1k", "10k", "100k", "1M", "10M"]);
  });
  it("stays linear for close values, negative values and nothing", () => {
    expect(fitScale([0.4, 0.8]).kind).toBe("linear");
    expect(fitScale([-1, 1000]).kind).toBe("linear");
    expect(fitScale([]).kind).toBe("linear");
    const single = fitScale([5]);
    expect(single.max).toBeGreaterThan(single.min);
  });
  it("counts in whole numbers", () => {
    expect(countScale(4).ticks).toEqual([0, 1, 2, 3, 4]);
    expect(countScale(24).ticks).toEqual([0, 5, 10, 15, 20]);
    expect(countScale(0).ticks).toEqual([0, 1]);
    expect(countScale(50_000).ticks?.length).toBeLessThan(8);
  });
  it("keeps shares on a plain axis", () => expect(shareScale([0.001, 0.6]).kind).toBe("linear"));
});
