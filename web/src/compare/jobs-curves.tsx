/** How the leading trial of each job learnt. */
import { useMemo, useState } from "react";
import { useReportsOfAll } from "../api/queries";
import type { MetricInfo, Report } from "../api/types";
import { Chart } from "../charts/chart";
import type { ChartOption, LineSeriesOption } from "../charts/echarts";
import { frame, tip } from "../charts/frame";
import { countScale, fitScale } from "../charts/scale";
import { useTheme } from "../charts/theme";
import { axisTitle } from "../job/measures";
import { metricValue, short } from "../text/numbers";
import type { Compared } from "./compare-jobs-page";

interface Props {
  compared: readonly Compared[];
  metrics: ReadonlyMap<string, MetricInfo>;
}

export function JobsCurves({ compared, metrics }: Props) {
  const theme = useTheme();
  const leading = compared.filter(({ job }) => job.best_trial !== null);
  const found = useReportsOfAll(leading.map(({ job }) => job.best_trial ?? ""));
  const curves = leading.map(({ job, look }, at) => ({ job, look, reports: latest(found[at]?.data ?? []) }));
  const names = [...new Set(curves.flatMap(({ reports }) => reports.flatMap(({ metrics }) => Object.keys(metrics))))];
  const [picked, setPicked] = useState("");
  const objective = compared[0]?.job.objectives[0]?.metric ?? "";
  const metric = [picked, objective, ...names].find((name) => names.includes(name)) ?? objective;
  const parts = curves.flatMap(({ job, look, reports }) => [job.id, look.color, reports.length]).join(" ");
  // biome-ignore lint/correctness/useExhaustiveDependencies: `parts` says what changes in the curves
  const option = useMemo<ChartOption>(() => {
    const of = (report: Report) => report.metrics[metric] ?? Number.NaN;
    const scale = fitScale(curves.flatMap(({ reports }) => reports.map(of)));
    const last = Math.max(1, ...curves.map(({ reports }) => reports.at(-1)?.epoch ?? 0));
    const base = frame(theme, { name: "epoch", scale: countScale(last) }, { name: axisTitle(metric, metrics), scale });
    return {
      ...base,
      tooltip: {
        ...base.tooltip,
        formatter: (point: unknown) => {
          const { seriesIndex = 0, value } = point as { seriesIndex?: number; value: number[] };
          const reached = metricValue(scale.fromAxis(value[1] ?? 0), metrics.get(metric)?.unit);
          const rows: [string, string][] = [
            ["epoch", short(value[0] ?? 0)],
            [metric, reached],
          ];
          return tip(curves[seriesIndex]?.job.name ?? "", rows);
        },
      },
      series: curves.map(({ job, look, reports }): LineSeriesOption => ({
        id: job.id,
        type: "line",
        data: reports
          .filter((report) => Number.isFinite(of(report)))
          .map((report) => [report.epoch, scale.toAxis(of(report))]),
        symbol: look.symbol,
        symbolSize: 6,
        itemStyle: { color: look.color },
        lineStyle: { color: look.color, width: 1.75, type: look.dashes },
      })),
    };
  }, [parts, metric, metrics, theme]);
  if (names.length === 0) return null;
  return (
    <section className="panel" aria-labelledby="leaders-title">
      <div className="panel-head">
        <h2 id="leaders-title">Leading trials</h2>
        <label className="inline">
          Learning curves of
          <select value={metric} onChange={({ target }) => setPicked(target.value)}>
            {names.map((name) => (
              <option key={name}>{name}</option>
            ))}
          </select>
        </label>
      </div>
      <Chart
        className="chart chart-progress"
        option={option}
        label={`${metric} over the epochs of the leading trials of ${curves.length} jobs`}
      />
    </section>
  );
}

/** A trial that was tried again has reports of each attempt; only the last one counts. */
function latest(reports: readonly Report[]): readonly Report[] {
  const last = Math.max(...reports.map(({ attempt }) => attempt));
  return reports.filter(({ attempt }) => attempt === last);
}
