import { describe, expect, it } from "vitest";
import { gridAxis, nearest } from "./grid-axis";

describe("gridAxis", () => {
  it("puts numbers where their scale has them, and what lies between two of them between", () => {
    const decades = gridAxis([1e-4, 1e-3, 1e-2], "log");
    expect([0, 0.5, 2].map(decades.at)).toEqual([-4, -3.5, -2]);
    const plain = gridAxis([1, 2, 64], "linear");
    expect([0, 1.5, 2].map(plain.at)).toEqual([1, 33, 64]);
  });
  it("puts words one after another", () => {
    const axis = gridAxis(["q", "qv", "all"], null);
    expect([axis.isNumeric, axis.at(1), axis.scale.label(2)]).toEqual([false, 1, "all"]);
  });
});

describe("nearest", () => {
  it("finds numbers by distance and words as they are", () => {
    expect(nearest([1, 4, 16], 5)).toBe(1);
    expect(nearest(["q", "qv"], "all")).toBe(-1);
  });
});
