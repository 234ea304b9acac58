/** Moving about in a chart with keys, as with the mouse: which part of each axis is shown, in percent of the whole. */

export interface Range {
  start: number;
  end: number;
}

export interface Window {
  x: Range;
  y: Range;
}

export const WHOLE: Window = { x: { start: 0, end: 100 }, y: { start: 0, end: 100 } };
export const zoomId = (axis: "x" | "y"): string => `zoom ${axis}`;
/** For `aria-keyshortcuts`. */
export const KEYS = "+ - 0 ArrowLeft ArrowRight ArrowUp ArrowDown";

/** The share of what is shown by which an arrow moves, and what a press of + leaves of it. */
const STEP = 0.15;
const CLOSER = 0.8;

/** What a key makes of what is shown; null for a key that moves nothing. */
export function moved(key: string, { x, y }: Window): Window | null {
  switch (key) {
    case "+":
    case "=":
      return { x: scaled(x, CLOSER), y: scaled(y, CLOSER) };
    case "-":
      return { x: scaled(x, 1 / CLOSER), y: scaled(y, 1 / CLOSER) };
    case "0":
      return WHOLE;
    case "ArrowLeft":
      return { x: shifted(x, -STEP), y };
    case "ArrowRight":
      return { x: shifted(x, STEP), y };
    case "ArrowUp":
      return { x, y: shifted(y, STEP) };
    case "ArrowDown":
      return { x, y: shifted(y, -STEP) };
    default:
      return null;
  }
}

function scaled({ start, end }: Range, factor: number): Range {
  const half = ((end - start) / 2) * factor;
  const middle = (start + end) / 2;
  return { start: Math.max(0, middle - half), end: Math.min(100, middle + half) };
}

function shifted({ start, end }: Range, share: number): Range {
  const by = Math.min(Math.max((end - start) * share, -start), 100 - end);
  return { start: start + by, end: end + by };
}
