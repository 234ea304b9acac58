/** Parallel coordinates: every trial a line through its parameters to its objectives. What is brushed is filtered. */
import { useDeferredValue, useMemo } from "react";
import type { Job, MetricInfo, Trial } from "../api/types";
import { Chart, parallelAxisId } from "../charts/chart";
import type { ParallelOption, ParallelSeriesOption } from "../charts/echarts";
import { tip, tooltipLook } from "../charts/frame";
import { parallelStroke } from "../charts/parallel";
import { type Theme, useTheme } from "../charts/theme";
import { configLine } from "../text/config";
import { integer, metricValue } from "../text/numbers";
import { type Clause, withClauses } from "./clauses";
import { frontWords } from "./front-words";
import { axisTitle } from "./measures";
import {
  clausesOf,
  endsOf,
  intervalsOf,
  labelAt,
  marksOf,
  type ParallelAxis,
  parallelAxes,
  place,
} from "./parallel-axes";

/** Lines drawn at most: with more a screen shows nothing but ink. Those on the front and the newest are kept. */
const MOST_LINES = 1500;

/** Pixels that an axis needs for its name and its labels; where a screen has fewer, the chart scrolls. */
const AXIS_WIDTH = 84;

interface Props {
  job: Job;
  trials: readonly Trial[];
  /** Those that meet the clauses. */
  kept: readonly Trial[];
  front: ReadonlySet<string>;
  metrics: ReadonlyMap<string, MetricInfo>;
  clauses: readonly Clause[];
  onClauses: (clauses: readonly Clause[]) => void;
  onSelect: (number: number) => void;
}

export function ParallelPanel({ job, trials, kept, front, metrics, clauses, onClauses, onSelect }: Props) {
  const theme = useTheme();
  const settled = useDeferredValue(trials);
  const objectives = useMemo(() => job.objectives.map((one) => one.metric), [job.objectives]);
  const measured = useMemo(
    () => settled.filter((trial) => objectives.every((name) => typeof trial.metrics[name] === "number")),
    [settled, objectives],
  );
  const axes = useMemo(() => parallelAxes(measured, objectives), [measured, objectives]);
  const shown = useMemo(() => sample(measured, front), [measured, front]);
  const option = useMemo<ParallelOption>(() => {
    const chosen = new Set(kept);
    const lines = (some: readonly Trial[]) => some.map((trial) => axes.map((axis) => place(axis, trial) ?? Number.NaN));
    const others = shown.filter((trial) => !front.has(trial.id));
    return {
      animation: false,
      textStyle: { fontFamily: theme.font },
      tooltip: { ...tooltipLook(theme), formatter: tooltipOf(shown, objectives, metrics) },
      parallel: { left: 48, right: 64, top: 44, bottom: 20 },
      parallelAxis: axes.map((axis, at) => axisOption(axis, at, metrics, theme)),
      series: [
        series("aside", lines(shown.filter((trial) => !chosen.has(trial))), theme.faint, 1),
        series("kept", lines(others.filter((trial) => chosen.has(trial))), theme.point, 0.6),
        series("front", lines(shown.filter((trial) => front.has(trial.id) && chosen.has(trial))), theme.front, 1),
      ],
    };
  }, [axes, shown, kept, front, metrics, objectives, theme]);
  const strokes = useMemo(() => {
    const chosen = new Set(kept);
    const ends = axes.map(endsOf);
    return shown
      .filter((trial) => chosen.has(trial))
      .map((trial) =>
        parallelStroke(
          ends,
          axes.map((axis) => place(axis, trial) ?? Number.NaN),
          trial.number,
        ),
      );
  }, [axes, shown, kept]);
  const brushes = useMemo(() => axes.map((axis) => intervalsOf(axis, clauses)), [axes, clauses]);
  if (measured.length === 0) return <p className="empty muted">No trial has been measured yet.</p>;
  const words = frontWords(job.objectives);
  return (
    <div className="parallel">
      <p className="muted">
        Drag along an axis to keep the trials that pass there; a click on the axis lets them go again. A click on a line
        opens its trial; Ctrl and the wheel zoom, dragging between two axes moves.{" "}
        {shown.length < measured.length && `${integer(shown.length)} of ${integer(measured.length)} trials are drawn.`}
      </p>
      <div className="parallel-frame" tabIndex={0} role="region" aria-label="Parallel coordinates">
        <div style={{ minWidth: AXIS_WIDTH * axes.length }}>
          <Chart
            name="parallel"
            className="chart chart-parallel"
            option={option}
            strokes={strokes}
            onPick={([, , number]) => number !== undefined && onSelect(number)}
            label={`Parallel coordinates of ${measured.length} trials over ${axes.map((axis) => axis.name).join(", ")}. The table below holds the same values; its filters do what brushing does.`}
            brushes={brushes}
            onBrush={(at, intervals) => {
              const axis = axes[at];
              if (axis) onClauses(withClauses(clauses, axis.name, clausesOf(axis, intervals)));
            }}
          />
        </div>
      </div>
      <ul className="legend">
        <li data-mark="front">{words.place}</li>
        <li data-mark="point">{words.others}</li>
      </ul>
    </div>
  );
}

function tooltipOf(
  shown: readonly Trial[],
  objectives: readonly string[],
  metrics: ReadonlyMap<string, MetricInfo>,
): (point: unknown) => HTMLElement | string {
  return (point) => {
    const number = (point as { value?: number[] }).value?.[2];
    const trial = shown.find((one) => one.number === number);
    if (!trial) return "";
    const rows = objectives.map((name) => [name, metricValue(trial.metrics[name], metrics.get(name)?.unit)] as const);
    return tip(`Trial ${trial.number}`, rows, configLine(trial.config));
  };
}

function sample(trials: readonly Trial[], front: ReadonlySet<string>): readonly Trial[] {
  if (trials.length <= MOST_LINES) return trials;
  const best = trials.filter((trial) => front.has(trial.id));
  const rest = trials.filter((trial) => !front.has(trial.id));
  return [...rest.slice(best.length - MOST_LINES), ...best];
}

function axisOption(axis: ParallelAxis, at: number, metrics: ReadonlyMap<string, MetricInfo>, theme: Theme) {
  const [min, max] = endsOf(axis);
  const marks = marksOf(axis);
  return {
    id: parallelAxisId(at),
    dim: at,
    name: axisTitle(axis.name, metrics),
    nameTextStyle: { color: theme.text, fontFamily: theme.font, fontSize: 11 },
    nameTruncate: { maxWidth: AXIS_WIDTH - 6 },
    type: "value" as const,
    min,
    max,
    axisLine: { lineStyle: { color: theme.line } },
    axisTick: { show: false, ...(marks && { customValues: marks }) },
    axisLabel: {
      color: theme.muted,
      fontFamily: theme.font,
      fontSize: 11,
      hideOverlap: true,
      formatter: (position: number) => labelAt(axis, position),
      ...(marks
        ? { customValues: marks, showMinLabel: true, showMaxLabel: true }
        : { showMinLabel: false, showMaxLabel: false }),
    },
    splitLine: { show: false },
    // Told when the drag ends: what is drawn anew in the middle of it would end it.
    realtime: false,
    areaSelectStyle: { width: 14, borderWidth: 1, borderColor: theme.front, color: theme.front, opacity: 0.25 },
  };
}

function series(id: string, data: number[][], color: string, opacity: number): ParallelSeriesOption {
  return {
    id,
    type: "parallel",
    data,
    silent: true,
    progressive: 500,
    lineStyle: { color, opacity, width: id === "front" ? 1.75 : 1 },
    // What is brushed is ours to show: lines apart are drawn faintly by their series.
    inactiveOpacity: opacity,
    activeOpacity: opacity,
  };
}
