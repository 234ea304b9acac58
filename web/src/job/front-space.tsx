/** The front in three measures: a box that turns, with a plumb line from each trial on the front down to its floor. */
import { useCallback, useDeferredValue, useMemo, useState } from "react";
import type { MetricInfo, Trial } from "../api/types";
import { Chart } from "../charts/chart";
import type { Cloud } from "../charts/cloud";
import type { ChartOption, LinesSeriesOption, ScatterSeriesOption } from "../charts/echarts";
import { frame } from "../charts/frame";
import {
  EDGES,
  FROM_THE_FRONT,
  projector,
  type Spot as Place,
  type Triple,
  turned,
  type View,
} from "../charts/projection";
import { fitScale, type Scale } from "../charts/scale";
import type { Kind } from "../charts/scale-choice";
import { type Theme, useTheme } from "../charts/theme";
import { type FrontProps, referencePoints, type Spot, tooltipOf, trialSeries } from "./front-series";
import { frontWords } from "./front-words";
import { axisTitle, measure, type Space } from "./measures";

interface Props extends FrontProps {
  axes: Space;
  kinds: Record<keyof Space, Kind>;
  /** Called with the trials that a box holds. */
  onChoose: (numbers: ReadonlySet<number>) => void;
}

const AXES = ["x", "y", "z"] as const;
/** The box's own corners lie within 0.87 of its middle, whichever way it is turned; names stand beside it. */
const REACH = 1.05;
const FLAT: Scale = { ...fitScale([0, 1]), min: -REACH, max: REACH };
/** Trials beside the front that are drawn while the box can be turned. */
const MOST = 3000;

type Scales = Record<keyof Space, Scale>;

export function FrontSpace({ axes, kinds, ...props }: Props) {
  const { objectives, front, reference, metrics, selected } = props;
  const [view, setView] = useState(FROM_THE_FRONT);
  const theme = useTheme();
  const settled = useDeferredValue(props.trials);
  const chosen = useDeferredValue(props.kept);
  const scales = useMemo((): Scales => {
    const scale = (name: string, kind: Kind) =>
      fitScale(
        [...settled, ...front].map((trial) => measure(trial, name) ?? Number.NaN),
        kind,
      );
    return { x: scale(axes.x, kinds.x), y: scale(axes.y, kinds.y), z: scale(axes.z, kinds.z) };
  }, [settled, front, axes, kinds]);
  const trials = useMemo(() => newest(settled), [settled]);
  const kept = useMemo(() => (chosen === settled ? trials : newest(chosen)), [chosen, settled, trials]);
  const { option, clouds } = useMemo((): { option: ChartOption; clouds: Cloud[] } => {
    const project = projector(view);
    const place = (some: readonly Trial[]) => spots(some, axes, scales, project);
    const { behind, before, clouds } = trialSeries({ trials, kept, front, selected }, place, theme);
    const base = frame(theme, { name: "", scale: FLAT }, { name: "", scale: FLAT });
    const drawn = {
      ...base,
      grid: { left: 8, right: 8, top: 8, bottom: 8 },
      xAxis: { type: "value" as const, show: false, min: -REACH, max: REACH },
      yAxis: { type: "value" as const, show: false, min: -REACH, max: REACH },
      dataZoom: (base.dataZoom as object[]).map((one) => ({ ...one, moveOnMouseMove: false })),
      tooltip: { ...base.tooltip, formatter: tooltipOf(settled, metrics, objectives) },
      series: [
        box(project, theme),
        plumb(front, axes, scales, project, theme),
        ...behind,
        ...before,
        referencePoints(reference, place, aside, theme),
        ...scaleMarks(axes, scales, metrics, view, theme),
      ],
    };
    return { option: drawn, clouds };
  }, [trials, settled, kept, front, reference, axes, scales, metrics, theme, selected, objectives, view]);
  const drag = useCallback((right: number, down: number) => setView((before) => turned(before, right, down)), []);
  return (
    <>
      <Chart
        name="front in a box"
        className="chart chart-front"
        option={option}
        clouds={clouds}
        label={`${axes.y}, ${axes.x} and ${axes.z} of ${settled.length} trials in a box, ${frontWords(objectives).count(front.length)}. The trials table holds the same values.`}
        onPick={(value) => value[2] !== undefined && props.onSelect(value[2])}
        onDrag={drag}
        onBox={(_, numbers) => props.onChoose(numbers)}
      />
      <Turning view={view} onChange={setView} />
    </>
  );
}

function Turning({ view, onChange }: { view: View; onChange: (view: View) => void }) {
  return (
    <div className="turning">
      <label className="slider">
        Turn
        <input
          type="range"
          min={-180}
          max={180}
          step={5}
          value={Math.round(view.turn)}
          onChange={(event) => onChange({ ...view, turn: Number(event.target.value) })}
        />
        <output>{Math.round(view.turn)}°</output>
      </label>
      <label className="slider">
        Tilt
        <input
          type="range"
          min={0}
          max={90}
          step={5}
          value={Math.round(view.tilt)}
          onChange={(event) => onChange({ ...view, tilt: Number(event.target.value) })}
        />
        <output>{Math.round(view.tilt)}°</output>
      </label>
    </div>
  );
}

/** By number, so the last ones are the newest. */
const newest = (trials: readonly Trial[]): readonly Trial[] => (trials.length > MOST ? trials.slice(-MOST) : trials);

/** Coordinates in the box, each from 0 to 1; null for a trial that was not measured in all three. */
function inBox(trial: Trial, axes: Space, scales: Scales): Triple | null {
  const [x, y, z] = AXES.map((axis) => {
    const value = measure(trial, axes[axis]);
    const { toAxis, min, max } = scales[axis];
    return value === undefined ? undefined : (toAxis(value) - min) / (max - min);
  });
  return x === undefined || y === undefined || z === undefined ? null : [x, y, z];
}

function spots(trials: readonly Trial[], axes: Space, scales: Scales, project: (point: Triple) => Place): Spot[] {
  return trials.flatMap((trial): Spot[] => {
    const point = inBox(trial, axes, scales);
    return point ? [[...project(point), trial.number] as Spot] : [];
  });
}

const lines = (id: string, data: (readonly Place[])[], lineStyle: object): LinesSeriesOption => ({
  id,
  type: "lines",
  coordinateSystem: "cartesian2d",
  silent: true,
  z: 0,
  data: data.map((ends) => ({ coords: ends.map((end) => [...end]) })),
  lineStyle,
});

const box = (project: (point: Triple) => Place, theme: Theme) =>
  lines(
    "box",
    EDGES.map((edge) => edge.map(project)),
    { color: theme.line, width: 1, opacity: 1 },
  );

function plumb(
  front: readonly Trial[],
  axes: Space,
  scales: Scales,
  project: (point: Triple) => Place,
  theme: Theme,
): LinesSeriesOption {
  const data = front.flatMap((trial) => {
    const point = inBox(trial, axes, scales);
    return point ? [[project(point), project([point[0], 0, point[2]])]] : [];
  });
  return lines("plumb", data, { color: theme.front, width: 1, opacity: 0.6, type: "dotted" });
}

/** Names and ends of the three axes, each along an edge of the box that is in front. */
function scaleMarks(
  axes: Space,
  scales: Scales,
  metrics: ReadonlyMap<string, MetricInfo>,
  view: View,
  theme: Theme,
): ScatterSeriesOption[] {
  const project = projector(view);
  const edges = frontEdges(view);
  const data = AXES.flatMap((axis) => {
    const { min, max, label } = scales[axis];
    const along = (share: number) => project(edges[axis](share));
    const mark = (share: number, formatter: string, strong: boolean) => ({
      value: [...along(share)],
      label: { formatter, color: strong ? theme.text : theme.muted, ...away(along(share)) },
    });
    return [
      mark(0.06, label(min + 0.06 * (max - min)), false),
      mark(0.5, axisTitle(axes[axis], metrics), true),
      mark(0.94, label(min + 0.94 * (max - min)), false),
    ];
  });
  return [
    {
      id: "scales",
      type: "scatter",
      silent: true,
      symbolSize: 1,
      z: 6,
      data,
      itemStyle: { color: "transparent" },
      label: { show: true, fontFamily: theme.font, fontSize: 11, textBorderColor: theme.surface, textBorderWidth: 3 },
    },
  ];
}

/** The lowest edges of the floor, and the upright edge furthest to a side, as this view has them. */
function frontEdges(view: View): Record<keyof Space, (share: number) => Triple> {
  const project = projector({ ...view, tilt: 45 });
  const height = (point: Triple) => project(point)[1];
  const z = height([0.5, 0, 0]) < height([0.5, 0, 1]) ? 0 : 1;
  const x = height([0, 0, 0.5]) < height([1, 0, 0.5]) ? 0 : 1;
  const corners: [number, number][] = [
    [0, 0],
    [0, 1],
    [1, 0],
    [1, 1],
  ];
  const across = ([a, c]: [number, number]) => project([a, 0, c])[0];
  const [left, deep] = corners.reduce((a, b) => (across(a) <= across(b) ? a : b));
  return {
    x: (share) => [share, 0, z],
    y: (share) => [left, share, deep],
    z: (share) => [x, 0, share],
  };
}

/** Labels stand on the side that is away from the middle. */
const away = ([across, up]: Place) =>
  Math.abs(across) > Math.abs(up)
    ? { position: across < 0 ? ("left" as const) : ("right" as const) }
    : { position: up < 0 ? ("bottom" as const) : ("top" as const) };

const aside = ([x]: Spot) => ({
  position: x > 0 ? ("left" as const) : ("right" as const),
  offset: [0, -9] as [number, number],
});
