import { describe, expect, it } from "vitest";
import { mergePatch } from "./merge-patch";

describe("mergePatch", () => {
  it("says what changed, deep down, and nothing else", () => {
    const before = { preset: "lora", overrides: { rank: { low: 1, high: 64 }, seed: { value: 0 } }, strategies: ["a"] };
    const after = { preset: "lora", overrides: { rank: { low: 2, high: 64 } }, strategies: ["a", "b"] };
    expect(mergePatch(before, after)).toEqual({
      overrides: { rank: { low: 2 }, seed: null },
      strategies: ["a", "b"],
    });
    expect(mergePatch(before, before)).toEqual({});
  });

  it("puts a mapping where there was none, and takes one away", () => {
    expect(mergePatch({ overrides: {} }, { overrides: { rank: { value: 8 } } })).toEqual({
      overrides: { rank: { value: 8 } },
    });
    expect(mergePatch({ method: "lora" }, {})).toEqual({ method: null });
  });
});
