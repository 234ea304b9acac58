/** The Pareto chart: every measured trial, the front with its border, reference trials by name, the selected one ringed. */
import { useDeferredValue, useMemo } from "react";
import type { MetricInfo, Objective, Trial } from "../api/types";
import { indexOfNumber } from "../api/trial-set";
import { Chart } from "../charts/chart";
import type { ChartOption, LinesSeriesOption, ScatterSeriesOption } from "../charts/echarts";
import { frame, tip } from "../charts/frame";
import { type Point, stepLine } from "../charts/front";
import { fitScale, type Scale } from "../charts/scale";
import { type Theme, useTheme } from "../charts/theme";
import { configLine } from "../text/config";
import { metricValue } from "../text/numbers";
import { frontWords } from "./front-words";
import { type Axes, axisTitle, isUnfinished, measure } from "./measures";

interface Props {
  objectives: readonly Objective[];
  trials: readonly Trial[];
  /** Those that meet the clauses; the others fade. */
  kept: readonly Trial[];
  front: readonly Trial[];
  reference: readonly Trial[];
  metrics: ReadonlyMap<string, MetricInfo>;
  axes: Axes;
  /** The kind of scale that was chosen for an axis; null: whatever fits. */
  kinds: { x: Scale["kind"] | null; y: Scale["kind"] | null };
  selected: Trial | undefined;
  onSelect: (number: number) => void;
}

/** Ctrl and the wheel zoom, so that the wheel alone scrolls the page; what is dragged moves along. */
const zoom: Pick<ChartOption, "dataZoom"> = {
  dataZoom: (["x", "y"] as const).map((axis) => ({
    id: `zoom ${axis}`,
    type: "inside",
    [`${axis}AxisIndex`]: 0,
    filterMode: "none",
    zoomOnMouseWheel: "ctrl",
    moveOnMouseMove: true,
    moveOnMouseWheel: false,
    preventDefaultMouseMove: false,
  })),
};

interface Scales {
  x: Scale;
  y: Scale;
}

type Spot = [x: number, y: number, trialNumber: number];

/** Above this many points ECharts draws them in one pass. */
const LARGE = 2000;

export function FrontChart({
  objectives,
  trials,
  kept,
  front,
  reference,
  metrics,
  axes,
  kinds,
  selected,
  onSelect,
}: Props) {
  const theme = useTheme();
  const settled = useDeferredValue(trials);
  const chosen = useDeferredValue(kept);
  const isFiltered = kept !== trials;
  const names = useMemo(() => new Set(chosen.map((trial) => trial.id)), [chosen]);
  const option = useMemo<ChartOption>(() => {
    const values = (name: string) => [...settled, ...front].map((trial) => measure(trial, name) ?? Number.NaN);
    const scales = { x: fitScale(values(axes.x), kinds.x), y: fitScale(values(axes.y), kinds.y) };
    const place = (list: readonly Trial[]) => spots(list, axes, scales);
    const look = (axis: "x" | "y") => ({ name: axisTitle(axes[axis], metrics), scale: scales[axis] });
    const base = frame(theme, look("x"), look("y"));
    return {
      ...base,
      ...zoom,
      tooltip: { ...base.tooltip, formatter: tooltipOf(settled, metrics, objectives) },
      series: [
        faded(isFiltered ? place(settled) : [], theme),
        cloud(place(chosen.filter((trial) => !isUnfinished(trial))), theme),
        unfinished(place(chosen.filter(isUnfinished)), theme),
        border(place(front), objectives, axes, scales, theme),
        frontPoints(place(isFiltered ? front.filter((trial) => names.has(trial.id)) : front), theme),
        referencePoints(reference, axes, scales, theme),
        ring(selected ? place([selected]) : [], theme),
      ],
    };
  }, [settled, chosen, isFiltered, names, front, reference, axes, kinds, metrics, theme, selected, objectives]);
  return (
    <Chart
      className="chart chart-front"
      option={option}
      label={`${axes.y} against ${axes.x} of ${settled.length} trials, ${frontWords(objectives).count(front.length)}. The trials table holds the same values.`}
      onPick={(value) => value[2] !== undefined && onSelect(value[2])}
    />
  );
}

function spots(trials: readonly Trial[], axes: Axes, scales: Scales): Spot[] {
  const result: Spot[] = [];
  for (const trial of trials) {
    const x = measure(trial, axes.x);
    const y = measure(trial, axes.y);
    if (x !== undefined && y !== undefined) result.push([scales.x.toAxis(x), scales.y.toAxis(y), trial.number]);
  }
  return result;
}

/** What a filter leaves out, still to be seen behind the rest. */
function faded(data: Spot[], theme: Theme): ScatterSeriesOption {
  return { ...cloud(data, theme), id: "faded", silent: true, z: 0, itemStyle: { color: theme.line, opacity: 0.6 } };
}

function cloud(data: Spot[], theme: Theme): ScatterSeriesOption {
  return {
    id: "trials",
    type: "scatter",
    data,
    symbolSize: data.length > LARGE ? 4 : 7,
    z: 1,
    large: data.length > LARGE,
    largeThreshold: LARGE,
    progressive: 0,
    itemStyle: { color: theme.point, opacity: data.length > LARGE ? 0.35 : 0.7 },
  };
}

/** Hollow and square, below the finished ones: what they reached is what they had reached so far. */
function unfinished(data: Spot[], theme: Theme): ScatterSeriesOption {
  return {
    id: "unfinished",
    type: "scatter",
    data,
    symbol: "rect",
    symbolSize: data.length > LARGE ? 4 : 6,
    z: 0,
    itemStyle: { color: "transparent", borderColor: theme.point, borderWidth: 1, opacity: 0.8 },
  };
}

function border(
  front: Spot[],
  objectives: readonly Objective[],
  axes: Axes,
  scales: Scales,
  theme: Theme,
): LinesSeriesOption {
  const direction = (name: string) => objectives.find((objective) => objective.metric === name)?.direction;
  const dx = direction(axes.x);
  const dy = direction(axes.y);
  const drawn = objectives.length === 2 && dx && dy && axes.x !== axes.y;
  const points = front.map(([x, y]): Point => [x, y]);
  const box = { x: [scales.x.min, scales.x.max], y: [scales.y.min, scales.y.max] } as const;
  const line = drawn ? stepLine(points, [dx, dy], box).map((point) => [...point]) : [];
  return {
    // Not a line series: that one leaves out steps of less than a pixel and so tilts what should be level.
    id: "border",
    type: "lines",
    coordinateSystem: "cartesian2d",
    polyline: true,
    silent: true,
    z: 2,
    clip: true,
    data: line.length ? [{ coords: line }] : [],
    lineStyle: { color: theme.front, width: 1.5, opacity: 0.85 },
  };
}

function frontPoints(data: Spot[], theme: Theme): ScatterSeriesOption {
  return {
    id: "front",
    type: "scatter",
    data,
    symbolSize: 10,
    z: 3,
    itemStyle: { color: theme.front, borderColor: theme.surface, borderWidth: 1.5, opacity: 1 },
    emphasis: { scale: 1.3 },
  };
}

function referencePoints(trials: readonly Trial[], axes: Axes, scales: Scales, theme: Theme): ScatterSeriesOption {
  const data = trials.flatMap((trial) =>
    spots([trial], axes, scales).map((value) => ({
      value,
      label: { formatter: trial.label ?? "reference", ...labelPlace(value, scales) },
    })),
  );
  return {
    id: "reference",
    type: "scatter",
    data,
    symbol: "diamond",
    symbolSize: 13,
    z: 4,
    itemStyle: { color: theme.surface, borderColor: theme.reference, borderWidth: 2, opacity: 1 },
    label: {
      show: true,
      distance: 4,
      color: theme.reference,
      fontFamily: theme.font,
      fontSize: 11,
      fontWeight: 600,
      textBorderColor: theme.surface,
      textBorderWidth: 3,
    },
  };
}

/** Above the border, which runs on from the point, and inside: points in the right half carry theirs on the left. */
function labelPlace([x]: Spot, { x: scale }: Scales) {
  return { position: x > (scale.min + scale.max) / 2 ? ("left" as const) : ("right" as const), offset: [0, -9] };
}

function ring(data: Spot[], theme: Theme): ScatterSeriesOption {
  return {
    id: "selected",
    type: "scatter",
    data,
    silent: true,
    symbolSize: 20,
    z: 5,
    itemStyle: { color: "transparent", borderColor: theme.text, borderWidth: 2 },
  };
}

function tooltipOf(
  trials: readonly Trial[],
  metrics: ReadonlyMap<string, MetricInfo>,
  objectives: readonly Objective[],
) {
  return (point: unknown): HTMLElement | string => {
    const number = (point as { value?: number[] }).value?.[2];
    const trial = number === undefined ? undefined : trials[indexOfNumber(trials, number)];
    if (!trial) return "";
    const rows = objectives.map(
      ({ metric }) => [metric, metricValue(trial.metrics[metric], metrics.get(metric)?.unit)] as const,
    );
    return tip(`Trial ${trial.number}${trial.label ? ` · ${trial.label}` : ""}`, rows, configLine(trial.config));
  };
}
