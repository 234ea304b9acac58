/** The columns of the trials table: how each looks and what it sorts by. */
import type { ReactNode } from "react";
import type { MetricInfo, Objective, Trial } from "../api/types";
import { Tags } from "../remarks/tags";
import { StateBadge } from "../shell/state-badge";
import { configLine, knobs, methodName } from "../text/config";
import { engineRemark } from "../text/engine";
import { metricValue } from "../text/numbers";
import { frontWords } from "./front-words";
import { FrontMark, ReferenceMark } from "./trial-marks";

export interface Column {
  id: string;
  title: string;
  /** CSS width; the last word on layout because a virtual table cannot measure rows that it does not draw. */
  width: number;
  numeric: boolean;
  /** Whether it stays in view while the others scroll sideways. */
  sticky?: true;
  sortBy: (trial: Trial) => number | string | undefined;
  cell: (trial: Trial) => ReactNode;
}

export function columnsOf(
  objectives: Objective[],
  names: readonly string[],
  front: ReadonlySet<string>,
  metrics: ReadonlyMap<string, MetricInfo>,
  remarked: boolean,
): Column[] {
  const targets = new Set(objectives.map((objective) => objective.metric));
  const metric = (name: string) => metricColumn(name, metrics.get(name)?.unit);
  const isOnFront = (trial: Trial) => front.has(trial.id);
  return [
    {
      id: "number",
      title: "#",
      width: 76,
      numeric: true,
      sticky: true,
      sortBy: (trial) => trial.number,
      cell: (trial) => trial.number,
    },
    {
      id: "state",
      title: "State",
      width: 112,
      numeric: false,
      sticky: true,
      sortBy: (trial) => trial.state,
      cell: (trial) => <StateBadge state={trial.state} />,
    },
    ...names.filter((name) => targets.has(name)).map(metric),
    {
      id: "front",
      title: capital(frontWords(objectives).mark),
      width: 72,
      numeric: false,
      sortBy: (trial) => (isOnFront(trial) ? 0 : 1),
      cell: (trial) => isOnFront(trial) && <FrontMark job={{ objectives }} />,
    },
    ...(remarked ? [tagsColumn] : []),
    {
      id: "configuration",
      title: "Configuration",
      width: 620,
      numeric: false,
      sortBy: (trial) => configLine(trial.config),
      cell: (trial) => <ConfigCell trial={trial} />,
    },
    ...names.filter((name) => !targets.has(name)).map(metric),
    {
      id: "engine",
      title: "Engine",
      width: 104,
      numeric: false,
      sortBy: (trial) => trial.engine ?? undefined,
      cell: (trial) => <span title={engineRemark(trial) ?? undefined}>{trial.engine ?? "–"}</span>,
    },
  ];
}

/** Only where some trial has any. */
const tagsColumn: Column = {
  id: "tags",
  title: "Tags",
  width: 168,
  numeric: false,
  sortBy: (trial) => trial.tags.join(", ") || undefined,
  cell: (trial) => (
    <span title={trial.note ?? undefined}>
      <Tags tags={trial.tags} />
      {trial.note && <span className="muted"> {trial.note}</span>}
    </span>
  ),
};

const capital = (word: string): string => word.charAt(0).toUpperCase() + word.slice(1);

function metricColumn(name: string, unit: string | undefined): Column {
  return {
    id: `metric:${name}`,
    title: name,
    width: Math.max(96, 40 + name.length * 7),
    numeric: true,
    sortBy: (trial) => trial.metrics[name] ?? undefined,
    cell: (trial) => metricValue(trial.metrics[name], unit),
  };
}

function ConfigCell({ trial }: { trial: Trial }) {
  if (trial.state === "failed" && trial.reason)
    return (
      <span className="reason" title={trial.reason}>
        {trial.reason}
      </span>
    );
  return (
    <span className="config" title={configLine(trial.config)}>
      <ReferenceMark trial={trial} />
      <strong>{methodName(trial.config)}</strong>
      {knobs(trial.config).map((knob) => (
        <span key={knob.name}>
          <i>{knob.name}</i> {knob.value}
        </span>
      ))}
    </span>
  );
}

export interface Order {
  column: string;
  descending: boolean;
}

/** Trials without a value go last, whichever way the rest is sorted. */
export function sortTrials(
  trials: readonly Trial[],
  columns: readonly Column[],
  { column, descending }: Order,
): readonly Trial[] {
  const by = columns.find((one) => one.id === column)?.sortBy;
  if (!by || (column === "number" && !descending)) return trials;
  const sign = descending ? -1 : 1;
  return trials
    .map((trial) => ({ trial, value: by(trial) }))
    .sort((a, b) => {
      if (a.value === undefined || b.value === undefined)
        return Number(a.value === undefined) - Number(b.value === undefined);
      return sign * compare(a.value, b.value) || a.trial.number - b.trial.number;
    })
    .map(({ trial }) => trial);
}

function compare(a: number | string, b: number | string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
