/** A learning curve as a line of a chart. */
import type { Report } from "../api/types";
import type { LineSeriesOption } from "../charts/echarts";
import type { Scale } from "../charts/scale";
import type { Theme } from "../charts/theme";

/** A trial that was tried again has a curve for each attempt; only the last one counts. */
export const attempts = (reports: readonly Report[]): number[] => [...new Set(reports.map((report) => report.attempt))];

export function line(
  name: string,
  index: number,
  attempt: number,
  reports: readonly Report[],
  scale: Scale,
  theme: Theme,
): LineSeriesOption {
  const last = Math.max(...attempts(reports));
  const color = index === 0 ? theme.front : theme.second;
  return {
    type: "line",
    name,
    symbolSize: 5,
    itemStyle: { color },
    lineStyle: { color, width: 1.75, opacity: attempt === last ? 1 : 0.35, type: index === 0 ? "solid" : "dashed" },
    data: reports
      .filter((report) => report.attempt === attempt && typeof report.metrics[name] === "number")
      .map((report) => [report.epoch, scale.toAxis(report.metrics[name] as number)]),
  };
}
