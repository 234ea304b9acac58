import { describe, expect, it } from "vitest";
import type { Direction } from "../api/types";
import { frontHistory, membersAt } from "./front-history";
import { hypervolumeSoFar } from "./hypervolume";

/** Repeatable numbers from 0 to 1. */
function numbers(): () => number {
  let state = 1;
  return () => {
    state = (state * 48271) % 2147483647;
    return state / 2147483647;
  };
}

describe("hypervolumeSoFar", () => {
  it("measures the dominated share", () => {
    // Worst corner (4, 0), best corner (0, 1): the second trial covers half of the width and half of the height.
    const points = [
      [4, 0],
      [2, 0.5],
      [0, 0.25],
      [2, 1],
    ];
    expect(hypervolumeSoFar(points, ["minimize", "maximize"])).toEqual([0, 0.25, 0.375, 0.625]);
  });

  it.each<[number, Direction[]]>([
    [8, ["maximize", "minimize"]],
    [5, ["maximize", "minimize", "maximize"]],
    [3, ["minimize", "minimize", "maximize", "maximize"]],
  ])("agrees with counting cells of a grid of %i steps in %j", (steps, directions) => {
    const random = numbers();
    const points = Array.from({ length: 50 }, () => directions.map(() => Math.floor(random() * (steps + 1))));
    points.push(
      directions.map(() => 0),
      directions.map(() => steps),
    );
    const good = points.map((point) =>
      point.map((value, at) => (directions[at] === "maximize" ? value : steps - value)),
    );
    const cells = Array.from({ length: steps ** directions.length }, (_, cell) =>
      directions.map((_, at) => Math.floor(cell / steps ** at) % steps),
    );
    const found = hypervolumeSoFar(points, directions);
    points.forEach((_, last) => {
      const some = good.slice(0, last + 1);
      const covered = cells.filter((cell) => some.some((point) => point.every((value, at) => value > (cell[at] ?? 0))));
      expect(found[last]).toBeCloseTo(covered.length / cells.length, 10);
    });
  });
});

describe("frontHistory", () => {
  it("holds at each moment those that no finished one dominates", () => {
    const random = numbers();
    const points = Array.from({ length: 80 }, (_, at) =>
      at % 9 === 4 ? null : [1, 2, 3].map(() => Math.floor(random() * 6)),
    );
    const history = frontHistory(points, ["maximize", "minimize", "maximize"]);
    const better = ([a = 0, b = 0, c = 0]: number[], [d = 0, e = 0, f = 0]: number[]) =>
      a >= d && b <= e && c >= f && (a > d || b < e || c > f);
    for (let finished = 0; finished <= points.length; finished++) {
      const some = points.slice(0, finished).flatMap((point, at) => (point ? [{ at, point }] : []));
      const front = some.filter(({ point }) => !some.some((other) => better(other.point, point)));
      expect(membersAt(history, finished).sort((a, b) => a - b)).toEqual(front.map(({ at }) => at));
    }
  });
});
