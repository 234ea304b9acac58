import { describe, expect, it } from "vitest";
import { crossing, nearestStroke, type Stroke, stepped } from "./strokes";

const window = { width: 100, height: 100, x0: 0, y0: 100, perX: 10, perY: -10 };
const rising: Stroke = [
  [0, 0, 4],
  [10, 10, 4],
];
const level: Stroke = [
  [0, 8, 7],
  [10, 8, 7],
];

describe("nearestStroke", () => {
  it("is the line under a pixel, far from its vertices too, with the nearer one of them", () => {
    expect(nearestStroke([rising, level], window, [30, 71], 6)).toEqual({ stroke: rising, spot: [0, 0, 4] });
    expect(nearestStroke([rising, level], window, [60, 22], 6)).toEqual({ stroke: level, spot: [10, 8, 7] });
  });
  it("is none beside all lines", () => expect(nearestStroke([rising, level], window, [80, 70], 6)).toBeNull());
});

describe("crossing", () => {
  it("finds lines that pass through a box with no vertex in it, and no others", () => {
    expect([...crossing([rising, level], { x: [4, 6], y: [4, 6] })]).toEqual([4]);
    expect([...crossing([rising, level], { x: [7, 9], y: [7, 9] })].sort()).toEqual([4, 7]);
    expect([...crossing([rising, level], { x: [7, 9], y: [1, 2] })]).toEqual([]);
  });
  it("counts only the vertices where one trial follows another on a line", () => {
    const course: Stroke = [
      [0, 1, 1],
      [4, 2, 2],
    ];
    expect([...crossing([course], { x: [1, 2], y: [0, 3] })]).toEqual([]);
    expect([...crossing([course], { x: [3, 5], y: [0, 3] })]).toEqual([2]);
  });
});

describe("stepped", () => {
  it("keeps a value, and whose it is, until the next one", () =>
    expect(
      stepped([
        [0, 1, 5, 9],
        [2, 3, 6, 9],
      ]),
    ).toEqual([
      [0, 1, 5, 9],
      [2, 1, 5, 9],
      [2, 3, 6, 9],
    ]));
});
