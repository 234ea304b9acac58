/** Lines that can be pointed at, such as the curves of trials: between two vertices a line is as much its own as there. */
import type { Window } from "./cloud";
import type { Box } from "./drag";

/** A vertex: its position on the axes, the number of the trial that it stands for, and what else a chart needs. */
export type Spot = readonly [x: number, y: number, number: number, ...rest: number[]];
export type Stroke = readonly Spot[];

/** The vertices of a line that keeps its height until the next one, as `step: "end"` draws it. */
export const stepped = (spots: readonly Spot[]): Spot[] =>
  spots.flatMap((spot, at): Spot[] => {
    const next = spots[at + 1];
    return next ? [spot, [next[0], spot[1], ...(spot.slice(2) as [number])]] : [spot];
  });

/** The line nearest to a pixel, of those at most `within` pixels away, and the nearer one of its vertices there. */
export function nearestStroke(
  strokes: readonly Stroke[],
  { x0, y0, perX, perY }: Window,
  [left, top]: readonly [number, number],
  within: number,
): { stroke: Stroke; spot: Spot } | null {
  let closest = within * within;
  let found: { stroke: Stroke; spot: Spot } | null = null;
  for (const stroke of strokes)
    for (let at = 1; at < stroke.length; at += 1) {
      const [from, to] = [stroke[at - 1] as Spot, stroke[at] as Spot];
      const [right, down] = [x0 + perX * from[0] - left, y0 + perY * from[1] - top];
      const [across, along] = [perX * (to[0] - from[0]), perY * (to[1] - from[1])];
      const length = across * across + along * along;
      const share = length ? Math.min(Math.max(-(right * across + down * along) / length, 0), 1) : 0;
      const distance = (right + share * across) ** 2 + (down + share * along) ** 2;
      if (distance > closest) continue;
      closest = distance;
      found = { stroke, spot: share < 0.5 ? from : to };
    }
  return found;
}

/** Whose vertices lie in a box, or whose line passes through it. */
export function crossing(strokes: readonly Stroke[], box: Box): Set<number> {
  const numbers = new Set<number>();
  for (const stroke of strokes)
    for (const [at, spot] of stroke.entries()) {
      const before = stroke[at - 1];
      if (isIn(spot, box) || (before?.[2] === spot[2] && meets(before, spot, box))) numbers.add(spot[2]);
    }
  return numbers;
}

export const isIn = ([x, y]: readonly number[], box: Box): boolean =>
  (x as number) >= box.x[0] && (x as number) <= box.x[1] && (y as number) >= box.y[0] && (y as number) <= box.y[1];

/** Whether a straight line passes through a box: what each side leaves of it is not nothing. */
function meets(from: Spot, to: Spot, box: Box): boolean {
  let [start, end] = [0, 1];
  for (const [axis, [low, high]] of [box.x, box.y].entries()) {
    const [at, by] = [from[axis] as number, (to[axis] as number) - (from[axis] as number)];
    if (by === 0) {
      if (at < low || at > high) return false;
      continue;
    }
    const [one, other] = [(low - at) / by, (high - at) / by];
    start = Math.max(start, Math.min(one, other));
    end = Math.min(end, Math.max(one, other));
  }
  return start <= end;
}
