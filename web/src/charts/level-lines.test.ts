import { describe, expect, it } from "vitest";
import { levelLines, levelsOf } from "./level-lines";

const cone = Array.from({ length: 9 }, (_, y) => Array.from({ length: 9 }, (_, x) => Math.hypot(x - 4, y - 4)));

describe("levelLines", () => {
  it("go round a peak at the distance of their level, and close", () => {
    const segments = levelLines(cone, 2.5);
    for (const [x, y] of segments.flat()) expect(Math.hypot(x - 4, y - 4)).toBeCloseTo(2.5, 0);
    const ends = segments.flat().map(([x, y]) => `${x.toFixed(6)} ${y.toFixed(6)}`);
    for (const end of ends) expect(ends.filter((other) => other === end)).toHaveLength(2);
  });
  it("stop at a gap", () => {
    expect(
      levelLines(
        [
          [0, null],
          [0, 1],
        ],
        0.5,
      ),
    ).toEqual([]);
    expect(
      levelLines(
        [
          [0, 1],
          [0, 1],
        ],
        0.25,
      ),
    ).toEqual([
      [
        [0.25, 0],
        [0.25, 1],
      ],
    ]);
  });
});

describe("levelsOf", () => {
  it("lie evenly within the values", () => {
    expect(levelsOf([0, 4, 1], 3)).toEqual([1, 2, 3]);
    expect(levelsOf([2, 2], 3)).toEqual([]);
  });
});
