/** A box of three axes seen from an angle, in parallel projection: lengths along an axis can still be compared. */

export type Triple = readonly [x: number, y: number, z: number];
export type Spot = readonly [across: number, up: number];

/** Degrees: how far the box is turned about its upright axis, and how far it is looked at from above. */
export interface View {
  turn: number;
  tilt: number;
}

export const FROM_THE_FRONT: View = { turn: 35, tilt: 20 };

/** Where a point of the box, each coordinate from 0 to 1 and y upright, appears; the middle of the box is at 0, 0. */
export function projector({ turn, tilt }: View): (point: Triple) => Spot {
  const [sine, cosine] = [Math.sin((turn * Math.PI) / 180), Math.cos((turn * Math.PI) / 180)];
  const [rise, keep] = [Math.sin((tilt * Math.PI) / 180), Math.cos((tilt * Math.PI) / 180)];
  return ([x, y, z]) => {
    const [a, b, c] = [x - 0.5, y - 0.5, z - 0.5];
    const depth = a * sine + c * cosine;
    return [a * cosine - c * sine, b * keep + depth * rise];
  };
}

/** The edges of the floor, and the four upright ones. */
export const EDGES: readonly (readonly [Triple, Triple])[] = [
  ...[0, 1].flatMap((y): [Triple, Triple][] => [
    [
      [0, y, 0],
      [1, y, 0],
    ],
    [
      [0, y, 1],
      [1, y, 1],
    ],
    [
      [0, y, 0],
      [0, y, 1],
    ],
    [
      [1, y, 0],
      [1, y, 1],
    ],
  ]),
  ...[0, 1].flatMap((x): [Triple, Triple][] =>
    [0, 1].map((z): [Triple, Triple] => [
      [x, 0, z],
      [x, 1, z],
    ]),
  ),
];

/** Turn the view by a drag of so many pixels; it stays upright. */
export const turned = ({ turn, tilt }: View, right: number, down: number): View => ({
  turn: ((((turn + right / 2 + 180) % 360) + 360) % 360) - 180,
  tilt: Math.min(90, Math.max(0, tilt + down / 2)),
});
