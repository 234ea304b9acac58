import { describe, expect, it } from "vitest";
import { cloudOf, covered, nearest, stamp } from "./cloud";

/** Positions are pixels, up from the bottom. */
const view = { width: 8, height: 6, x0: 0, y0: 5, perX: 1, perY: -1 };
const dot = stamp(1, false);

const rows = (counts: Uint8ClampedArray) =>
  Array.from({ length: view.height }, (_, row) => [...counts.slice(row * view.width, (row + 1) * view.width)].join(""));

describe("covered", () => {
  it("counts the points upon each pixel, and leaves out what the window does not show", () => {
    const cloud = cloudOf([
      [2, 1, 0],
      [2, 1, 1],
      [7, 5, 2],
      [90, 1, 3],
      [-1, -1, 4],
    ]);
    expect(rows(covered(cloud, view, dot))).toEqual([
      "00000001",
      "00000000",
      "00000000",
      "00000000",
      "00200000",
      "00000000",
    ]);
  });
  it("cuts a symbol at the edges, and does not run over its rows", () => {
    const cloud = cloudOf([[7, 0, 0]]);
    expect(rows(covered(cloud, view, stamp(3, true)))).toEqual([
      "00000000",
      "00000000",
      "00000000",
      "00000000",
      "00000011",
      "00000010",
    ]);
  });
  it("stays at the most that a pixel can hold", () => {
    const many = cloudOf(Array.from({ length: 300 }, (_, number) => [3, 3, number] as const));
    expect(Math.max(...covered(many, view, dot))).toBe(255);
  });
});

describe("stamp", () => {
  it("is a disc, or the border of a square", () => {
    expect(stamp(1, false)).toHaveLength(1);
    expect(stamp(4, false)).toHaveLength(13);
    expect(stamp(4, true)).toHaveLength(16);
  });
});

describe("nearest", () => {
  const clouds = [cloudOf([[1, 1, 11]]), cloudOf([[4, 2, 12]])];
  it("finds the point of whichever cloud that is closest to a pixel", () => {
    expect(nearest(clouds, view, [1, 3], 3)).toEqual([1, 1, 11]);
    expect(nearest(clouds, view, [4, 4], 3)).toEqual([4, 2, 12]);
  });
  it("finds none where all are too far away", () => {
    expect(nearest(clouds, view, [7, 0], 3)).toBeNull();
    expect(nearest([], view, [1, 1], 3)).toBeNull();
  });
});
