/** The methods of a search side by side: one row of trials each, with the middle half boxed and the median marked. */
import { useDeferredValue, useMemo, useState } from "react";
import type { Job, MetricInfo, Trial } from "../api/types";
import { Chart } from "../charts/chart";
import type { ChartOption } from "../charts/echarts";
import { frame, tip } from "../charts/frame";
import { fitScale } from "../charts/scale";
import { type Kind, ScaleChoice } from "../charts/scale-choice";
import { useTheme } from "../charts/theme";
import { configLine } from "../text/config";
import { metricValue } from "../text/numbers";
import { frontWords } from "./front-words";
import { axisTitle } from "./measures";
import { type MethodRow, methodRows } from "./method-rows";
import { TableFrame } from "../shell/table-frame";

interface Props {
  job: Job;
  trials: readonly Trial[];
  /** Those that meet the clauses: only they are compared. */
  kept: readonly Trial[];
  names: readonly string[];
  front: ReadonlySet<string>;
  metrics: ReadonlyMap<string, MetricInfo>;
  onSelect: (number: number) => void;
  /** Called with the trials that a box holds. */
  onChoose: (numbers: ReadonlySet<number>) => void;
}

const ROW_HEIGHT = 34;
const FRAME_HEIGHT = 90;

export function MethodsPanel({ job, kept, names, front, metrics, onSelect, onChoose }: Props) {
  const [picked, setPicked] = useState<string | null>(null);
  const [kind, setKind] = useState<Kind>(null);
  const metric = picked ?? job.objectives[0]?.metric ?? names[0] ?? "";
  const settled = useDeferredValue(kept);
  const direction =
    job.objectives.find((one) => one.metric === metric)?.direction ?? metrics.get(metric)?.direction ?? "maximize";
  const rows = useMemo(() => methodRows(settled, metric, direction, front), [settled, metric, direction, front]);
  if (rows.length === 0) return <p className="empty muted">No trial that is shown was trained to its end yet.</p>;
  return (
    <section className="methods">
      <div className="axes">
        <label className="inline">
          Compare methods by
          <select value={metric} onChange={(event) => setPicked(event.target.value)}>
            {names.map((name) => (
              <option key={name}>{name}</option>
            ))}
          </select>
        </label>
        <ScaleChoice label="Scale of the comparison" value={kind} onChange={setKind} />
      </div>
      <MethodsChart {...{ rows, metric, kind, metrics, front, onSelect, onChoose }} />
      <MethodsTable {...{ rows, metric, metrics, onSelect }} place={frontWords(job.objectives).place} />
    </section>
  );
}

interface ChartProps extends Pick<Props, "metrics" | "front" | "onSelect" | "onChoose"> {
  rows: readonly MethodRow[];
  metric: string;
  kind: Kind;
}

function MethodsChart({ rows, metric, kind, metrics, front, onSelect, onChoose }: ChartProps) {
  const theme = useTheme();
  const option = useMemo<ChartOption>(() => {
    const scale = fitScale(
      rows.flatMap((row) => row.trials.map((trial) => trial.metrics[metric] as number)),
      kind,
    );
    // The best row stands on top.
    const height = (at: number) => rows.length - 1 - at;
    const base = frame(
      theme,
      { name: axisTitle(metric, metrics), scale },
      {
        name: "",
        scale: {
          ...fitScale([0, 1]),
          min: -0.6,
          max: rows.length - 0.4,
          ticks: rows.map((_, at) => height(at)).reverse(),
          label: (position) => rows[rows.length - 1 - position]?.method ?? "",
        },
      },
    );
    const spots = (isWanted: (trial: Trial) => boolean) =>
      rows.flatMap((row, at) =>
        row.trials
          .filter(isWanted)
          .map((trial) => [
            scale.toAxis(trial.metrics[metric] as number),
            height(at) + (((trial.number * 7) % 5) - 2) / 12,
            trial.number,
          ]),
      );
    const strokes = rows.flatMap(({ quarter, median, threeQuarters }, at) => {
      const [low, middle, high] = [quarter, median, threeQuarters].map(scale.toAxis) as [number, number, number];
      const [down, up] = [height(at) - 0.3, height(at) + 0.3];
      return [
        {
          coords: [
            [low, down],
            [high, down],
            [high, up],
            [low, up],
            [low, down],
          ],
        },
        {
          coords: [
            [middle, down],
            [middle, up],
          ],
          lineStyle: { width: 2.5 },
        },
      ];
    });
    const byNumber = new Map(rows.flatMap((row) => row.trials.map((trial) => [trial.number, trial] as const)));
    const dots = { type: "scatter" as const, large: false, progressive: 0 };
    return {
      ...base,
      grid: { left: 8, right: 24, top: 12, bottom: 48, containLabel: true },
      tooltip: {
        ...base.tooltip,
        formatter: (point: unknown) => {
          const trial = byNumber.get((point as { value?: number[] }).value?.[2] ?? -1);
          if (!trial) return "";
          const value = metricValue(trial.metrics[metric], metrics.get(metric)?.unit);
          return tip(`Trial ${trial.number}`, [[metric, value]], configLine(trial.config));
        },
      },
      series: [
        {
          id: "boxes",
          type: "lines",
          coordinateSystem: "cartesian2d",
          polyline: true,
          silent: true,
          z: 1,
          data: strokes,
          lineStyle: { color: theme.muted, width: 1, opacity: 0.9 },
        },
        {
          ...dots,
          id: "trials",
          data: spots((trial) => !front.has(trial.id)),
          symbolSize: 6,
          itemStyle: { color: theme.point, opacity: 0.7 },
        },
        {
          ...dots,
          id: "front",
          data: spots((trial) => front.has(trial.id)),
          symbolSize: 10,
          z: 3,
          itemStyle: { color: theme.front, borderColor: theme.surface, borderWidth: 1.5 },
        },
      ],
    };
  }, [rows, metric, kind, metrics, front, theme]);
  return (
    <Chart
      name="methods"
      className="chart"
      height={FRAME_HEIGHT + ROW_HEIGHT * rows.length}
      option={option}
      label={`${metric} of ${rows.length} methods, the best first: ${rows.map((row) => row.method).join(", ")}. The table below holds the numbers.`}
      onPick={(value) => value[2] !== undefined && onSelect(value[2])}
      onBox={(_, numbers) => onChoose(numbers)}
    />
  );
}

interface TableProps extends Pick<Props, "metrics" | "onSelect"> {
  rows: readonly MethodRow[];
  metric: string;
  place: string;
}

function MethodsTable({ rows, metric, metrics, place, onSelect }: TableProps) {
  const text = (value: number) => metricValue(value, metrics.get(metric)?.unit);
  return (
    <TableFrame>
      <table aria-label={`Methods by ${metric}`}>
        <thead>
          <tr>
            <th scope="col">method</th>
            {["trials", place, "best", "median", "middle half"].map((name) => (
              <th key={name} scope="col" className="number">
                {name}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map((row) => (
            <tr key={row.method}>
              <th scope="row" className="mono">
                {row.method}
              </th>
              <td className="number">{row.trials.length}</td>
              <td className="number">{row.onFront}</td>
              <td className="number">
                <button type="button" className="link" onClick={() => onSelect(row.best.number)}>
                  {text(row.best.metrics[metric] as number)}
                </button>
              </td>
              <td className="number">{text(row.median)}</td>
              <td className="number">
                {text(row.quarter)} to {text(row.threeQuarters)}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </TableFrame>
  );
}
