import { describe, expect, it } from "vitest";
import type { Trial } from "../api/types";
import { compare, parseNumbers, toggleNumber } from "./comparison";

const trial = (config: Trial["config"], metrics: Trial["metrics"]) => ({ config, metrics }) as Trial;

describe("compare", () => {
  it("puts what differs first and says who lacks what", () => {
    const rows = compare(
      [
        trial({ method: "lora", rank: 4 }, { accuracy: 0.7, loss: 1 }),
        trial({ method: "lora", rank: 8, dropout: 0.1 }, { accuracy: 0.7, loss: 2 }),
      ],
      ["accuracy"],
    );
    expect(rows.map((row) => [row.name, row.differs])).toEqual([
      ["rank", true],
      ["dropout", true],
      ["loss", true],
      ["accuracy", false],
      ["method", false],
    ]);
    expect(rows.find((row) => row.name === "dropout")?.values).toEqual([undefined, 0.1]);
  });
});

describe("the numbers in the address", () => {
  it("are kept once each", () => expect(parseNumbers("3,7,3,x,")).toEqual([3, 7]));
  it("come and go", () => {
    expect(toggleNumber(null, 3)).toBe("3");
    expect(toggleNumber("3", 7)).toBe("3,7");
    expect(toggleNumber("3", 3)).toBeNull();
  });
});
