/** The Pareto chart: every measured trial, the front with its border, reference trials by name, the selected one ringed. */
import { useDeferredValue, useMemo } from "react";
import type { Objective, Trial } from "../api/types";
import { Chart } from "../charts/chart";
import type { Cloud } from "../charts/cloud";
import type { Box } from "../charts/drag";
import type { ChartOption, LinesSeriesOption } from "../charts/echarts";
import { frame } from "../charts/frame";
import { type Point, stepLine } from "../charts/front";
import { fitScale, type Scale } from "../charts/scale";
import type { Kind } from "../charts/scale-choice";
import { type Theme, useTheme } from "../charts/theme";
import { type Bound, endsOn } from "./bounds";
import { type Clause, withClauses } from "./clauses";
import { type FrontProps, referencePoints, type Spot, tooltipOf, trialSeries } from "./front-series";
import { frontWords } from "./front-words";
import { type Axes, axisTitle, measure } from "./measures";
import { type Spread, spreadSeries, spreadValues } from "./spreads";

interface Props extends FrontProps {
  axes: Axes;
  /** The kind of scale that was chosen for an axis; null: whatever fits. */
  kinds: { x: Kind; y: Kind };
  bounds: readonly Bound[];
  /** Where metrics of the front's trials lie by what the trials tell; empty where nobody asked. */
  spreads: readonly Spread[];
  clauses: readonly Clause[];
  onClauses: (clauses: readonly Clause[]) => void;
}

interface Scales {
  x: Scale;
  y: Scale;
}

export function FrontChart(props: Props) {
  const { objectives, front, reference, metrics, axes, kinds, selected, bounds, spreads, clauses } = props;
  const theme = useTheme();
  const trials = useDeferredValue(props.trials);
  const kept = useDeferredValue(props.kept);
  const scales = useMemo((): Scales => {
    const scale = (name: string, kind: Kind) => {
      const ends = endsOn(bounds, name).map(({ value }) => value);
      const measured = [...trials, ...front].map((trial) => measure(trial, name) ?? Number.NaN);
      return fitScale([...measured, ...ends, ...spreadValues(spreads, name)], kind);
    };
    return { x: scale(axes.x, kinds.x), y: scale(axes.y, kinds.y) };
  }, [trials, front, axes, kinds, bounds, spreads]);
  const { option, clouds } = useMemo((): { option: ChartOption; clouds: Cloud[] } => {
    const place = (some: readonly Trial[]) => spots(some, axes, scales);
    const look = (axis: "x" | "y") => ({ name: axisTitle(axes[axis], metrics), scale: scales[axis] });
    const base = frame(theme, look("x"), look("y"));
    const { behind, before, clouds } = trialSeries({ trials, kept, front, selected }, place, theme);
    const series = [
      ...behind,
      limits(bounds, axes, scales, theme),
      border(place(front), objectives, axes, scales, theme),
      spreadSeries(spreads, front, axes, scales, theme),
      ...before,
      referencePoints(reference, place, aside(scales.x), theme),
    ];
    const tooltip = { ...base.tooltip, formatter: tooltipOf(trials, metrics, objectives) };
    return { option: { ...base, tooltip, series }, clouds };
  }, [trials, kept, front, reference, axes, scales, metrics, theme, selected, objectives, bounds, spreads]);
  return (
    <Chart
      name="front"
      className="chart chart-front"
      option={option}
      clouds={clouds}
      label={`${axes.y} against ${axes.x} of ${trials.length} trials, ${frontWords(objectives).count(front.length)}.${limitWords(bounds, axes)} The trials table holds the same values.`}
      onPick={(value) => value[2] !== undefined && props.onSelect(value[2])}
      onBox={(box) => props.onClauses(within(clauses, box, axes, scales))}
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

/** What a drawn box asks of a trial. */
function within(clauses: readonly Clause[], box: Box, axes: Axes, scales: Scales): Clause[] {
  return (["x", "y"] as const).reduce<Clause[]>(
    (all, axis) => {
      const text = (position: number) => String(Number(scales[axis].fromAxis(position).toPrecision(4)));
      const [low, high] = box[axis];
      return withClauses(all, axes[axis], [
        { name: axes[axis], relation: ">=", values: [text(low)] },
        { name: axes[axis], relation: "<=", values: [text(high)] },
      ]);
    },
    [...clauses],
  );
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

/** Dashed across the chart where a constraint of the job bounds one of its axes. */
function limits(bounds: readonly Bound[], axes: Axes, { x, y }: Scales, theme: Theme): LinesSeriesOption {
  const line = (text: string, coords: number[][]) => ({
    coords,
    label: { formatter: text, position: "middle" as const },
  });
  return {
    id: "limits",
    type: "lines",
    coordinateSystem: "cartesian2d",
    silent: true,
    z: 2,
    clip: true,
    data: [
      ...endsOn(bounds, axes.x).map(({ value, text }) => {
        const at = x.toAxis(value);
        return line(text, [
          [at, y.min],
          [at, y.max],
        ]);
      }),
      ...endsOn(bounds, axes.y).map(({ value, text }) => {
        const at = y.toAxis(value);
        return line(text, [
          [x.min, at],
          [x.max, at],
        ]);
      }),
    ],
    lineStyle: { color: theme.failed, width: 1.25, type: "dashed", opacity: 0.9 },
    label: {
      show: true,
      color: theme.failed,
      fontFamily: theme.font,
      fontSize: 11,
      textBorderColor: theme.surface,
      textBorderWidth: 3,
    },
  };
}

function limitWords(bounds: readonly Bound[], axes: Axes): string {
  const told = [...endsOn(bounds, axes.x), ...endsOn(bounds, axes.y)].map(({ text }) => text);
  return told.length ? ` Constraints: ${told.join(", ")}.` : "";
}

/** Above the border, which runs on from the point, and inside: points in the right half carry theirs on the left. */
const aside =
  (scale: Scale) =>
  ([x]: Spot) => ({
    position: x > (scale.min + scale.max) / 2 ? ("left" as const) : ("right" as const),
    offset: [0, -9] as [number, number],
  });
