import { describe, expect, it } from "vitest";
import { pointsOf } from "./sparkline";

describe("pointsOf", () => {
  it("goes in steps, larger values higher", () => {
    expect(pointsOf([1, 1, 3])).toEqual([
      [2, 20],
      [48, 20],
      [94, 20],
      [94, 2],
    ]);
  });
  it("draws a level course and a single value in the middle", () => {
    expect(pointsOf([5, 5]).map(([, y]) => y)).toEqual([11, 11]);
    expect(pointsOf([5])).toEqual([[2, 11]]);
  });
});
