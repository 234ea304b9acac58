/** The volume that a front dominates, trial after trial, in two objectives or more. */
import type { Direction } from "../api/types";

/** Coordinates of a point, each from 0 (worst) to 1 (best). */
type Vector = readonly number[];

/** How far beyond the worst value seen the box reaches, as a share of what lies between it and the best. */
const MARGIN = 0.1;

/**
 * Dominated share of the box from a little beyond the worst value seen to the best, after each trial: 0 nothing, 1
 * everything. Were it the worst itself, an objective that is the same for nearly all trials would hide what they gain.
 * Trials that join no front cost one look at it. In two objectives a trial that joins costs what it removes; in more
 * it costs a sweep over the front along the last one.
 */
export function hypervolumeSoFar(points: readonly Vector[], directions: readonly Direction[]): number[] {
  const columns = directions.map((direction, at) =>
    unit(
      points.map((point) => point[at] ?? Number.NaN),
      direction,
    ),
  );
  const front = frontOf(directions.length);
  let volume = 0;
  return points.map((_, index) => (volume += front.insert(columns.map((column) => column[index] ?? 0))));
}

/** Map to 0 (the margin beyond the worst seen) … 1 (best seen); 1 where all are equal. */
function unit(values: readonly number[], direction: Direction): number[] {
  const low = values.reduce((a, b) => Math.min(a, b), Infinity);
  const high = values.reduce((a, b) => Math.max(a, b), -Infinity);
  const span = high - low;
  const short = (value: number) => (direction === "maximize" ? high - value : value - low);
  return values.map((value) => (span > 0 ? 1 - short(value) / (span * (1 + MARGIN)) : 1));
}

interface Front {
  /** Add a point; returns the volume gained above the origin. */
  insert(point: Vector): number;
}

const frontOf = (objectives: number): Front => (objectives === 2 ? new Staircase() : new Terraces());

/** In two objectives: points by the first one ascending, and so by the second one descending. */
class Staircase implements Front {
  private readonly points: (readonly [number, number])[] = [];

  insert([u = 0, v = 0]: Vector): number {
    const { points } = this;
    let low = 0;
    let high = points.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((points[middle]?.[0] ?? 0) < u) low = middle + 1;
      else high = middle;
    }
    const right = points[low];
    if (right && right[1] >= v) return 0; // dominated by a point at least as good in both
    let start = low;
    let gained = 0;
    let edge = u;
    let height = right ? right[1] : 0;
    for (let before = points[start - 1]; before; before = points[start - 1]) {
      gained += (edge - before[0]) * (v - height);
      edge = before[0];
      height = before[1];
      if (height > v) break;
      start -= 1;
    }
    if (start === 0) gained += edge * Math.max(0, v - height);
    const covered = right && right[0] === u ? 1 : 0;
    points.splice(start, low - start + covered, [u, v]);
    return gained;
  }
}

/**
 * In more objectives: what a point gains is its own box less what the others cover of it, which is swept along the last
 * objective in slices of one objective less.
 */
class Terraces implements Front {
  private points: Vector[] = [];

  insert(point: Vector): number {
    if (this.points.some((other) => covers(other, point))) return 0;
    const rest = this.points.map((other) => other.map((value, at) => Math.min(value, point[at] ?? 0)));
    const box = point.reduce((volume, value) => volume * value, 1);
    this.points = [...this.points.filter((other) => !covers(point, other)), point];
    return box - covered(rest);
  }
}

const covers = (a: Vector, b: Vector): boolean => a.every((value, at) => value >= (b[at] ?? 0));

/** The volume of the union of the boxes between the origin and each point. */
function covered(points: readonly Vector[]): number {
  const depth = (points[0]?.length ?? 1) - 1;
  const sorted = [...points].sort((a, b) => (b[depth] ?? 0) - (a[depth] ?? 0));
  const front = frontOf(depth);
  let slice = 0;
  return sorted.reduce((volume, point, at) => {
    slice += front.insert(point.slice(0, depth));
    return volume + slice * ((point[depth] ?? 0) - (sorted[at + 1]?.[depth] ?? 0));
  }, 0);
}
