import { describe, expect, it } from "vitest";
import { corners, gridLines, placeOf, view } from "./simplex";

const near = (found: readonly number[] | null, wanted: readonly number[]) => {
  for (const [at, value] of wanted.entries()) expect(found?.[at]).toBeCloseTo(value);
};

describe("placeOf", () => {
  const triangle = corners(3);
  it("puts a pure mixture on its corner and an even one in the middle", () => {
    near(placeOf([0, 1, 0], triangle), triangle[1] ?? []);
    near(placeOf([1 / 3, 1 / 3, 1 / 3], triangle), [0, 0]);
  });
  it("takes shares in proportion, and knows nothing of none", () => {
    near(placeOf([2, 2, 0], triangle), placeOf([0.5, 0.5, 0], triangle) ?? []);
    expect(placeOf([0, 0, 0], triangle)).toBeNull();
  });
  it("spans a line by two parts and a polygon by more", () => {
    near(placeOf([0.25, 0.75], corners(2)), [0.5, 0]);
    near(placeOf([0, 0, 0, 0, 1], corners(5)), corners(5)[4] ?? []);
  });
});

describe("view", () => {
  it.each([2, 3, 6])("holds all of %s corners, undistorted, with the shape in its middle", (parts) => {
    const { x, y } = view(corners(parts), 1.3);
    expect((x[1] - x[0]) / (y[1] - y[0])).toBeCloseTo(1.3);
    for (const [across, up] of corners(parts)) {
      expect(Math.abs(across)).toBeLessThan(x[1]);
      expect(up).toBeGreaterThan(y[0]);
      expect(up).toBeLessThan(y[1]);
    }
  });
});

describe("gridLines", () => {
  it("join equal shares of a part across a triangle", () => {
    const triangle = corners(3);
    const lines = gridLines(triangle, [0.5]);
    expect(lines).toHaveLength(3);
    near(lines[0]?.[0] ?? null, placeOf([0.5, 0.5, 0], triangle) ?? []);
    near(lines[0]?.[1] ?? null, placeOf([0.5, 0, 0.5], triangle) ?? []);
    expect(gridLines(corners(4), [0.5])).toEqual([]);
  });
});
