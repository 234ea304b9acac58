/** What jobs had found for what they had spent: the best value so far over trials, the clock or training. */
import { useMemo, useState } from "react";
import type { MetricInfo } from "../api/types";
import { Chart } from "../charts/chart";
import type { ChartOption, LineSeriesOption } from "../charts/echarts";
import { frame, tip } from "../charts/frame";
import { bestSoFar } from "../charts/front";
import { countScale, fitScale } from "../charts/scale";
import { useTheme } from "../charts/theme";
import { axisTitle } from "../job/measures";
import { inOrder } from "../job/finished";
import { OVER, type Over, spentAt } from "../job/spent";
import { metricValue, short } from "../text/numbers";
import type { Compared } from "./compare-jobs-page";

interface Props {
  compared: readonly Compared[];
  metrics: ReadonlyMap<string, MetricInfo>;
}

export function JobsCourse({ compared, metrics }: Props) {
  const theme = useTheme();
  const choices = useMemo(() => common(compared), [compared]);
  const [picked, setPicked] = useState("");
  const [over, setOver] = useState<Over>("finished trials");
  const metric = choices.includes(picked) ? picked : (choices[0] ?? "");
  const courses = useMemo(
    () =>
      compared.map(({ job, trials, look }) => {
        const objective = job.objectives.find((one) => one.metric === metric);
        const finished = objective ? inOrder(trials, [objective]) : [];
        const values = finished.map((trial) => trial.metrics[metric] as number);
        const best = bestSoFar(values, objective?.direction ?? "maximize");
        return { job, look, spent: spentAt(over, finished, job), best };
      }),
    [compared, metric, over],
  );
  const option = useMemo<ChartOption>(() => {
    const scale = fitScale(courses.flatMap(({ best }) => best));
    const last = Math.max(1, ...courses.map(({ spent }) => spent.at(-1) ?? 0));
    const base = frame(theme, { name: over, scale: countScale(last) }, { name: axisTitle(metric, metrics), scale });
    return {
      ...base,
      tooltip: {
        ...base.tooltip,
        formatter: (point: unknown) => {
          const { seriesIndex = 0, value } = point as { seriesIndex?: number; value: number[] };
          const best = metricValue(scale.fromAxis(value[1] ?? 0), metrics.get(metric)?.unit);
          const rows: [string, string][] = [
            [over, short(value[0] ?? 0)],
            [`best ${metric}`, best],
          ];
          return tip(courses[seriesIndex]?.job.name ?? "", rows);
        },
      },
      series: courses.map(({ job, look, spent, best }): LineSeriesOption => ({
        id: job.id,
        type: "line",
        step: "end",
        sampling: "max",
        data: best.map((value, at) => [spent[at] ?? 0, scale.toAxis(value)]),
        symbol: look.symbol,
        symbolSize: 6,
        showSymbol: best.length < 60,
        itemStyle: { color: look.color },
        lineStyle: { color: look.color, width: 1.75, type: look.dashes },
      })),
    };
  }, [courses, metric, over, metrics, theme]);
  const said = courses.map(({ job, best }) => `${job.name} ${short(best.at(-1) ?? Number.NaN)}`).join(", ");
  return (
    <section className="panel" aria-labelledby="courses-title">
      <div className="panel-head">
        <h2 id="courses-title">Progress</h2>
        <label className="inline">
          <span className="sr-only">Show</span>
          <select value={metric} onChange={({ target }) => setPicked(target.value)}>
            {choices.map((name) => (
              <option key={name} value={name}>
                best {name}
              </option>
            ))}
          </select>
        </label>
        <label className="inline">
          over
          <select value={over} onChange={({ target }) => setOver(target.value as Over)}>
            {OVER.map((choice) => (
              <option key={choice}>{choice}</option>
            ))}
          </select>
        </label>
      </div>
      <Chart
        className="chart chart-progress"
        option={option}
        label={`Best ${metric} over ${over} of ${compared.length} jobs, in the end: ${said}`}
      />
    </section>
  );
}

/** The objectives that all of the jobs have, as the first one orders them. */
const common = (compared: readonly Compared[]): string[] => {
  const [first, ...others] = compared.map(({ job }) => job.objectives.map(({ metric }) => metric));
  return (first ?? []).filter((metric) => others.every((own) => own.includes(metric)));
};
