import { describe, expect, it } from "vitest";
import { inCommon } from "./in-common";

describe("inCommon", () => {
  it("is what all have, in the order of the first", () => {
    expect(inCommon([["accuracy", "params"], ["params", "loss", "accuracy"], []])).toEqual(["accuracy", "params"]);
  });
  it("is what most have where one is of another sort", () => {
    expect(inCommon([["loss.code"], ["accuracy", "params"], ["accuracy"]])).toEqual(["accuracy"]);
  });
  it("is nothing where each is of its own, and everything of one alone", () => {
    expect(inCommon([["a"], ["b"]])).toEqual([]);
    expect(inCommon([["a", "b"], []])).toEqual(["a", "b"]);
    expect(inCommon([])).toEqual([]);
  });
});
