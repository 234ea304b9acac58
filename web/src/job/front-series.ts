/** What charts of the front have in common: how each kind of trial is marked, whatever the axes. */
import { indexOfNumber } from "../api/trial-set";
import type { MetricInfo, Objective, Trial } from "../api/types";
import { type Cloud, nearSeries } from "../charts/cloud";
import type { CustomSeriesOption, ScatterSeriesOption } from "../charts/echarts";
import { tip } from "../charts/frame";
import { points } from "../charts/points";
import type { Theme } from "../charts/theme";
import { configLine } from "../text/config";
import { metricValue } from "../text/numbers";
import { isUnfinished } from "./measures";

/** Where a trial stands on the axes, and its number. */
export type Spot = [x: number, y: number, trialNumber: number];

/** What a chart of the front is told, whatever its axes. */
export interface FrontProps {
  objectives: readonly Objective[];
  trials: readonly Trial[];
  /** Those that meet the clauses; the others fade. */
  kept: readonly Trial[];
  front: readonly Trial[];
  reference: readonly Trial[];
  metrics: ReadonlyMap<string, MetricInfo>;
  selected: Trial | undefined;
  onSelect: (number: number) => void;
}

/** Behind the front and before it. */
interface TrialSeries {
  behind: (ScatterSeriesOption | CustomSeriesOption)[];
  before: ScatterSeriesOption[];
  /** The points of those that are pictures. */
  clouds: Cloud[];
}

/** The trials behind the front, and those before what a chart draws of its own. */
export function trialSeries(
  { trials, kept, front, selected }: Pick<FrontProps, "trials" | "kept" | "front" | "selected">,
  place: (some: readonly Trial[]) => Spot[],
  theme: Theme,
): TrialSeries {
  const isFiltered = kept !== trials;
  const names = isFiltered ? new Set(kept.map((trial) => trial.id)) : null;
  const shown = names ? front.filter((trial) => names.has(trial.id)) : front;
  const aside = points("faded", place(names ? trials.filter(({ id }) => !names.has(id)) : []), {
    color: theme.line,
    opacity: 0.6,
    z: 0,
  });
  const finished = points("trials", place(kept.filter((trial) => !isUnfinished(trial))), {
    color: theme.point,
    opacity: 0.7,
    z: 1,
  });
  // Hollow and square, below the finished ones: what they reached is what they had reached so far.
  const unfinished = points("unfinished", place(kept.filter(isUnfinished)), {
    color: theme.point,
    opacity: 0.8,
    hollow: true,
    z: 0,
  });
  return {
    behind: [{ ...aside.series, silent: true }, finished.series, unfinished.series],
    before: [frontPoints(place(shown), theme), ring(selected ? place([selected]) : [], theme), nearSeries(theme)],
    clouds: [...finished.clouds, ...unfinished.clouds],
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

export function tooltipOf(
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

/** The label of a reference trial. */
const namePlate = (theme: Theme) => ({
  show: true,
  distance: 4,
  color: theme.reference,
  fontFamily: theme.font,
  fontSize: 11,
  fontWeight: 600 as const,
  textBorderColor: theme.surface,
  textBorderWidth: 3,
});

/** Diamonds with the names of the reference trials; `aside` says where a name has room. */
export function referencePoints(
  trials: readonly Trial[],
  place: (some: readonly Trial[]) => Spot[],
  aside: (spot: Spot) => { position: "left" | "right"; offset: [number, number] },
  theme: Theme,
): ScatterSeriesOption {
  const data = trials.flatMap((trial) =>
    place([trial]).map((value) => ({ value, label: { formatter: trial.label ?? "reference", ...aside(value) } })),
  );
  return {
    id: "reference",
    type: "scatter",
    data,
    symbol: "diamond",
    symbolSize: 13,
    z: 4,
    itemStyle: { color: theme.surface, borderColor: theme.reference, borderWidth: 2, opacity: 1 },
    label: namePlate(theme),
  };
}
