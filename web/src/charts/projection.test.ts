import { describe, expect, it } from "vitest";
import { EDGES, projector, turned } from "./projection";

function near(spot: readonly number[], wanted: readonly number[]): void {
  for (const [at, value] of spot.entries()) expect(value).toBeCloseTo(wanted[at] as number, 10);
}

describe("projector", () => {
  it("shows the first and the upright axis from the front, the first and the third from above", () => {
    near(projector({ turn: 0, tilt: 0 })([1, 0, 0.3]), [0.5, -0.5]);
    near(projector({ turn: 0, tilt: 90 })([1, 0.7, 0]), [0.5, -0.5]);
    near(projector({ turn: 90, tilt: 0 })([0.2, 1, 1]), [-0.5, 0.5]);
  });
  it("keeps the box's middle in the middle and parallels parallel", () => {
    const place = projector({ turn: 35, tilt: 20 });
    near(place([0.5, 0.5, 0.5]), [0, 0]);
    const uprights = EDGES.slice(8).map(([from, to]) => {
      const [a, b] = [place(from), place(to)];
      return [b[0] - a[0], b[1] - a[1]];
    });
    for (const upright of uprights) near(upright, uprights[0] as number[]);
  });
});

describe("turned", () => {
  it("stays upright and comes round", () => {
    expect(turned({ turn: 170, tilt: 80 }, 40, 100)).toEqual({ turn: -170, tilt: 90 });
    expect(turned({ turn: -170, tilt: 5 }, -40, -100)).toEqual({ turn: 170, tilt: 0 });
  });
});
