import { describe, expect, it } from "vitest";
import { emptied, inAll, mergePatch } from "./merge-patch";

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

describe("inAll", () => {
  const one = { preset: "lora", overrides: { rank: { low: 1, high: 8 }, seed: { value: 0 } }, strategies: ["a"] };

  it("is what all have, entry by entry of their mappings", () => {
    const other = { preset: "lora", overrides: { rank: { low: 1, high: 4 }, seed: { value: 0 } }, strategies: ["b"] };
    expect(inAll([one, other])).toEqual({ preset: "lora", overrides: { seed: { value: 0 } } });
    expect(inAll([one, { method: "lora" }])).toEqual({});
    expect(inAll([one])).toEqual(one);
  });

  it("leaves what it does not show, even where all that it shows is taken away", () => {
    const shared = { preset: "lora", overrides: { seed: { value: 0 } } };
    expect(mergePatch(shared, emptied(shared, { preset: "lora" }))).toEqual({ overrides: { seed: null } });
  });
});
