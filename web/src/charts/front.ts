/** Geometry of a Pareto front in two objectives. Membership comes from the server (`on_front`); this only draws. */
import type { Direction } from "../api/types";

export type Point = readonly [x: number, y: number];
export type Directions = readonly [x: Direction, y: Direction];
export interface Box {
  x: readonly [number, number];
  y: readonly [number, number];
}

const worse = (direction: Direction, a: number, b: number): number =>
  direction === "minimize" ? Math.max(a, b) : Math.min(a, b);

/**
 * The border of what the front dominates, left to right: between neighbours it turns at the corner that both dominate,
 * and at its ends it runs on to the worse edges of `box`.
 */
export function stepLine(points: readonly Point[], [dx, dy]: Directions, box: Box): Point[] {
  const sorted = [...points].sort((a, b) => a[0] - b[0] || a[1] - b[1]);
  const first = sorted[0];
  const last = sorted.at(-1);
  if (!first || !last) return [];
  const edgeX = worse(dx, ...box.x);
  const edgeY = worse(dy, ...box.y);
  const line: Point[] = [dx === "minimize" ? [first[0], edgeY] : [edgeX, first[1]]];
  sorted.forEach((point, index) => {
    const before = sorted[index - 1];
    if (before) line.push([worse(dx, before[0], point[0]), worse(dy, before[1], point[1])]);
    line.push(point);
  });
  line.push(dx === "minimize" ? [edgeX, last[1]] : [last[0], edgeY]);
  return line;
}

/** The best value of one objective after each trial. */
export function bestSoFar(values: readonly number[], direction: Direction): number[] {
  let best = direction === "maximize" ? -Infinity : Infinity;
  const pick = direction === "maximize" ? Math.max : Math.min;
  return values.map((value) => (best = pick(best, value)));
}

/** Where a course that goes in steps changes its height, and where it ends: all that a line through it needs. */
export const turns = (course: readonly number[]): number[] =>
  course.flatMap((value, at) => (at === course.length - 1 || value !== course[at - 1] ? [at] : []));
