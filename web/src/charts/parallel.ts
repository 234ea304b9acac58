/** Parallel coordinates seen through a window: how they lie on the canvas, and which axis is under the pointer. */
import type { Window as Pixels } from "./cloud";
import type { ParallelOption } from "./echarts";
import { isWhole, type Range, type Window } from "./moving";
import type { Spot } from "./strokes";

export interface Size {
  width: number;
  height: number;
}

interface Axis {
  min: number;
  max: number;
}

/** The share of an axis' length at a position, and from there. */
const shareOf = ({ min, max }: Axis, position: number): number => (position - min) / (max - min);

/** A trial's line: its axes' places across and the share of each axis up; an axis without a value is left out. */
export const parallelStroke = (
  axes: readonly (readonly [min: number, max: number])[],
  values: readonly number[],
  number: number,
): Spot[] =>
  values.flatMap((value, at): Spot[] => {
    const [min, max] = axes[at] as readonly [number, number];
    return Number.isFinite(value) ? [[at, shareOf({ min, max }, value), number]] : [];
  });

/** The option as it is drawn: across, the axes stand further apart; up, each shows a part of its length. */
export function seenThrough(option: ParallelOption, window: Window, size: Size): ParallelOption {
  if (isWhole(window)) return option;
  const { left, wide } = across(option, window.x, size);
  const { start, end } = window.y;
  return {
    ...option,
    parallel: { ...option.parallel, left, width: wide },
    parallelAxis: (option.parallelAxis as Axis[]).map((axis) => {
      const at = (percent: number) => axis.min + (percent / 100) * (axis.max - axis.min);
      return { ...axis, min: at(start), max: at(end) };
    }),
  };
}

/** Where the places and shares of `parallelStroke` lie, in pixels. */
export function parallelPixels(option: ParallelOption, window: Window, size: Size): Pixels {
  const { left, wide } = across(option, window.x, size);
  const { top, bottom } = margins(option);
  const { start, end } = window.y;
  const perY = -(size.height - top - bottom) / ((end - start) / 100);
  return {
    ...size,
    x0: left,
    y0: size.height - bottom - (perY * start) / 100,
    perX: wide / Math.max(1, option.parallelAxis.length - 1),
    perY,
  };
}

/** Pixels from an axis at which it is meant: there a drag brushes. */
const NEAR_AXIS = 10;

export function isAtAxis(option: ParallelOption, window: Window, size: Size, pixel: number): boolean {
  const { x0, perX } = parallelPixels(option, window, size);
  return option.parallelAxis.some((_, at) => Math.abs(x0 + perX * at - pixel) <= NEAR_AXIS);
}

/** The margins of the plane in pixels; the option states all four. */
const margins = ({ parallel }: ParallelOption) => parallel as Record<"left" | "right" | "top" | "bottom", number>;

function across(option: ParallelOption, { start, end }: Range, { width }: Size) {
  const { left, right } = margins(option);
  const wide = (width - left - right) / ((end - start) / 100);
  return { left: left - (wide * start) / 100, wide };
}
