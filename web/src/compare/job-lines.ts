/** A line for each job, told apart by the job's look: what charts of jobs side by side have in common. */
import type { Job, MetricInfo } from "../api/types";
import type { ChartOption, LineSeriesOption } from "../charts/echarts";
import { frame, tip } from "../charts/frame";
import type { Look } from "../charts/looks";
import { countScale, fitScale } from "../charts/scale";
import type { Kind } from "../charts/scale-choice";
import { type Spot, type Stroke, stepped } from "../charts/strokes";
import type { Theme } from "../charts/theme";
import { axisTitle } from "../job/measures";
import { jobPath, navigate } from "../shell/router";
import { metricValue, short } from "../text/numbers";

export interface JobLine {
  job: Job;
  look: Look;
  /** Each with the trial that it stands for. */
  points: readonly (readonly [across: number, value: number, number: number])[];
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
): { option: ChartOption; strokes: Stroke[] } {
  const scale = fitScale(
    lines.flatMap(({ points }) => points.map(([, value]) => value)),
    kind,
  );
  const last = Math.max(1, ...lines.map(({ points }) => points.at(-1)?.[0] ?? 0));
  const base = frame(theme, { name: over, scale: countScale(last) }, { name: axisTitle(metric, metrics), scale });
  const spots = lines.map(({ points }, at) =>
    points.map(([across, value, number]): Spot => [across, scale.toAxis(value), number, at]),
  );
  const option: ChartOption = {
    ...base,
    tooltip: {
      ...base.tooltip,
      formatter: (point: unknown) => {
        const { value } = point as { value: number[] };
        const [, , number, at = 0] = value;
        return tip(`${lines[at]?.job.name ?? ""}, trial ${number}`, [
          [over, short(value[0] ?? 0)],
          [metric, metricValue(scale.fromAxis(value[1] ?? 0), metrics.get(metric)?.unit)],
        ]);
      },
    },
    series: lines.map(({ job, look, points }, at): LineSeriesOption => ({
      ...form,
      id: job.id,
      type: "line",
      silent: true,
      data: (spots[at] ?? []).map((spot) => [...spot]),
      symbol: look.symbol,
      symbolSize: 6,
      showSymbol: points.length < MARKED,
      itemStyle: { color: look.color },
      lineStyle: { color: look.color, width: 1.75, type: look.dashes },
    })),
  };
  return { option, strokes: form.step ? spots.map(stepped) : spots };
}

/** What a click on a line opens: the trial on the page of its job. */
export const opensTrial =
  (lines: readonly { job: Job }[]) =>
  ([, , number, at]: readonly number[]): void => {
    const job = lines[at ?? -1]?.job;
    if (job) navigate(`${jobPath(job.id)}?trial=${number}`);
  };
