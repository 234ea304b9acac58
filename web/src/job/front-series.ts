/** What charts of the front have in common: how each kind of trial is marked, whatever the axes. */
import { indexOfNumber } from "../api/trial-set";
import type { MetricInfo, Objective, Trial } from "../api/types";
import type { ScatterSeriesOption } from "../charts/echarts";
import { tip } from "../charts/frame";
import type { Theme } from "../charts/theme";
import { configLine } from "../text/config";
import { metricValue } from "../text/numbers";
import { isUnfinished } from "./measures";

/** Where a trial stands on the axes, and its number. */
export type Spot = [x: number, y: number, trialNumber: number];

/** Above this many points ECharts draws them in one pass. */
const LARGE = 2000;

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

/** The trials behind the front, and those before what a chart draws of its own. */
export function trialSeries(
  { trials, kept, front, selected }: Pick<FrontProps, "trials" | "kept" | "front" | "selected">,
  place: (some: readonly Trial[]) => Spot[],
  theme: Theme,
): { behind: ScatterSeriesOption[]; before: ScatterSeriesOption[] } {
  const isFiltered = kept !== trials;
  const names = isFiltered ? new Set(kept.map((trial) => trial.id)) : null;
  const shown = names ? front.filter((trial) => names.has(trial.id)) : front;
  return {
    behind: [
      faded(isFiltered ? place(trials) : [], theme),
      cloud(place(kept.filter((trial) => !isUnfinished(trial))), theme),
      unfinished(place(kept.filter(isUnfinished)), theme),
    ],
    before: [frontPoints(place(shown), theme), ring(selected ? place([selected]) : [], theme)],
  };
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
