import { describe, expect, it } from "vitest";
import { numbersIn } from "./chosen";
import { cloudOf } from "./cloud";

const box = { x: [0, 2], y: [0, 2] } as const;

describe("numbersIn", () => {
  it("are those of points, pictures and lines in the box", () => {
    const option = {
      series: [
        { type: "scatter" as const, data: [[1, 1, 4], { value: [2, 2, 5], name: "named" }, [3, 1, 6]] },
        { type: "scatter" as const, data: [[1, 1, Number.NaN, 3, 3]] }, // a cell of a grid, no trial
        { type: "scatter" as const, silent: true, data: [[1, 1, 7]] },
        { type: "line" as const, data: [[1, 1, 8]] },
      ],
    };
    const clouds = [
      cloudOf([
        [1, 1, 9],
        [1, 3, 10],
      ]),
    ];
    const line = [
      [-1, 1, 11],
      [3, 1, 11],
    ] as const;
    expect([...numbersIn({ option, clouds, strokes: [line] }, box)].sort((a, b) => a - b)).toEqual([4, 5, 9, 11]);
  });
});
