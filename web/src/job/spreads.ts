/** Where a metric of a front's trial lies by what all trials tell: bars through its point. */
import { indexOfNumber } from "../api/trial-set";
import type { Trial } from "../api/types";
import type { FrontSpreadView } from "../api/openapi";
import type { LinesSeriesOption } from "../charts/echarts";
import type { Scale } from "../charts/scale";
import type { Theme } from "../charts/theme";
import type { Axes } from "./measures";

export type Spread = FrontSpreadView;

/** What an axis of this metric must have room for. */
export const spreadValues = (spreads: readonly Spread[], metric: string): number[] =>
  spreads.filter((one) => one.metric === metric).flatMap(({ low, high }) => [low, high]);

/** A bar for each trial and axis; the point itself stays where it was measured. */
export function spreadSeries(
  spreads: readonly Spread[],
  front: readonly Trial[],
  axes: Axes,
  scales: { x: Scale; y: Scale },
  theme: Theme,
): LinesSeriesOption {
  const byNumber = [...front].sort((a, b) => a.number - b.number);
  const data = spreads.flatMap(({ number, metric, low, high }) => {
    const trial = byNumber[indexOfNumber(byNumber, number)];
    const axis = metric === axes.y ? "y" : metric === axes.x ? "x" : null;
    const other = trial && axis && trial.metrics[axes[axis === "x" ? "y" : "x"]];
    if (!axis || typeof other !== "number") return [];
    const across = scales[axis === "x" ? "y" : "x"].toAxis(other);
    const ends = [low, high].map(scales[axis].toAxis);
    return [{ coords: ends.map((end) => (axis === "x" ? [end, across] : [across, end])) }];
  });
  return {
    id: "spreads",
    type: "lines",
    coordinateSystem: "cartesian2d",
    silent: true,
    z: 2,
    clip: true,
    data,
    symbol: "none",
    lineStyle: { color: theme.front, width: 2.5, opacity: 0.45 },
  };
}
