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

/**
 * Dominated share of the box between the worst and the best value seen, after each trial: 0 nothing, 1 everything.
 * O(n log n) as long as the front stays small: each trial costs one search and what it removes.
 */
export function hypervolumeSoFar(points: readonly Point[], [dx, dy]: Directions): number[] {
  const u = unit(
    points.map((point) => point[0]),
    dx,
  );
  const v = unit(
    points.map((point) => point[1]),
    dy,
  );
  const front: Point[] = []; // u ascending, v descending
  let volume = 0;
  return points.map((_, index) => (volume += insert(front, u[index] ?? 0, v[index] ?? 0)));
}

/** Map to 0 (worst seen) … 1 (best seen). */
function unit(values: readonly number[], direction: Direction): number[] {
  const low = values.reduce((a, b) => Math.min(a, b), Infinity);
  const high = values.reduce((a, b) => Math.max(a, b), -Infinity);
  const span = high - low || 1;
  return values.map((value) => (direction === "maximize" ? value - low : high - value) / span);
}

/** Add a point (both coordinates maximized) to a front; returns the area gained above the origin. */
function insert(front: Point[], u: number, v: number): number {
  let low = 0;
  let high = front.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((front[middle] as Point)[0] < u) low = middle + 1;
    else high = middle;
  }
  const right = front[low];
  if (right && right[1] >= v) return 0; // dominated by a point at least as good in both
  let start = low;
  let gained = 0;
  let edge = u;
  let height = right ? right[1] : 0;
  for (let before = front[start - 1]; before; before = front[start - 1]) {
    gained += (edge - before[0]) * (v - height);
    edge = before[0];
    height = before[1];
    if (height > v) break;
    start -= 1;
  }
  if (start === 0) gained += edge * Math.max(0, v - height);
  const covered = right && right[0] === u ? 1 : 0;
  front.splice(start, low - start + covered, [u, v]);
  return gained;
}
