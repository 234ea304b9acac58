/** The trials that a box over a chart holds. What stands for a trial has its number third, after both positions. */
import { type Cloud, STRIDE } from "./cloud";
import type { Box } from "./drag";
import type { ChartOption } from "./echarts";
import { crossing, isIn, type Stroke } from "./strokes";

interface Points {
  option: ChartOption;
  clouds?: readonly Cloud[] | undefined;
  strokes?: readonly Stroke[] | undefined;
}

/** A series' points that take part: silent ones are only there to be seen. */
interface Series {
  type?: string;
  silent?: boolean;
  data?: readonly (readonly number[] | { value?: readonly number[] })[];
}

export function numbersIn({ option, clouds = [], strokes = [] }: Points, box: Box): Set<number> {
  const numbers = crossing(strokes, box);
  for (const { type, silent, data } of option.series as Series[]) {
    if (type !== "scatter" || silent) continue;
    for (const point of data ?? []) {
      const value = "value" in point ? point.value : (point as readonly number[]);
      if (value && Number.isInteger(value[2]) && isIn(value, box)) numbers.add(value[2] as number);
    }
  }
  for (const cloud of clouds)
    for (let at = 0; at < cloud.length; at += STRIDE)
      if (isIn(cloud.subarray(at, at + 2) as unknown as number[], box)) numbers.add(cloud[at + 2] as number);
  return numbers;
}
