/** A learning curve as a line of a chart. */
import type { Report } from "../api/types";
import type { LineSeriesOption } from "../charts/echarts";
import type { Scale } from "../charts/scale";
import type { Theme } from "../charts/theme";

/**
 * The curves of a trial, of which the last one counts. A further attempt goes on from a checkpoint, or from nothing: what
 * it reports replaces what was reported from there on, and where it replaces nothing the curve goes on.
 */
export function courses(reports: readonly Report[]): Report[][] {
  const found: Report[][] = [];
  for (const attempt of new Set(reports.map((report) => report.attempt))) {
    const own = reports.filter((report) => report.attempt === attempt);
    const before = found.at(-1) ?? [];
    const kept = before.filter(({ epoch }) => epoch < (own[0]?.epoch ?? 0));
    if (kept.length === before.length) found.pop();
    found.push([...kept, ...own]);
  }
  return found;
}

export function line(
  name: string,
  index: number,
  reports: readonly Report[],
  counts: boolean,
  scale: Scale,
  theme: Theme,
): LineSeriesOption {
  const color = index === 0 ? theme.front : theme.second;
  return {
    type: "line",
    name,
    symbolSize: 5,
    itemStyle: { color },
    lineStyle: { color, width: 1.75, opacity: counts ? 1 : 0.35, type: index === 0 ? "solid" : "dashed" },
    data: reports
      .filter((report) => typeof report.metrics[name] === "number")
      .map((report) => [report.epoch, scale.toAxis(report.metrics[name] as number)]),
  };
}
