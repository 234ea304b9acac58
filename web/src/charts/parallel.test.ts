import { describe, expect, it } from "vitest";
import type { ParallelOption } from "./echarts";
import { WHOLE } from "./moving";
import { isAtAxis, parallelPixels, parallelStroke, seenThrough } from "./parallel";

const size = { width: 300, height: 200 };
const option = {
  parallel: { left: 50, right: 50, top: 40, bottom: 20 },
  parallelAxis: [
    { min: 0, max: 10 },
    { min: -1, max: 1 },
    { min: 0, max: 1 },
  ],
} as unknown as ParallelOption;
const right = { x: { start: 50, end: 100 }, y: { start: 0, end: 50 } };

describe("parallel coordinates", () => {
  it("are drawn as they are while all is shown", () => expect(seenThrough(option, WHOLE, size)).toBe(option));

  it("show a part: axes twice as far apart, half of each axis", () => {
    const seen = seenThrough(option, right, size);
    expect(seen.parallel).toMatchObject({ left: -150, width: 400 });
    expect(seen.parallelAxis).toEqual([
      { min: 0, max: 5 },
      { min: -1, max: 0 },
      { min: 0, max: 0.5 },
    ]);
  });

  it("know where a trial's line lies on the canvas", () => {
    const [first, middle, last] = parallelStroke(
      [
        [0, 10],
        [-1, 1],
        [0, 1],
      ],
      [0, 0, 1],
      7,
    );
    expect([first, middle, last]).toEqual([
      [0, 0, 7],
      [1, 0.5, 7],
      [2, 1, 7],
    ]);
    const whole = parallelPixels(option, WHOLE, size);
    expect([whole.x0 + 2 * whole.perX, whole.y0 + whole.perY]).toEqual([250, 40]);
    const near = parallelPixels(option, right, size);
    expect([near.x0 + 1 * near.perX, near.y0 + 0.5 * near.perY]).toEqual([50, 40]);
  });

  it("tell a drag along an axis from one between two", () => {
    expect(isAtAxis(option, WHOLE, size, 155)).toBe(true);
    expect(isAtAxis(option, WHOLE, size, 100)).toBe(false);
  });
});
