/** Lines along which a grid of values has one level (marching squares). */

export type Segment = readonly [from: readonly [number, number], to: readonly [number, number]];
type Corner = readonly [x: number, y: number, value: number];

/** Segments in positions of the grid, `[column, row]`; cells with a gap have none. A saddle has two. */
export function levelLines(rows: readonly (readonly (number | null)[])[], level: number): Segment[] {
  const found: Segment[] = [];
  for (let y = 0; y + 1 < rows.length; y++) {
    for (let x = 0; x + 1 < (rows[y]?.length ?? 0); x++) {
      const corners = [
        [x, y],
        [x + 1, y],
        [x + 1, y + 1],
        [x, y + 1],
      ].map(([u = 0, v = 0]): Corner => [u, v, rows[v]?.[u] ?? Number.NaN]);
      if (corners.some(([, , value]) => Number.isNaN(value))) continue;
      const crossings = corners.flatMap((corner, at) => {
        const next = corners[(at + 1) % 4] as Corner;
        return corner[2] >= level === next[2] >= level ? [] : [between(corner, next, level)];
      });
      for (let at = 0; at + 1 < crossings.length; at += 2)
        found.push([crossings[at] as Segment[0], crossings[at + 1] as Segment[1]]);
    }
  }
  return found;
}

function between(a: Corner, b: Corner, level: number): readonly [number, number] {
  const share = (level - a[2]) / (b[2] - a[2]);
  return [a[0] + share * (b[0] - a[0]), a[1] + share * (b[1] - a[1])];
}

/** So many levels within what the values span, evenly. */
export function levelsOf(values: readonly number[], count: number): number[] {
  const low = Math.min(...values);
  const high = Math.max(...values);
  return high > low ? Array.from({ length: count }, (_, at) => low + ((high - low) * (at + 1)) / (count + 1)) : [];
}
