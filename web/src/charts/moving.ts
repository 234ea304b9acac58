/** Moving about in a chart by keys, the wheel and drags: which part of each axis is shown, in percent of the whole. */

export interface Range {
  start: number;
  end: number;
}

export interface Window {
  x: Range;
  y: Range;
}

export const WHOLE: Window = { x: { start: 0, end: 100 }, y: { start: 0, end: 100 } };
export const isWhole = ({ x, y }: Window): boolean =>
  [x, y].every(({ start, end }) => start < TINY && end > 100 - TINY);
/** What rounding leaves, in percent. */
const TINY = 1e-6;

export const zoomId = (axis: "x" | "y"): string => `zoom ${axis}`;
/** For `aria-keyshortcuts`. */
export const KEYS = "+ - 0 ArrowLeft ArrowRight ArrowUp ArrowDown";

/** The share of what is shown by which an arrow moves, and what a press of + or a turn of the wheel leaves of it. */
const STEP = 0.15;
export const CLOSER = 0.8;

/** What a key makes of what is shown; null for a key that moves nothing. */
export function moved(key: string, window: Window): Window | null {
  switch (key) {
    case "+":
    case "=":
      return scaledAt(window, MIDDLE, CLOSER);
    case "-":
      return scaledAt(window, MIDDLE, 1 / CLOSER);
    case "0":
      return WHOLE;
    case "ArrowLeft":
      return shifted(window, { x: -STEP, y: 0 });
    case "ArrowRight":
      return shifted(window, { x: STEP, y: 0 });
    case "ArrowUp":
      return shifted(window, { x: 0, y: STEP });
    case "ArrowDown":
      return shifted(window, { x: 0, y: -STEP });
    default:
      return null;
  }
}

/** A share of what is shown, from its left and from its bottom. */
export interface Place {
  x: number;
  y: number;
}

const MIDDLE: Place = { x: 0.5, y: 0.5 };

/** `factor` of what is shown, with what is at a place staying there. */
export const scaledAt = ({ x, y }: Window, at: Place, factor: number): Window => ({
  x: scaled(x, at.x, factor),
  y: scaled(y, at.y, factor),
});

/** Moved along by shares of what is shown. */
export const shifted = ({ x, y }: Window, by: Place): Window => ({ x: along(x, by.x), y: along(y, by.y) });

function scaled({ start, end }: Range, at: number, factor: number): Range {
  const fixed = start + at * (end - start);
  return {
    start: Math.max(0, fixed - (fixed - start) * factor),
    end: Math.min(100, fixed + (end - fixed) * factor),
  };
}

function along({ start, end }: Range, share: number): Range {
  const by = Math.min(Math.max((end - start) * share, -start), 100 - end);
  return { start: start + by, end: end + by };
}
