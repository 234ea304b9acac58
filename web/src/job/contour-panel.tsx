/** A metric over two parameters, all else as in a trial: level lines of the model, or of how unsure it is. */
import { useQuery } from "@tanstack/react-query";
import { useMemo, useState } from "react";
import { getContour } from "../api/client";
import type { Contour, Job, Json, MetricInfo, Trial } from "../api/types";
import { indexOfNumber } from "../api/trial-set";
import { Chart } from "../charts/chart";
import { type Cloud, nearSeries } from "../charts/cloud";
import type { ChartOption, LinesSeriesOption } from "../charts/echarts";
import { frame, tip } from "../charts/frame";
import { levelLines, levelsOf } from "../charts/level-lines";
import { type GridAxis, gridAxis, nearest } from "../charts/grid-axis";
import { points } from "../charts/points";
import { ScaleChoices, useKinds } from "../charts/scale-choice";
import { useTheme } from "../charts/theme";
import { configLine, configValue } from "../text/config";
import { metricValue, percent } from "../text/numbers";
import { measure } from "./measures";

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

const LEVELS = 7;
/** In the place of a trial's number: cells of the grid stand for none. */
const NO_TRIAL = Number.NaN;
const SHOWN = ["value", "width of the interval"] as const;
type Shown = (typeof SHOWN)[number];

export function ContourPanel({ job, trial, metrics, ...trials }: Props) {
  const parameters = Object.keys(trial.config).filter((name) => name !== "method");
  const [wanted, setWanted] = useState<string | null>(null);
  const [first, setFirst] = useState<string | null>(null);
  const [second, setSecond] = useState<string | null>(null);
  const [shown, setShown] = useState<Shown>("value");
  const metric = wanted ?? job.objectives[0]?.metric ?? "";
  const across = first !== null && parameters.includes(first) ? first : (parameters[0] ?? "");
  const others = parameters.filter((name) => name !== across);
  const up = second !== null && others.includes(second) ? second : (others[0] ?? "");
  const { data, error } = useQuery({
    queryKey: ["contour", job.id, trial.number, across, up, metric, job.progress.completed],
    queryFn: ({ signal }) => getContour(job.id, trial.number, across, up, metric, signal),
    enabled: up !== "",
    placeholderData: (previous) => previous,
    retry: false,
  });
  if (up === "") return null;
  const choice = (label: string, value: string, names: readonly string[], onChange: (name: string) => void) => (
    <select aria-label={label} value={value} onChange={(event) => onChange(event.target.value)}>
      {names.map((name) => (
        <option key={name}>{name}</option>
      ))}
    </select>
  );
  const metricsOf = job.objectives.map((one) => one.metric);
  return (
    <section>
      <h3>
        {choice("Metric of the contour", metric, metricsOf, setWanted)} over{" "}
        {choice("Contour across", across, parameters, setFirst)} and {choice("Contour up", up, others, setSecond)}, all
        else as in trial {trial.number}: {choice("Contour of", shown, SHOWN, (name) => setShown(name as Shown))}
      </h3>
      {error && (
        <p className="empty" role="alert">
          {error.message}
        </p>
      )}
      {data && !error && <ContourChart {...{ found: data, trial, shown, metrics }} {...trials} />}
    </section>
  );
}

interface ChartProps extends Omit<Props, "job"> {
  found: Contour;
  shown: Shown;
}

function ContourChart({ found, trial, shown, metrics, kept, onSelect, onChoose }: ChartProps) {
  const theme = useTheme();
  const grid = useMemo(
    () =>
      shown === "value"
        ? found.value
        : found.high.map((row, y) =>
            row.map((high, x) => {
              const low = found.low[y]?.[x];
              return high === null || low === null || low === undefined ? null : high - low;
            }),
          ),
    [found, shown],
  );
  const levels = useMemo(
    () =>
      levelsOf(
        grid.flat().filter((value) => value !== null),
        LEVELS,
      ),
    [grid],
  );
  const unit = metrics.get(found.metric)?.unit;
  const { kinds, onKinds } = useKinds();
  const axes = useMemo(
    () => ({ x: gridAxis(found.across_values, kinds.x), y: gridAxis(found.up_values, kinds.y) }),
    [found, kinds],
  );
  const { option, clouds } = useMemo((): { option: ChartOption; clouds: Cloud[] } => {
    const base = frame(theme, { name: found.across, scale: axes.x.scale }, { name: found.up, scale: axes.y.scale });
    const place = ([x, y]: readonly [number, number]) => [axes.x.at(x), axes.y.at(y)];
    const lines = levels.map((level, at): LinesSeriesOption => {
      const segments = levelLines(grid, level);
      const middle = Math.floor(segments.length / 2);
      return {
        id: `level ${at}`,
        type: "lines",
        coordinateSystem: "cartesian2d",
        silent: true,
        data: segments.map((segment, which) => ({
          coords: segment.map(place),
          label: { show: which === middle, formatter: metricValue(level, unit), position: "middle" as const },
        })),
        lineStyle: { color: theme.front, width: 0.75 + (2.25 * at) / LEVELS, opacity: 1 },
        label: {
          color: theme.text,
          fontFamily: theme.font,
          fontSize: 11,
          textBorderColor: theme.surface,
          textBorderWidth: 3,
        },
      };
    });
    const cells = grid.flatMap((row, y) =>
      row.flatMap((value, x) => (value === null ? [] : [[...place([x, y]), NO_TRIAL, x, y]])),
    );
    const own = [
      nearest(found.across_values, trial.config[found.across]),
      nearest(found.up_values, trial.config[found.up]),
    ] as const;
    const measured = points("trials", spotsOf(kept, found, axes), { color: theme.point, opacity: 0.9, size: 7, z: 4 });
    const option: ChartOption = {
      ...base,
      grid: { left: 64, right: 24, top: 30, bottom: 44 },
      tooltip: {
        ...base.tooltip,
        formatter: (event: unknown) => {
          const [, , number, x = 0, y = 0] = (event as { value?: number[] }).value ?? [];
          const one = number === undefined ? undefined : kept[indexOfNumber(kept, number)];
          if (one) {
            const value = metricValue(measure(one, found.metric), unit);
            return tip(`Trial ${one.number}`, [[found.metric, value]], configLine(one.config));
          }
          const at = (part: "value" | "low" | "high") => metricValue(found[part][y]?.[x] ?? undefined, unit);
          return tip(
            `${found.across} ${configValue((found.across_values[x] ?? null) as Json)}, ${found.up} ${configValue((found.up_values[y] ?? null) as Json)}`,
            [
              [found.metric, at("value")],
              ["interval", `${at("low")} to ${at("high")}`],
            ],
          );
        },
      },
      series: [
        { id: "cells", type: "scatter", data: cells, symbolSize: 3, itemStyle: { color: theme.line, opacity: 1 } },
        ...lines,
        measured.series,
        {
          id: "now",
          type: "scatter",
          silent: true,
          z: 5,
          symbol: "diamond",
          symbolSize: 13,
          data: own.includes(-1) ? [] : [place(own)],
          itemStyle: { color: theme.reference },
        },
        nearSeries(theme),
      ],
    };
    return { option, clouds: measured.clouds };
  }, [found, grid, levels, axes, trial, kept, unit, theme]);
  return (
    <>
      <p className="muted">
        From {found.trials} trials; lines are thicker the higher their level. A measurement lies in an interval with{" "}
        {percent(found.level)} probability. Points are trials, whatever else they have.
      </p>
      <ScaleChoices of="contour" kinds={kinds} onChange={onKinds} has={{ x: axes.x.isNumeric, y: axes.y.isNumeric }} />
      <Chart
        name="contour"
        className="chart chart-contour"
        option={option}
        clouds={clouds}
        onPick={([, , number]) => Number.isInteger(number) && onSelect(number as number)}
        onBox={(_, numbers) => onChoose(numbers)}
        label={`${shown} of ${found.metric} over ${found.across} and ${found.up}: ${levels.length} levels from ${metricValue(levels[0], unit)} to ${metricValue(levels.at(-1), unit)}; the diamond is where trial ${found.trial} stands`}
      />
    </>
  );
}

/** Where trials stand that were measured: numbers where their scale has them, words at their place. */
function spotsOf(
  trials: readonly Trial[],
  { across, up, metric, ...found }: Contour,
  axes: { x: GridAxis; y: GridAxis },
) {
  const at = (axis: GridAxis, values: readonly Json[], value: Json | undefined): number =>
    axis.isNumeric ? (typeof value === "number" ? axis.scale.toAxis(value) : Number.NaN) : nearest(values, value);
  return trials.flatMap((trial): [number, number, number][] => {
    const x = at(axes.x, found.across_values as Json[], trial.config[across]);
    const y = at(axes.y, found.up_values as Json[], trial.config[up]);
    const isThere = (place: number, axis: GridAxis) => Number.isFinite(place) && (axis.isNumeric || place >= 0);
    return measure(trial, metric) !== undefined && isThere(x, axes.x) && isThere(y, axes.y)
      ? [[x, y, trial.number]]
      : [];
  });
}
