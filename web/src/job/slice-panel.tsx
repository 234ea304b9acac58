/** A metric over one parameter, all else as in a trial, as the model of the trials has it: with its uncertainty. */
import { useQuery } from "@tanstack/react-query";
import { useMemo, useState } from "react";
import { ApiError, getSlice } from "../api/client";
import type { Job, MetricInfo, Slice, Trial } from "../api/types";
import { indexOfNumber } from "../api/trial-set";
import { Chart } from "../charts/chart";
import { type Cloud, nearSeries } from "../charts/cloud";
import type { ChartOption, LineSeriesOption } from "../charts/echarts";
import { frame, tip } from "../charts/frame";
import { fitScale, type Scale } from "../charts/scale";
import { points } from "../charts/points";
import { ScaleChoices, useKinds } from "../charts/scale-choice";
import { useTheme } from "../charts/theme";
import { configLine, configValue } from "../text/config";
import { metricValue, percent } from "../text/numbers";
import { EstimateText } from "./estimate";
import { axisTitle, measure } from "./measures";
import { TableFrame } from "../shell/table-frame";

interface Props {
  job: Job;
  trial: Trial;
  metrics: ReadonlyMap<string, MetricInfo>;
  /** Those that the filter keeps: measured ones stand in the chart. */
  kept: readonly Trial[];
  onSelect: (number: number) => void;
  /** Called with the trials that a box holds. */
  onChoose: (numbers: ReadonlySet<number>) => void;
}

export function SlicePanel({ job, trial, metrics, ...trials }: Props) {
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
      {data && !error && <Cut found={data} metrics={metrics} now={trial.config[data.parameter]} {...trials} />}
    </section>
  );
}

interface CutProps extends Pick<Props, "metrics" | "kept" | "onSelect" | "onChoose"> {
  found: Slice;
  now: unknown;
}

function Cut(props: CutProps) {
  const { found, metrics, now } = props;
  const numeric = found.points.length > 2 && found.points.every(({ at }) => typeof at === "number");
  const level = found.points[0]?.level ?? 0.9;
  return (
    <>
      <p className="muted">
        From {found.trials} trials; a measurement lies between the dashed lines with {percent(level)} probability.
        {numeric && " Grey points are trials, whatever else they have; those beyond the lines’ heights are not shown."}
      </p>
      {numeric ? <SliceChart {...props} /> : <SliceTable {...{ found, metrics, now }} />}
    </>
  );
}

function SliceTable({ found, metrics, now }: Pick<CutProps, "found" | "metrics" | "now">) {
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

function SliceChart({ found, metrics, now, kept, onSelect, onChoose }: CutProps) {
  const theme = useTheme();
  const { kinds, onKinds } = useKinds();
  const { option, clouds } = useMemo((): { option: ChartOption; clouds: Cloud[] } => {
    const { metric, parameter } = found;
    const unit = metrics.get(metric)?.unit;
    const x = fitScale(
      found.points.map(({ at }) => at as number),
      kinds.x,
    );
    const y = fitScale(
      found.points.flatMap(({ value, low, high }) => [value, low, high]),
      kinds.y,
    );
    const base = frame(theme, { name: parameter, scale: x }, { name: axisTitle(metric, metrics), scale: y });
    const line = (name: "value" | "low" | "high"): LineSeriesOption => ({
      id: name,
      type: "line",
      data: found.points.map((point) => [x.toAxis(point.at as number), y.toAxis(point[name])]),
      showSymbol: name === "value",
      symbolSize: 5,
      silent: name !== "value",
      itemStyle: { color: theme.front },
      lineStyle:
        name === "value" ? { color: theme.front, width: 1.75 } : { color: theme.point, width: 1, type: "dashed" },
    });
    const text = (value: number | undefined) => metricValue(value, unit);
    const own = found.points.reduce<Slice["points"][number] | undefined>(
      (nearest, point) =>
        typeof now === "number" &&
        Math.abs((point.at as number) - now) < Math.abs(((nearest?.at ?? Infinity) as number) - now)
          ? point
          : nearest,
      undefined,
    );
    const measured = points("trials", spotsOf(kept, found, x, y), { color: theme.point, opacity: 0.6, size: 6, z: 1 });
    const option: ChartOption = {
      ...base,
      tooltip: {
        ...base.tooltip,
        formatter: (event: unknown) => {
          const { value, dataIndex } = event as { value: number[]; dataIndex: number };
          const trial = value[2] === undefined ? undefined : kept[indexOfNumber(kept, value[2])];
          if (trial)
            return tip(`Trial ${trial.number}`, [[metric, text(measure(trial, metric))]], configLine(trial.config));
          const point = found.points[dataIndex];
          return tip(`${parameter} ${configValue((point?.at ?? null) as never)}`, [
            [metric, text(point?.value)],
            ["interval", `${text(point?.low)} to ${text(point?.high)}`],
          ]);
        },
      },
      series: [
        measured.series,
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
        nearSeries(theme),
      ],
    };
    return { option, clouds: measured.clouds };
  }, [found, kinds, metrics, now, kept, theme]);
  return (
    <>
      <ScaleChoices of="slice" kinds={kinds} onChange={onKinds} />
      <Chart
        name="slice"
        className="chart chart-slice"
        option={option}
        clouds={clouds}
        onPick={([, , number]) => number !== undefined && onSelect(number)}
        onBox={(_, numbers) => onChoose(numbers)}
        label={`${found.metric} over ${found.parameter} at ${found.points.length} values, with intervals; the diamond is where trial ${found.trial} stands`}
      />
    </>
  );
}

function spotsOf(trials: readonly Trial[], { parameter, metric }: Slice, x: Scale, y: Scale) {
  return trials.flatMap((trial): [number, number, number][] => {
    const [at, value] = [trial.config[parameter], measure(trial, metric)];
    return typeof at === "number" && value !== undefined ? [[x.toAxis(at), y.toAxis(value), trial.number]] : [];
  });
}
