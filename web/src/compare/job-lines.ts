/** A line for each job, told apart by the job's look: what charts of jobs side by side have in common. */
import type { Job, MetricInfo } from "../api/types";
import type { ChartOption, LineSeriesOption } from "../charts/echarts";
import { frame, tip } from "../charts/frame";
import type { Look } from "../charts/looks";
import { countScale, fitScale } from "../charts/scale";
import type { Kind } from "../charts/scale-choice";
import type { Theme } from "../charts/theme";
import { axisTitle } from "../job/measures";
import { metricValue, short } from "../text/numbers";

export interface JobLine {
  job: Job;
  look: Look;
  points: readonly (readonly [across: number, value: number])[];
}

/** Above this many points a line has no marks. */
const MARKED = 60;

export function jobLines(
  lines: readonly JobLine[],
  {
    over,
    metric,
    kind,
    metrics,
  }: { over: string; metric: string; kind: Kind; metrics: ReadonlyMap<string, MetricInfo> },
  theme: Theme,
  form: Pick<LineSeriesOption, "step" | "sampling"> = {},
): ChartOption {
  const scale = fitScale(
    lines.flatMap(({ points }) => points.map(([, value]) => value)),
    kind,
  );
  const last = Math.max(1, ...lines.map(({ points }) => points.at(-1)?.[0] ?? 0));
  const base = frame(theme, { name: over, scale: countScale(last) }, { name: axisTitle(metric, metrics), scale });
  return {
    ...base,
    tooltip: {
      ...base.tooltip,
      formatter: (point: unknown) => {
        const { seriesIndex = 0, value } = point as { seriesIndex?: number; value: number[] };
        return tip(lines[seriesIndex]?.job.name ?? "", [
          [over, short(value[0] ?? 0)],
          [metric, metricValue(scale.fromAxis(value[1] ?? 0), metrics.get(metric)?.unit)],
        ]);
      },
    },
    series: lines.map(({ job, look, points }): LineSeriesOption => ({
      ...form,
      id: job.id,
      type: "line",
      data: points.map(([across, value]) => [across, scale.toAxis(value)]),
      symbol: look.symbol,
      symbolSize: 6,
      showSymbol: points.length < MARKED,
      itemStyle: { color: look.color },
      lineStyle: { color: look.color, width: 1.75, type: look.dashes },
    })),
  };
}
