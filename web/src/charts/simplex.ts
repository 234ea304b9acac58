/** Mixtures as points: each part has a corner, and a mixture lies at the mean of the corners weighted by its shares. */
import type { Point } from "./front";

/** Two parts span a line, three a triangle, more a polygon in which different mixtures may share a place. */
export function corners(parts: number): Point[] {
  if (parts === 2)
    return [
      [-1, 0],
      [1, 0],
    ];
  // The first one on top, then clockwise.
  return Array.from({ length: parts }, (_, at): Point => {
    const angle = Math.PI / 2 - (2 * Math.PI * at) / parts;
    return [Math.cos(angle), Math.sin(angle)];
  });
}

/** Where a mixture lies; shares that do not sum to one are taken in proportion, and none at all is null. */
export function placeOf(shares: readonly number[], ends: readonly Point[]): Point | null {
  const whole = shares.reduce((sum, share) => sum + share, 0);
  if (!(whole > 0) || !Number.isFinite(whole)) return null;
  return ends.reduce<Point>(
    ([x, y], [u, v], at) => [x + ((shares[at] ?? 0) / whole) * u, y + ((shares[at] ?? 0) / whole) * v],
    [0, 0],
  );
}

/** What to show of a shape, with room for names round it; as wide for its height as `ratio` says. */
export function view(ends: readonly Point[], ratio: number): { x: [number, number]; y: [number, number] } {
  const heights = ends.map(([, y]) => y);
  const [low, high] = [Math.min(...heights), Math.max(...heights)];
  const wide = Math.max(...ends.map(([x]) => x)) + NAMES.x;
  const half = Math.max((high - low) / 2 + NAMES.y, wide / ratio);
  const middle = (low + high) / 2;
  return { x: [-half * ratio, half * ratio], y: [middle - half, middle + half] };
}

/** Room for a name beside a corner and above one, in radii. */
const NAMES = { x: 0.42, y: 0.25 };

/** Lines of equal shares inside a triangle, at each tenth that `steps` names; of other shapes there are none. */
export function gridLines(ends: readonly Point[], steps: readonly number[]): [Point, Point][] {
  if (ends.length !== 3) return [];
  return ends.flatMap((_, part) =>
    steps.map((share): [Point, Point] => {
      const end = (other: number): Point => {
        const shares = ends.map((_, at) => (at === part ? share : at === other ? 1 - share : 0));
        return placeOf(shares, ends) as Point;
      };
      return [end((part + 1) % 3), end((part + 2) % 3)];
    }),
  );
}
