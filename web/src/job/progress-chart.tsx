/** How far the search has come: hypervolume or the best value so far, trial after trial in the order they finished. */
import { useMemo, useState } from "react";
import type { Job, MetricInfo, Objective, Trial } from "../api/types";
import { type Cloud, nearSeries } from "../charts/cloud";
import { CoursePanel } from "../charts/course-panel";
import type { ChartOption } from "../charts/echarts";
import { frame, tip } from "../charts/frame";
import { bestSoFar, turns } from "../charts/front";
import { hypervolumeSoFar } from "../charts/hypervolume";
import { points } from "../charts/points";
import { countScale, fitScale, type Scale, shareScale } from "../charts/scale";
import { type Kind, ScaleChoice } from "../charts/scale-choice";
import { type Stroke, stepped } from "../charts/strokes";
import { useTheme } from "../charts/theme";
import { Choice } from "../shell/choice";
import { metricValue } from "../text/numbers";
import { axisTitle } from "./measures";
import { OVER, type Over, spentAt } from "./spent";

const HYPERVOLUME = "hypervolume";

interface Props {
  job: Job;
  /** Those trained to the end, in that order. */
  finished: readonly Trial[];
  metrics: ReadonlyMap<string, MetricInfo>;
  onSelect: (number: number) => void;
  /** Called with the trials that a box holds. */
  onChoose: (numbers: ReadonlySet<number>) => void;
}

interface Course {
  /** Value of each finished trial; empty for the hypervolume, which single trials do not have. */
  values: number[];
  soFar: number[];
  scale: Scale;
}

export function ProgressChart({ job, finished, metrics, onSelect, onChoose }: Props) {
  const choices = [...(job.objectives.length > 1 ? [HYPERVOLUME] : []), ...job.objectives.map((one) => one.metric)];
  const [shown, setShown] = useState(choices[0] ?? "");
  const [over, setOver] = useState<Over>("finished trials");
  const [kind, setKind] = useState<Kind>(null);
  const theme = useTheme();
  const { objectives } = job;
  const course = useMemo(() => courseOf(shown, kind, finished, objectives), [shown, kind, finished, objectives]);
  const { option, clouds, strokes } = useMemo((): { option: ChartOption; clouds: Cloud[]; strokes: Stroke[] } => {
    const { values, soFar, scale } = course;
    const unit = metrics.get(shown)?.unit;
    const name = shown === HYPERVOLUME ? "share of the objective box" : axisTitle(shown, metrics);
    const spent = spentAt(over, finished, job);
    const base = frame(theme, { name: over, scale: countScale(spent.at(-1) ?? 0) }, { name, scale });
    const spot = (value: number, index: number): [number, number, number] => [
      spent[index] ?? 0,
      scale.toAxis(value),
      finished[index]?.number ?? 0,
    ];
    const hasMarks = soFar.length < MARKED;
    const best = (hasMarks ? [...soFar.keys()] : turns(soFar)).map((index) => spot(soFar[index] ?? 0, index));
    const each = points("each", values.map(spot), { color: theme.point, opacity: 0.7, size: 5, z: 1 });
    return {
      option: {
        ...base,
        tooltip: { ...base.tooltip, formatter: tooltipOf(shown, unit, finished, values, soFar) },
        series: [
          each.series,
          {
            id: "so-far",
            type: "line",
            step: "end",
            data: best,
            silent: true,
            z: 3,
            symbolSize: 6,
            showSymbol: hasMarks,
            itemStyle: { color: theme.front },
            lineStyle: { color: theme.front, width: 1.75 },
          },
          nearSeries(theme),
        ],
      },
      clouds: each.clouds,
      strokes: [stepped(best)],
    };
  }, [shown, over, job, course, finished, metrics, theme]);
  const last = course.soFar.at(-1);
  return (
    <CoursePanel
      id="progress-title"
      title="Search progress"
      choices={
        <>
          <Choice
            label="Show"
            quiet
            value={shown}
            options={choices.map((name) => [name, name === HYPERVOLUME ? name : `best ${name}`] as const)}
            onChange={setShown}
          />
          {shown !== HYPERVOLUME && <ScaleChoice label="Scale of the progress" value={kind} onChange={setKind} />}
          <Choice label="over" value={over} options={OVER} onChange={setOver} />
        </>
      }
      option={option}
      name="progress"
      clouds={clouds}
      strokes={strokes}
      label={`${shown} after ${finished.length} finished trials: ${last === undefined ? "none yet" : last.toPrecision(4)}`}
      onPick={(value) => value[2] !== undefined && onSelect(value[2])}
      onBox={(_, numbers) => onChoose(numbers)}
    />
  );
}

/** Fewer trials than this each have their mark on the course. */
const MARKED = 100;

function courseOf(shown: string, kind: Kind, finished: readonly Trial[], objectives: readonly Objective[]): Course {
  if (shown === HYPERVOLUME) return volumeCourse(finished, objectives);
  const direction = objectives.find((one) => one.metric === shown)?.direction ?? "maximize";
  const values = finished.map((trial) => trial.metrics[shown] as number);
  return { values, soFar: bestSoFar(values, direction), scale: fitScale(values, kind) };
}

/** In the coordinates of the front chart, so that a decade of parameters weighs the same everywhere. */
function volumeCourse(finished: readonly Trial[], objectives: readonly Objective[]): Course {
  const columns = objectives.map(({ metric }) => {
    const values = finished.map((trial) => trial.metrics[metric] as number);
    return values.map(fitScale(values).toAxis);
  });
  const soFar = hypervolumeSoFar(
    finished.map((_, index) => columns.map((column) => column[index] as number)),
    objectives.map(({ direction }) => direction),
  );
  return { values: [], soFar, scale: shareScale(soFar) };
}

function tooltipOf(
  shown: string,
  unit: string | undefined,
  finished: readonly Trial[],
  values: number[],
  soFar: number[],
) {
  return (point: unknown): HTMLElement => {
    const number = (point as { value: number[] }).value[2];
    const index = finished.findIndex((trial) => trial.number === number);
    const rows: [string, string][] = [
      [shown === HYPERVOLUME ? shown : `best ${shown}`, metricValue(soFar[index], unit)],
    ];
    if (values.length) rows.push(["this trial", metricValue(values[index], unit)]);
    return tip(`Trial ${finished[index]?.number ?? ""}, finished as ${index + 1}`, rows);
  };
}
