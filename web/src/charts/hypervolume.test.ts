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
    // Worst (10, 0) and best (0, 10) with a tenth beyond the worst: the box is 11 wide and 11 high.
    const points = [
      [10, 0],
      [5, 5],
      [0, 2],
      [5, 10],
    ];
    const covered = [1, 6 * 6, 6 * 6 + 5 * 3, 6 * 11 + 5 * 3];
    const shares = hypervolumeSoFar(points, ["minimize", "maximize"]);
    for (const [at, share] of shares.entries()) expect(share).toBeCloseTo((covered[at] ?? 0) / 121, 10);
  });

  it("sees what trials gain that are all alike in an objective, or nearly all", () => {
    const points = [1, 2, 3, 4].map((quality) => [quality, 10 - quality, 7]);
    const alike = hypervolumeSoFar(points, ["maximize", "maximize", "minimize"]);
    const without = hypervolumeSoFar(points, ["maximize", "maximize"]);
    for (const [at, volume] of alike.entries()) expect(volume).toBeCloseTo(without[at] ?? 0, 10);
    const nearly = hypervolumeSoFar([...points, [0, 0, 6]], ["maximize", "maximize", "minimize"]);
    const gains = nearly.map((volume, at) => volume - (nearly[at - 1] ?? 0));
    expect(Math.min(...gains)).toBeGreaterThan(0);
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
    // The first cell along an objective is the margin beyond the worst: a tenth of all others.
    const width = (place: number) => (place === 0 ? 0.1 * steps : 1) / (1.1 * steps);
    const cells = Array.from({ length: (steps + 1) ** directions.length }, (_, cell) =>
      directions.map((_, at) => Math.floor(cell / (steps + 1) ** at) % (steps + 1)),
    );
    const found = hypervolumeSoFar(points, directions);
    points.forEach((_, last) => {
      const some = good.slice(0, last + 1);
      const covered = cells.filter((cell) =>
        some.some((point) => point.every((value, at) => value >= (cell[at] ?? 0))),
      );
      const share = covered.reduce((sum, cell) => sum + cell.reduce((size, place) => size * width(place), 1), 0);
      expect(found[last]).toBeCloseTo(share, 10);
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
