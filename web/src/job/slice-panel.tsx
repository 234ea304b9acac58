/** A metric over one parameter, all else as in a trial, as the model of the trials has it: with its uncertainty. */
import { useQuery } from "@tanstack/react-query";
import { useMemo, useState } from "react";
import { ApiError, getSlice } from "../api/client";
import type { Job, MetricInfo, Slice, Trial } from "../api/types";
import { Chart } from "../charts/chart";
import type { ChartOption, LineSeriesOption } from "../charts/echarts";
import { frame, tip } from "../charts/frame";
import { fitScale } from "../charts/scale";
import { ScaleChoices, useKinds } from "../charts/scale-choice";
import { useTheme } from "../charts/theme";
import { configValue } from "../text/config";
import { metricValue, percent } from "../text/numbers";
import { EstimateText } from "./estimate";
import { axisTitle } from "./measures";
import { TableFrame } from "../shell/table-frame";

interface Props {
  job: Job;
  trial: Trial;
  metrics: ReadonlyMap<string, MetricInfo>;
}

export function SlicePanel({ job, trial, metrics }: Props) {
  const parameters = Object.keys(trial.config).filter((name) => name !== "method");
  const [picked, setPicked] = useState<string | null>(null);
  const [wanted, setWanted] = useState<string | null>(null);
  const parameter = picked !== null && parameters.includes(picked) ? picked : (parameters[0] ?? "");
  const metric = wanted ?? job.objectives[0]?.metric ?? "";
  const { data, error } = useQuery({
    queryKey: ["slice", job.id, trial.number, parameter, metric, job.progress.completed],
    queryFn: ({ signal }) => getSlice(job.id, trial.number, parameter, metric, signal),
    enabled: parameter !== "",
    placeholderData: (previous) => previous,
    retry: false,
  });
  if (parameters.length === 0) return null;
  return (
    <section>
      <h3>
        <select aria-label="Metric of the slice" value={metric} onChange={(event) => setWanted(event.target.value)}>
          {job.objectives.map((one) => (
            <option key={one.metric}>{one.metric}</option>
          ))}
        </select>{" "}
        over{" "}
        <select
          aria-label="Parameter of the slice"
          value={parameter}
          onChange={(event) => setPicked(event.target.value)}
        >
          {parameters.map((name) => (
            <option key={name}>{name}</option>
          ))}
        </select>
        , all else as in trial {trial.number}
      </h3>
      {error && (
        <p className="empty" role="alert">
          {error instanceof ApiError ? error.message : "The answer cannot be had."}
        </p>
      )}
      {data && !error && <Cut found={data} metrics={metrics} now={trial.config[data.parameter]} />}
    </section>
  );
}

function Cut({ found, metrics, now }: { found: Slice; metrics: Props["metrics"]; now: unknown }) {
  const numeric = found.points.length > 2 && found.points.every(({ at }) => typeof at === "number");
  const level = found.points[0]?.level ?? 0.9;
  return (
    <>
      <p className="muted">
        From {found.trials} trials; a measurement lies between the dashed lines with {percent(level)} probability.
      </p>
      {numeric ? <SliceChart {...{ found, metrics, now }} /> : <SliceTable {...{ found, metrics, now }} />}
    </>
  );
}

function SliceTable({ found, metrics, now }: { found: Slice; metrics: Props["metrics"]; now: unknown }) {
  return (
    <TableFrame>
      <table aria-label={`${found.metric} over ${found.parameter}`}>
        <tbody>
          {found.points.map((point) => (
            <tr key={configValue(point.at)}>
              <th scope="row" className="mono">
                {configValue(point.at)}
                {point.at === now && " (now)"}
              </th>
              <td>
                <EstimateText estimate={point} unit={metrics.get(found.metric)?.unit} />
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </TableFrame>
  );
}

function SliceChart({ found, metrics, now }: { found: Slice; metrics: Props["metrics"]; now: unknown }) {
  const theme = useTheme();
  const { kinds, onKinds } = useKinds();
  const option = useMemo<ChartOption>(() => {
    const { points, metric, parameter } = found;
    const unit = metrics.get(metric)?.unit;
    const x = fitScale(
      points.map(({ at }) => at as number),
      kinds.x,
    );
    const y = fitScale(
      points.flatMap(({ value, low, high }) => [value, low, high]),
      kinds.y,
    );
    const base = frame(theme, { name: parameter, scale: x }, { name: axisTitle(metric, metrics), scale: y });
    const line = (name: "value" | "low" | "high"): LineSeriesOption => ({
      id: name,
      type: "line",
      data: points.map((point) => [x.toAxis(point.at as number), y.toAxis(point[name])]),
      showSymbol: name === "value",
      symbolSize: 5,
      silent: name !== "value",
      itemStyle: { color: theme.front },
      lineStyle:
        name === "value" ? { color: theme.front, width: 1.75 } : { color: theme.point, width: 1, type: "dashed" },
    });
    const own = points.reduce<Slice["points"][number] | undefined>(
      (nearest, point) =>
        typeof now === "number" &&
        Math.abs((point.at as number) - now) < Math.abs(((nearest?.at ?? Infinity) as number) - now)
          ? point
          : nearest,
      undefined,
    );
    return {
      ...base,
      tooltip: {
        ...base.tooltip,
        formatter: (event: unknown) => {
          const point = points[(event as { dataIndex: number }).dataIndex];
          const text = (value: number | undefined) => metricValue(value, unit);
          return tip(`${parameter} ${configValue((point?.at ?? null) as never)}`, [
            [metric, text(point?.value)],
            ["interval", `${text(point?.low)} to ${text(point?.high)}`],
          ]);
        },
      },
      series: [
        line("value"),
        line("low"),
        line("high"),
        {
          id: "now",
          type: "scatter",
          silent: true,
          symbol: "diamond",
          symbolSize: 12,
          data: own ? [[x.toAxis(own.at as number), y.toAxis(own.value)]] : [],
          itemStyle: { color: theme.reference },
        },
      ],
    };
  }, [found, kinds, metrics, now, theme]);
  return (
    <>
      <ScaleChoices of="slice" kinds={kinds} onChange={onKinds} />
      <Chart
        className="chart chart-slice"
        option={option}
        label={`${found.metric} over ${found.parameter} at ${found.points.length} values, with intervals; the diamond is where trial ${found.trial} stands`}
      />
    </>
  );
}
