import { describe, expect, it } from "vitest";
import { withShare } from "./shares";

describe("withShare", () => {
  it("leaves the others their proportions, and the order of all", () => {
    const found = withShare({ code: 0.6, prose: 0.3, web: 0.1 }, "code", 0.2);
    expect(Object.keys(found)).toEqual(["code", "prose", "web"]);
    expect(found["code"]).toBe(0.2);
    expect(found["prose"]).toBeCloseTo(0.6);
    expect(found["web"]).toBeCloseTo(0.2);
  });
  it("shares evenly what a domain that was alone gives away", () => {
    expect(withShare({ code: 1, prose: 0, web: 0 }, "code", 0.5)).toEqual({ code: 0.5, prose: 0.25, web: 0.25 });
  });
});
